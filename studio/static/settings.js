// Above the list of settings: a search, and what differs from the preset, with a way back.
// @ts-check
import { button, fill, make, setText } from "./dom.js";
import { fieldOf, formNow, markFields } from "./form.js";

/** @typedef {Record<string, unknown>} Changes */

const LIST = "#train-more";

/** Whether a text has all words. @param {string} text @param {string} words */
export const matches = (text, words) =>
  words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.toLowerCase().includes(word));

/** Show only the settings whose name, help or key has the words, and only groups with one. @param {string} words */
function filter(words) {
  const fields = /** @type {NodeListOf<HTMLElement>} */ (
    document.querySelectorAll(`${LIST} [id^="cfg-"]:not([data-unused])`)
  );
  for (const field of fields) field.toggleAttribute("data-hidden", !matches(field.textContent ?? "", words));
  for (const group of document.querySelectorAll(`${LIST} .fs-basic`)) {
    const empty = !group.querySelector('[id^="cfg-"]:not([data-hidden], [data-unused])');
    group.toggleAttribute("data-hidden", empty);
    group.previousElementSibling?.toggleAttribute("data-hidden", empty); // its heading
  }
  return [...fields].filter((field) => !field.hasAttribute("data-hidden")).length;
}

/** The list's own button opens it, so that Gradio knows. */
function open() {
  /** @type {HTMLElement | null} */
  const control = document.querySelector(`${LIST} > button:not(.open)`);
  control?.click();
}

/** Say at the fields that have no effect. @param {string} words */
function markIdle(words) {
  for (const field of document.querySelectorAll("[data-idle]")) field.removeAttribute("data-idle");
  for (const name of formNow().idle ?? []) fieldOf(name)?.setAttribute("data-idle", words);
}

/**
 * Mark a field that differs from the preset, with a way back. Nothing changes for one that is marked already.
 * @param {HTMLElement | null} field
 * @param {string} name
 * @param {unknown} value the preset's
 * @param {Record<string, any>} texts
 * @param {(changes: Changes) => void} set
 */
function markChanged(field, name, value, texts, set) {
  if (!field) return;
  field.setAttribute("data-changed", "");
  const words = fill(texts.reset_setting, { value: Array.isArray(value) ? value.join(", ") : value });
  const there = field.querySelector(".fs-reset");
  if (there?.textContent === words) return;
  there?.remove();
  field.append(button(words, () => set({ [name]: value }), "fs-reset", { "aria-label": `${name}: ${words}` }));
}

/** Mark all fields as they are now. @param {Record<string, any>} texts @param {(changes: Changes) => void} set */
function markAll(texts, set) {
  const { changed = {} } = formNow();
  markIdle(texts.no_effect);
  const fields = new Set(Object.keys(changed).map(fieldOf));
  for (const field of document.querySelectorAll("[data-changed]"))
    if (!fields.has(/** @type {HTMLElement} */ (field))) {
      field.removeAttribute("data-changed");
      field.querySelector(".fs-reset")?.remove();
    }
  for (const [name, value] of Object.entries(changed)) markChanged(fieldOf(name), name, value, texts, set);
}

/**
 * Offer the settings with which the chosen data could be trained on.
 * @param {HTMLElement} row
 * @param {Record<string, any>} texts
 * @param {(changes: Changes) => void} set
 */
function offerCure(row, texts, set) {
  const changes = Object.entries(/** @type {Changes} */ (formNow().cure ?? {}));
  const words = changes.map(([name, value]) => `${name}: ${value}`).join(", ");
  row.hidden = !changes.length;
  if (row.hidden || row.textContent === fill(texts.use_setting, { setting: words })) return;
  row.replaceChildren(
    button(fill(texts.use_setting, { setting: words }), () => set(Object.fromEntries(changes)), "fs-primary"),
  );
}

/** @type {import("./start.js").Part} */
export function start(root, { texts }, gradio) {
  const named = { placeholder: texts.search_settings, "aria-label": texts.search_settings };
  const search = make("input", { type: "search", id: "fs-search-settings", ...named });
  const found = make("span", { class: "fs-hint", role: "status" });
  const look = () => {
    const count = filter(search.value.trim());
    setText(found, search.value.trim() ? fill(texts.settings_found, { count }) : "");
  };
  search.addEventListener("input", () => {
    if (search.value.trim()) open();
    look();
  });
  const said = make("span", { role: "status" });
  const set = (/** @type {Changes} */ changes) => {
    gradio.props.value = JSON.stringify({ ...changes, turn: Date.now() });
    gradio.trigger("change");
  };
  /** @type {Changes | null} */
  let before = null;
  const reset = button(texts.reset_settings, () => turn(), "fs-small");
  const turn = () => {
    const { config, changed } = formNow();
    const now = (/** @type {string} */ name) => name.split(".").reduce((inner, key) => inner[key], config);
    const kept = before ?? Object.fromEntries(Object.keys(changed).map((name) => [name, now(name)]));
    set(before ?? changed);
    before = before ? null : kept;
    setText(reset, before ? texts.undo : texts.reset_settings);
  };
  root.append(make("p", { class: "fs-row" }, said, reset), make("p", { class: "fs-row" }, search, found));

  const mark = () => markAll(texts, set);
  const cure = make("p", { class: "fs-row", hidden: true });
  document.querySelector("#train-review")?.after(cure);
  const show = () => {
    mark();
    offerCure(cure, texts, set);
    const count = Object.keys(formNow().changed ?? {}).length;
    if (count) {
      before = null;
      setText(reset, texts.reset_settings);
    }
    reset.hidden = !count && !before;
    setText(said, count ? fill(texts.settings_changed, { count }) : texts.settings_as_preset);
  };
  addEventListener("finetune-config", show);
  show();
  const list = document.querySelector(LIST);
  const filled = () => {
    mark();
    markFields();
    look();
  };
  if (list) new MutationObserver(filled).observe(list, { childList: true, subtree: true }); // it is filled when it opens
}
