// The rows of a dataset: searched, ordered by length, filtered by warnings, a page at a time; each can be edited or deleted.
// @ts-check
import { Latest, ask, inWords } from "./api.js";
import { conversation } from "./dataset_report.js";
import { button, fill, make, number, setText, statusLine } from "./dom.js";
import { RowEditor } from "./row_editor.js";

/**
 * @typedef {import("./dataset_report.js").Example} Example
 * @typedef {{ position: number, example: Example & { row: number, warnings?: string[] } }} Row
 * @typedef {{ changes?: Record<number, Example | null>, added?: Example[] }} Change
 */

const PAGE = 6;
/** Of a form: the way by keyboard to its Start button stays short. */
const FEW = 2;
const WAIT_MS = 300;
const ORDERS = ["file", "longest", "shortest"];

export class RowsPanel {
  #start = 0;
  #total = 0;
  #timer = 0;
  #latest = new Latest();

  /**
   * @param {import("./dataset_report.js").Dataset} found
   * @param {Record<string, any>} texts
   * @param {(change: Change) => void} change create a version with these changes
   * @param {boolean} few whether only some rows are shown until more is asked for
   */
  constructor(found, texts, change, few) {
    this.few = few;
    this.id = found.id;
    this.texts = texts;
    this.change = change;
    this.editor = new RowEditor(texts);
    this.search = make("input", { type: "search", placeholder: texts.rows_search, "aria-label": texts.rows_search });
    const options = ORDERS.map((value) => make("option", { value }, texts[`rows_${value}`]));
    this.order = make("select", { "aria-label": texts.order }, ...options);
    this.warned = make("input", { type: "checkbox" });
    const warned = make("label", { class: "fs-check", hidden: !found.suspicious }, this.warned, texts.rows_warned);
    this.count = statusLine({ class: "fs-hint" });
    this.list = make("div", { class: "fs-talks" });
    this.previous = button("◀", () => this.turn(-PAGE), "fs-small", { "aria-label": texts.rows_previous });
    this.next = button("▶", () => this.turn(PAGE), "fs-small", { "aria-label": texts.rows_next });
    const add = button(texts.row_add, () => this.add(), "fs-small");
    for (const control of [this.search, this.order, this.warned])
      control.addEventListener("input", () => {
        this.#start = 0;
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.refresh(), control === this.search ? WAIT_MS : 0);
      });
    const tools = make("div", { class: "fs-row" }, this.search, this.order, warned, make("span", { class: "fs-spring" }), add); // prettier-ignore
    const foot = make("div", { class: "fs-row" }, this.previous, this.next, this.count);
    const hint = make("p", { class: "fs-hint" }, texts.conversations);
    this.tools = [tools, foot];
    this.all = button(texts.rows_all, () => this.showAll(), "fs-small");
    this.element = make("div", {}, tools, hint, this.list, this.all, foot, this.editor.element);
    for (const part of this.tools) part.hidden = few;
    this.all.hidden = !few;
    this.draw(found.examples.slice(0, few ? FEW : PAGE).map((example, position) => ({ position, example: /** @type {any} */ (example) })), found.usable); // prettier-ignore
  }

  async showAll() {
    this.few = false;
    this.all.hidden = true;
    for (const part of this.tools) part.hidden = false;
    await this.refresh();
    this.search.focus();
  }

  /** @param {number} by */
  turn(by) {
    this.#start = Math.max(this.#start + by, 0);
    return this.refresh();
  }

  async refresh() {
    const asked = new URLSearchParams({ text: this.search.value, order: this.order.value, only_warnings: String(this.warned.checked), start: String(this.#start), count: String(PAGE) }); // prettier-ignore
    try {
      const found = await this.#latest.ask(() => ask(`/api/datasets/${this.id}/search?${asked}`));
      if (found) this.draw(found.rows, found.total);
    } catch (error) {
      setText(this.count, inWords(error, this.texts));
    }
  }

  /** @param {Row[]} rows @param {number} total */
  draw(rows, total) {
    const { texts } = this;
    this.#total = total;
    this.list.replaceChildren(...rows.map((row) => this.card(row)));
    const [first, last] = [rows.length ? this.#start + 1 : 0, this.#start + rows.length];
    setText(this.count, fill(texts.rows_page, { first: number(first), last: number(last), count: number(total) }));
    this.previous.disabled = this.#start === 0;
    this.next.disabled = last >= this.#total;
  }

  /** @param {Row} row */
  card({ position, example }) {
    const { texts } = this;
    if (this.few) return conversation(example, texts);
    const name = fill(texts.row_named, { row: number(example.row) });
    const save = (/** @type {Example} */ changed) =>
      this.change({ changes: { [position]: { ...example, ...changed } } });
    const edit = button(texts.row_edit, () => this.editor.open(name, example, save), "fs-small", { "aria-label": `${texts.row_edit}: ${name}` }); // prettier-ignore
    const remove = button(texts.delete, () => this.change({ changes: { [position]: null } }), "fs-small", { "aria-label": `${texts.delete}: ${name}` }); // prettier-ignore
    const foot = make("div", { class: "fs-row fs-talk-foot" }, make("small", {}, name), make("span", { class: "fs-spring" }), edit, remove); // prettier-ignore
    return make("div", { class: "fs-talk-card" }, conversation(example, texts), foot);
  }

  add() {
    const empty = { messages: [{ role: "user", content: "", train: false }, { role: "assistant", content: "", train: true }] }; // prettier-ignore
    this.editor.open(this.texts.row_add, empty, (added) => this.change({ added: [{ row: 1, ...added }] }));
  }
}
