// Tabs (the ARIA pattern): one panel is shown, arrow keys move between the tabs.
// @ts-check
import { make, setText } from "./dom.js";

/** @typedef {{ id: string, title: string, panel: HTMLElement, opened?: () => void }} Tab `opened` is called each time */

export class Tabs {
  /** @type {Map<string, { tab: HTMLButtonElement, panel: HTMLElement, opened?: () => void }>} */
  #tabs = new Map();
  #chosen = "";
  #asked = false;

  /** @param {string} name what the tabs are of @param {string} prefix of the elements' ids @param {Tab[]} tabs */
  constructor(name, prefix, tabs) {
    this.list = make("div", { class: "fs-tabs", role: "tablist", "aria-label": name });
    this.list.addEventListener("keydown", (event) => this.onKey(event));
    this.element = make("div", {}, this.list);
    for (const { id, title, panel, opened } of tabs) {
      const [tabId, panelId] = [`${prefix}-tab-${id}`, `${prefix}-panel-${id}`];
      const attributes = { type: "button", role: "tab", id: tabId, "aria-controls": panelId };
      const tab = make("button", { ...attributes, onclick: () => this.take(id) }, title);
      const about = { role: "tabpanel", id: panelId, "aria-labelledby": tabId };
      for (const [key, value] of Object.entries(about)) panel.setAttribute(key, value);
      this.#tabs.set(id, { tab, panel, opened });
      this.list.append(tab);
      this.element.append(panel);
    }
    if (tabs.length) this.choose(tabs[0].id);
  }

  get chosen() {
    return this.#chosen;
  }

  /** The user's choice. @param {string} id */
  take(id) {
    this.#asked = true;
    this.choose(id);
  }

  /** @param {string} chosen */
  choose(chosen) {
    this.#chosen = chosen;
    for (const [id, { tab, panel, opened }] of this.#tabs) {
      const on = id === chosen;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      panel.hidden = !on;
      if (on) opened?.();
    }
  }

  /** @param {string} id @param {string} title */
  rename(id, title) {
    const tab = this.#tabs.get(id)?.tab;
    if (tab) setText(tab, title);
  }

  /** @param {string} id @param {boolean} hidden */
  hide(id, hidden) {
    const found = this.#tabs.get(id);
    if (!found || found.tab.hidden === hidden) return;
    found.tab.hidden = hidden;
    if (hidden && this.#chosen === id) this.choose(this.shown[0]);
    // What appears later and comes first is opened, unless the user has chosen.
    else if (!hidden && !this.#asked && this.shown[0] === id) this.choose(id);
  }

  /** The ids of the tabs that aren't hidden. */
  get shown() {
    return [...this.#tabs].filter(([, { tab }]) => !tab.hidden).map(([id]) => id);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const ids = this.shown;
    const at = ids.indexOf(this.#chosen);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: ids.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.take(ids[(next + ids.length) % ids.length]);
    this.#tabs.get(this.#chosen)?.tab.focus();
  }
}
