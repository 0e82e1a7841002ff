// The trash of deleted runs: bring one back, or delete all for good.
// @ts-check
import { ask, inWords, post, runPath } from "./api.js";
import { button, fill, heads, make, pageLanguage, scrolling, setText, statusLine } from "./dom.js";
import { ago, size } from "./format.js";

/** @typedef {{ id: string, name: string, deleted: number, size_bytes: number }} Deleted */

export class Trash {
  /** @param {Record<string, any>} texts @param {() => void} changed a run is back */
  constructor(texts, changed) {
    this.texts = texts;
    this.changed = changed;
    this.open = button("", () => this.show(), "fs-small", { hidden: true, "aria-haspopup": "dialog" });
    this.said = statusLine({ class: "fs-hint" });
    this.rows = make("tbody");
    const head = heads(texts.name, texts.deleted_column, texts.disk_column);
    head.append(make("th", { scope: "col" }, make("span", { class: "fs-hidden" }, texts.restore)));
    this.table = scrolling(texts.trash, make("table", { class: "fs-stack" }, make("thead", {}, head), this.rows));
    this.empty = button(texts.trash_empty, () => this.deleteAll(), "fs-small fs-danger");
    const close = button(texts.close, () => this.element.close(), "fs-small");
    const title = make("div", { class: "fs-row" }, make("h2", {}, texts.trash), make("span", { class: "fs-spring" }), this.empty, close); // prettier-ignore
    this.element = make("dialog", { class: "fs-sheet", "aria-label": texts.trash }, title, this.said, this.table);
    this.refresh();
  }

  async show() {
    setText(this.said, "");
    this.element.showModal();
    await this.refresh();
  }

  async refresh() {
    /** @type {Deleted[]} */
    let runs;
    try {
      runs = await ask("/api/runs/trash");
    } catch (error) {
      return setText(this.said, inWords(error, this.texts));
    }
    this.open.hidden = !runs.length;
    setText(this.open, fill(this.texts.trash_count, { count: runs.length }));
    this.empty.hidden = this.table.hidden = !runs.length;
    this.rows.replaceChildren(...(this.element.open ? runs.map((run) => this.row(run)) : []));
    if (!runs.length && this.element.open) setText(this.said, this.texts.trash_is_empty);
  }

  /** @param {Deleted} run */
  row({ id, name, deleted, size_bytes: bytes }) {
    const { texts } = this;
    const back = button(texts.restore, () => this.act(post(`${runPath(id)}/restore`)), "fs-small", {
      "aria-label": `${texts.restore}: ${name || id}`,
    });
    const cells = [
      [texts.deleted_column, ago(pageLanguage(), deleted, Date.now() / 1000)],
      [texts.disk_column, size(bytes)],
    ];
    const named = make("th", { scope: "row" }, name || id, make("small", {}, name ? id : ""));
    return make("tr", {}, named, ...cells.map(([label, text]) => make("td", { "data-label": label }, text)), make("td", {}, back)); // prettier-ignore
  }

  deleteAll() {
    if (confirm(this.texts.trash_sure)) this.act(post("/api/runs/trash/empty"));
  }

  /** @param {Promise<unknown>} work */
  async act(work) {
    try {
      await work;
    } catch (error) {
      return setText(this.said, inWords(error, this.texts));
    }
    await this.refresh();
    this.changed();
  }
}
