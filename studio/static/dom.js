// Creates elements from text, never from HTML, and repeats work while an element is on the page.
// @ts-check
import { fillIn } from "./format.js";

/** @typedef {Node | string | null | undefined} Child */

/**
 * An element with its attributes, listeners (`onclick`) and children.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? "" : value);
  }
  node.append(.../** @type {(Node | string)[]} */ (children.filter((child) => child !== null && child !== undefined)));
  return node;
}

/**
 * A button that calls `work`.
 * @param {string} text
 * @param {(event: MouseEvent) => void} work
 * @param {string} [kind] more classes: "fs-small", "fs-primary"
 * @param {Record<string, any>} [attributes]
 */
export const button = (text, work, kind = "", attributes = {}) =>
  make("button", { type: "button", class: `fs-button ${kind}`, onclick: work, ...attributes }, text);

/** Copy a text, and say whether that worked. @param {Record<string, string>} texts @param {string} value @returns {Promise<string>} */
export const copied = (texts, value) =>
  navigator.clipboard.writeText(value).then(
    () => texts.copied,
    () => texts.copy_refused,
  );

/** A line whose changes screen readers announce. @param {Record<string, any>} [attributes] */
export const statusLine = (attributes = {}) => make("p", { role: "status", "aria-live": "polite", ...attributes });

/** The header row of a table. @param {...string} names */
export const heads = (...names) => make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));

/** A scrollable table with an accessible name. @param {string} name @param {HTMLTableElement} table */
export const scrolling = (name, table) =>
  make("div", { class: "fs-scroll", tabindex: 0, role: "region", "aria-label": name }, table);

/** A list of options. @param {string[]} names @param {Record<string, any>} [attributes] @param {string} [chosen] */
export const choice = (names, attributes = {}, chosen = "") =>
  make("select", attributes, ...names.map((name) => make("option", { value: name, selected: name === chosen }, name)));

/** A label above its control. @param {string} text @param {HTMLElement} control */
export const labelled = (text, control) =>
  make("div", { class: "fs-use" }, make("label", { for: control.id }, text), control);

/** @param {Node} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A listener for Enter in a field. @param {() => void} work @returns {(event: KeyboardEvent) => void} */
export const onEnter = (work) => (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  event.preventDefault();
  work();
};

/** The page's language, regardless of the cookie. @returns {"en" | "zh"} */
export const pageLanguage = () => (document.documentElement.lang.startsWith("zh") ? "zh" : "en");

/** Show this language from the next page on. @param {string} language */
export function chooseLanguage(language) {
  document.cookie = `finetune-language=${language}; path=/; max-age=31536000; samesite=strict`;
}

/** @param {string | string[]} text @param {Record<string, unknown>} values */
export const fill = (text, values) => fillIn(pageLanguage(), text, values);

/** A number with the separators of the page's language. @param {number} value */
export const number = (value) => Number(value).toLocaleString(pageLanguage() === "zh" ? "zh-CN" : "en");

/**
 * Call `work` now and periodically, without overlap, until the element is removed. Pause in a background tab.
 * @param {HTMLElement} element
 * @param {() => Promise<unknown>} work
 * @param {number} every milliseconds
 * @param {() => boolean} [inBackground] whether to continue in a background tab
 * @returns {() => void} stops the polling
 */
export function poll(element, work, every, inBackground = () => false) {
  let busy = false;
  const end = () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", tick);
  };
  const tick = async () => {
    if (!element.isConnected) return end();
    if (busy || (document.hidden && !inBackground())) return;
    busy = true;
    try {
      await work();
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(tick, every);
  document.addEventListener("visibilitychange", tick);
  tick();
  return end;
}

/** Replace rows and keep the focus on the control with the same `data-key`. @param {HTMLElement} body @param {HTMLElement[]} rows */
export function replaceRows(body, rows) {
  const active = /** @type {HTMLElement | null} */ (document.activeElement);
  const key = body.contains(active) ? active?.dataset.key : null;
  body.replaceChildren(...rows);
  if (!key) return;
  /** @type {HTMLButtonElement | null} */
  const again = body.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!again) return;
  const able = again.disabled
    ? /** @type {HTMLElement | null} */ (again.parentElement?.querySelector("button:enabled"))
    : again;
  able?.focus(); // the first row's Up button is disabled
}
