// A table that polls a list of the studio and redraws only when it has changed.
// @ts-check
import { Latest, ask, inWords } from "./api.js";
import { heads, make, replaceRows, scrolling, setText, statusLine } from "./dom.js";

/** @template Item */
export class LiveTable {
  #shown = "";
  /** @type {string | null} */
  #saidEmpty = null;
  #latest = new Latest();

  /**
   * @param {Record<string, any>} texts
   * @param {{ name: string, columns: string[], path: string, empty: string, row: (item: Item) => HTMLElement }} options
   *   the table's name for those who can't see it, its heads, where the list is asked for, what is said of an empty one
   */
  constructor(texts, { name, columns, path, empty, row }) {
    this.texts = texts;
    this.path = path;
    this.empty = empty;
    this.row = row;
    this.said = statusLine({ class: "fs-said" });
    this.body = make("tbody");
    this.scroll = scrolling(name, make("table", {}, make("thead", {}, heads(...columns)), this.body));
  }

  /** @param {unknown} error */
  fail(error) {
    setText(this.said, inWords(error, this.texts));
  }

  /** Redraw the list even if it is the same. */
  forget() {
    this.#shown = "";
  }

  async refresh() {
    /** @type {Item[] | null} */
    let list;
    try {
      list = await this.#latest.ask(() => ask(this.path));
    } catch (error) {
      return this.fail(error);
    }
    if (list) this.show(list);
  }

  /** Show these items; nothing is redrawn if they are the same. @param {Item[]} list @param {string} [empty] what an empty list says */
  show(list, empty = this.empty) {
    if (this.said.textContent === this.texts.no_connection) setText(this.said, ""); // the studio responds again
    const now = JSON.stringify([list, empty]);
    if (now === this.#shown) return;
    this.#shown = now;
    const rows = list.map((item) => this.row(item));
    replaceRows(this.body, rows);
    this.scroll.hidden = !list.length;
    if (!list.length && !this.said.childElementCount) setText(this.said, empty);
    else if (this.#saidEmpty === this.said.textContent) setText(this.said, "");
    this.#saidEmpty = list.length ? null : empty;
  }
}
