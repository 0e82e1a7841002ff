// Ctrl+K: go to a page or a run by name. "?": the list of shortcuts. "g" and a letter: go to a page.
// @ts-check
import { ask, runPage } from "./api.js";
import { button, make, pageLanguage } from "./dom.js";
import { LETTERS, found } from "./palette_view.js";

/** @typedef {import("./palette_view.js").Place} Place */

const MOST = 9;
const AFTER_G_MS = 1500;

/** Whether keys are text here. @param {EventTarget | null} target */
const isTyped = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));

class Palette {
  /** @type {Place[]} */
  #places = [];
  #chosen = 0;

  /** @param {Record<string, any>} texts @param {Place[]} pages */
  constructor(texts, pages) {
    this.texts = texts;
    this.pages = pages;
    const attributes = { type: "search", role: "combobox", "aria-expanded": "true", "aria-controls": "fs-places" };
    this.input = make("input", { ...attributes, placeholder: texts.palette, "aria-label": texts.palette });
    this.input.addEventListener("input", () => this.show(0));
    this.input.addEventListener("keydown", (event) => this.onKey(event));
    this.list = make("ul", { id: "fs-places", role: "listbox", "aria-label": texts.palette });
    this.dialog = make("dialog", { class: "fs-palette", "aria-label": texts.palette }, this.input, this.list);
    document.body.append(this.dialog);
  }

  async open() {
    if (this.dialog.open) return this.dialog.close();
    this.input.value = "";
    this.#places = this.pages;
    this.dialog.showModal();
    this.show(0);
    const [{ runs }, help] = await Promise.all([
      ask("/api/runs/changes").catch(() => ({ runs: [] })),
      ask(`/api/help?language=${pageLanguage()}`).catch(() => ({ advice: [], settings: [], glossary: [] })),
    ]);
    const page = this.pages.find(({ href }) => href.endsWith("/help"));
    const ofHelp = [...help.advice, ...help.settings, ...help.glossary].map((/** @type {any} */ one) => ({
      name: one.title,
      text: one.text,
      more: page?.name ?? "",
      href: `${page?.href}#${encodeURIComponent(one.id)}`,
    }));
    const ofRuns = runs.map((/** @type {import("./runs_view.js").Run} */ run) => ({
      name: run.name || run.id,
      more: this.texts[`state_${run.state}`],
      href: runPage(run.id),
    }));
    this.#places = [...this.pages, ...ofRuns, ...ofHelp];
    this.show(this.#chosen);
  }

  /** @param {number} chosen */
  show(chosen) {
    const shown = found(this.#places, this.input.value).slice(0, MOST);
    this.#chosen = Math.min(Math.max(chosen, 0), Math.max(shown.length - 1, 0));
    const rows = shown.map((place, index) => {
      const link = make("a", { href: place.href, tabindex: -1 }, place.name, make("small", {}, place.more));
      return make(
        "li",
        { role: "option", id: `fs-place-${index}`, "aria-selected": String(index === this.#chosen) },
        link,
      );
    });
    this.list.replaceChildren(...(rows.length ? rows : [make("li", { role: "option" }, this.texts.none_found_here)]));
    this.input.setAttribute("aria-activedescendant", rows.length ? `fs-place-${this.#chosen}` : "");
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.isComposing) return; // Enter accepts a candidate of the input method
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.show(this.#chosen + step);
    else if (event.key === "Enter") this.list.querySelectorAll("a")[this.#chosen]?.click();
    else return;
    event.preventDefault();
  }
}

/** The shortcuts with what they do, as parts of a list. @param {Record<string, any>} texts @param {Place[]} [pages] */
export function shortcutLines(texts, pages = railPages()) {
  const key = (/** @type {string} */ text) => make("kbd", {}, text);
  const line = (/** @type {string} */ keys, /** @type {string} */ text) =>
    make("div", {}, make("dt", {}, key(keys)), make("dd", {}, text));
  return [
    line("Ctrl K", texts.palette),
    ...pages.map((page, index) => line(`g ${LETTERS[index]}`, page.name)),
    line("Ctrl Enter", texts.start),
    line("?", texts.shortcuts),
  ];
}

/** The pages of the navigation, in order. @returns {Place[]} */
export function railPages() {
  /** @type {NodeListOf<HTMLAnchorElement>} */
  const links = document.querySelectorAll(".fs-rail .fs-rail-new, .fs-rail .fs-rail-link");
  return [...links].map((link) => ({ name: link.title, more: "", href: link.href }));
}

/** The list of shortcuts. @param {Record<string, any>} texts */
function help(texts) {
  const lines = shortcutLines(texts);
  const close = button(texts.close, () => dialog.close(), "fs-small");
  const dialog = make("dialog", { class: "fs-palette", "aria-label": texts.shortcuts });
  dialog.append(make("h2", {}, texts.shortcuts), make("dl", {}, ...lines), close);
  document.body.append(dialog);
  return dialog;
}

/** @param {Record<string, any>} texts */
export function startPalette(texts) {
  const pages = railPages();
  const palette = new Palette(texts, pages);
  const shortcuts = help(texts);
  let afterG = 0;
  addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      return palette.open();
    }
    if (
      isTyped(event.target) ||
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      document.querySelector("dialog[open]")
    )
      return undefined;
    if (event.key === "?") return shortcuts.showModal();
    if (event.key === "g") afterG = event.timeStamp;
    else if (event.timeStamp - afterG < AFTER_G_MS) {
      afterG = 0;
      const page = pages[LETTERS.indexOf(event.key)];
      if (page) location.href = page.href;
    }
    return undefined;
  });
}
