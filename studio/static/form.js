// Access to the page's form: reads a hidden element with its values, and writes through its inputs.
// @ts-check

/** @typedef {import("./start.js").Part} Part */

/** @type {Record<string, any>} */
let now = {};

/** The form's current values; empty on a page without a form. */
export const formNow = () => now;

/** @type {Part} */
export function start(root, _settings, gradio) {
  root.hidden = true;
  const changed = () => {
    try {
      now = JSON.parse(gradio.props.value || "{}");
    } catch {
      return;
    }
    dispatchEvent(new CustomEvent("finetune-config", { detail: now }));
  };
  gradio.watch("value", changed);
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
  const id = `#cfg-${name.replace(/_/g, "-")}`;
  typeInto(`${id} input, ${id} textarea`, value);
}
