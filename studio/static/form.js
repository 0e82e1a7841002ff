// Access to the page's form: reads a hidden element with its values, marks invalid fields, and writes through its inputs.
// @ts-check

/** @typedef {import("./start.js").Part} Part */

const LATEST_MS = 2500;
const PARTS = [
  "#train-model .fs-chosen", "#fs-chosen-model > span:not(:empty)", "#train-data .fs-drop", "#train-recipes .fs-recipe",
  "#train-rate input", "#train-settings button", "#train-fit .fs-summary-line:not(:empty)", "#train-more",
  "#cfg-max-length", "#cfg-learning-rate", "#cfg-name", "#train-start", "#fs-yaml",
]; // prettier-ignore
/** @type {Record<string, any>} */
let now = {};

/** @param {string} name a setting */
export const fieldOf = (name) => document.getElementById(`cfg-${name.replace(/[._]/g, "-")}`);

/** Mark the invalid settings where they are entered, and show those that the method and the tuning use. */
export function markFields() {
  markProblems(now.problems ?? {});
  hideUnused(now.unused ?? []);
}

/** @param {Record<string, string>} problems a sentence by setting */
function markProblems(problems) {
  for (const field of document.querySelectorAll("[data-problem]")) mark(/** @type {HTMLElement} */ (field), null);
  for (const [name, sentence] of Object.entries(problems)) {
    const field = fieldOf(name);
    if (field) mark(field, sentence);
  }
}

/** @param {HTMLElement} field @param {string | null} sentence */
function mark(field, sentence) {
  if (sentence === null) field.removeAttribute("data-problem");
  else field.dataset.problem = sentence; // shown by the style sheet
  for (const input of field.querySelectorAll("input, textarea")) {
    if (sentence === null) for (const name of ["aria-invalid", "aria-description"]) input.removeAttribute(name);
    else
      for (const [name, value] of [
        ["aria-invalid", "true"],
        ["aria-description", sentence],
      ])
        input.setAttribute(name, value);
  }
}

/** Hide the settings of other methods and kinds of tuning, and show all others. @param {string[]} names */
function hideUnused(names) {
  const hidden = new Set(names.map(fieldOf));
  for (const field of document.querySelectorAll("[data-unused]"))
    if (!hidden.has(/** @type {HTMLElement} */ (field))) field.removeAttribute("data-unused");
  for (const field of hidden) field?.setAttribute("data-unused", "");
}

/** Ctrl+Enter presses Start. @param {KeyboardEvent} event */
function onKey(event) {
  if (event.key !== "Enter" || event.repeat || !(event.ctrlKey || event.metaKey)) return;
  const elsewhere = event.target instanceof Element && event.target.closest(".fs-part"); // the YAML, a search
  if (elsewhere || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  document.getElementById("train-start")?.click();
}

/** The form's current values; empty on a page without a form. */
export const formNow = () => now;

/** Show the page once all of it is there, so that nothing moves under the pointer; not later than after a while. */
function showOnceComplete() {
  const page = document.querySelector("#train-page");
  if (!page) return;
  const show = () => {
    seen.disconnect();
    document.documentElement.dataset.settled = "";
  };
  const look = () => PARTS.every((part) => page.querySelector(part)) && requestAnimationFrame(show);
  const seen = new MutationObserver(look);
  seen.observe(page, { childList: true, subtree: true, characterData: true });
  setTimeout(show, LATEST_MS);
  look();
}

/** @type {Part} */
export function start(root, _settings, gradio) {
  root.hidden = true;
  showOnceComplete();
  const changed = () => {
    try {
      now = JSON.parse(gradio.props.value || "{}");
    } catch {
      return;
    }
    markFields();
    dispatchEvent(new CustomEvent("finetune-config", { detail: now }));
  };
  gradio.watch("value", changed);
  addEventListener("keydown", onKey);
  changed();
}

/** Fill in an input like a user. @param {string} selector @param {unknown} value */
export function typeInto(selector, value) {
  /** @type {HTMLInputElement | null} */
  const input = document.querySelector(selector);
  if (!input || input.value === String(value)) return null;
  input.value = String(value);
  for (const kind of ["input", "change", "blur"]) input.dispatchEvent(new Event(kind, { bubbles: true }));
  return input;
}

/** @param {string} name a setting @param {unknown} value */
export function setField(name, value) {
  const id = fieldOf(name)?.id;
  typeInto(`#${id} input, #${id} textarea`, value);
}
