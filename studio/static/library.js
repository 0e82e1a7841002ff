// The library: all datasets with their details; rename, mix, download, and delete with undo.
// @ts-check
import { ask, followJob, inWords, post, refusedFor, runPage } from "./api.js";
import { button, fill, heads, make, number, onEnter, poll, scrolling, setText } from "./dom.js";
import { ago, size } from "./format.js";
import { LiveTable } from "./live_table.js";

/**
 * @typedef {{
 *   id: string, name: string, format: string, valid: number, suspicious: number, rows: number, bytes: number, added: number,
 *   version: number, versions: number, runs: string[],
 * }} Dataset
 */

const POLL_MS = 3000;
const SHOWN_RUNS = 2;

/** Actions behind a button. @param {string} name @param {string} key @param {...HTMLElement} actions */
function menuOf(name, key, ...actions) {
  const opener = make("summary", { "aria-label": name, "data-key": key }, "⋯");
  const menu = make("details", { class: "fs-menu" }, opener, make("div", {}, ...actions));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    opener.focus();
  });
  menu.addEventListener("focusout", (event) => {
    if (!menu.contains(/** @type {Node | null} */ (event.relatedTarget))) menu.open = false;
  });
  return menu;
}

class Library {
  /** @type {Map<string, number>} what is chosen to be mixed, with its weight */
  #weights = new Map();
  /** @type {Map<string, Dataset>} */
  #items = new Map();

  /** @param {HTMLElement} root @param {Record<string, any>} texts @param {string} language */
  constructor(root, texts, language) {
    this.texts = texts;
    this.language = language;
    const columns = ["name", "used_by", "added"].map((name) => texts[`library_${name}`]);
    /** @type {LiveTable<Dataset>} */
    this.list = new LiveTable(texts, {
      name: texts.datasets,
      columns: [texts.mix, ...columns, ""],
      path: "/api/datasets",
      empty: texts.no_datasets,
      row: (item) => this.row(item),
    });
    this.said = this.list.said;
    this.mixing = button(texts.mix_chosen, () => this.openMix(), "", { disabled: true, "aria-haspopup": "dialog" });
    this.mixRows = make("tbody");
    this.mixCount = make("p", { role: "status" });
    this.mixStart = button(texts.mix, () => this.mix(), "fs-primary");
    this.dialog = this.mixDialog();
    const foot = make("div", { class: "fs-row" }, this.mixing, make("span", { class: "fs-hint" }, texts.mix_help));
    root.append(this.said, this.list.scroll, foot, this.dialog);
  }

  mixDialog() {
    const { texts } = this;
    const head = make("thead", {}, heads(texts.library_name, texts.weight, texts.mix_rows));
    const close = button(texts.close, () => this.dialog.close(), "fs-small");
    const title = make("div", { class: "fs-row" }, make("h2", {}, texts.mix_title), make("span", { class: "fs-spring" }), close); // prettier-ignore
    const table = scrolling(texts.mix_title, make("table", {}, head, this.mixRows));
    const dialog = make("dialog", { class: "fs-sheet fs-narrow", "aria-label": texts.mix_title }, title);
    dialog.append(make("p", { class: "fs-hint" }, texts.mix_help), table, this.mixCount, this.mixStart);
    return dialog;
  }

  /** The chosen datasets with their weights, and what comes of them. */
  openMix() {
    this.mixRows.replaceChildren(...[...this.#weights.keys()].map((id) => this.mixRow(id)));
    this.countMix();
    this.dialog.showModal();
  }

  /** @param {string} id */
  mixRow(id) {
    const { texts } = this;
    const item = this.#items.get(id);
    const name = item?.name ?? id;
    const weight = make("input", { type: "number", min: 0.01, max: 100, step: "any", value: this.#weights.get(id) ?? 1, class: "fs-weight", "aria-label": fill(texts.weight_of, { name }) }); // prettier-ignore
    const rows = make("td", { "data-rows": id });
    weight.addEventListener("input", () => {
      this.#weights.set(id, Number(weight.value));
      this.countMix();
    });
    const version = item && item.versions > 1 ? make("small", {}, ` ${fill(texts.version, item)}`) : null;
    return make("tr", {}, make("th", { scope: "row" }, name, version), make("td", {}, weight), rows);
  }

  countMix() {
    let total = 0;
    let valid = true;
    for (const [id, weight] of this.#weights) {
      valid &&= weight > 0 && weight <= 100;
      const item = this.#items.get(id);
      const rows = Math.round(((item?.valid ?? 0) + (item?.suspicious ?? 0)) * (weight > 0 ? weight : 0));
      total += rows;
      const cell = this.mixRows.querySelector(`[data-rows="${CSS.escape(id)}"]`);
      if (cell) setText(cell, number(rows));
    }
    setText(this.mixCount, valid ? fill(this.texts.mix_count, { count: number(total) }) : this.texts.mix_weights);
    this.mixStart.disabled = !valid;
  }

  async mix() {
    this.mixStart.disabled = true;
    try {
      const { job } = await post("/api/datasets/mix", { parts: Object.fromEntries(this.#weights) });
      await followJob(job);
      this.#weights.clear();
      this.list.forget();
      this.dialog.close();
    } catch (error) {
      setText(this.mixCount, inWords(error, this.texts));
    }
    this.mixStart.disabled = false;
    await this.refresh();
  }

  /** @param {Dataset} item @param {boolean} [sure] delete it although runs have used it */
  async remove(item, sure = false) {
    const path = `/api/datasets/${item.id}`;
    try {
      await ask(`${path}?although_used=${sure}`, { method: "DELETE" });
    } catch (error) {
      if (!refusedFor(error, "dataset_in_use")) return this.list.fail(error);
      if (confirm(inWords(error, this.texts))) await this.remove(item, true);
      return;
    }
    this.#weights.delete(item.id);
    const back = async () => {
      try {
        await post(`${path}/restore`);
        line.remove();
        await this.refresh();
      } catch (error) {
        this.list.fail(error);
      }
    };
    const undo = button(this.texts.undo, back, "fs-small");
    const line = make("span", { class: "fs-line" }, fill(this.texts.deleted, { name: item.name }), " ", undo);
    if (!this.said.querySelector(".fs-line")) this.said.replaceChildren();
    this.said.prepend(line); // each deletion can be undone, even after another one
    dispatchEvent(new CustomEvent("finetune-deleted", { detail: item.id }));
    undo.focus();
    await this.refresh();
  }

  /** Put a field in the place of the name; Enter keeps what it says, Escape doesn't. @param {Dataset} item @param {HTMLElement} link */
  rename(item, link) {
    const field = make("input", { type: "text", value: item.name, maxlength: 120, "aria-label": this.texts.new_name });
    let over = false;
    const end = async (/** @type {boolean} */ keep) => {
      if (over) return;
      over = true;
      field.replaceWith(link);
      const name = field.value.trim();
      if (!keep || !name || name === item.name) return link.focus();
      try {
        await post(`/api/datasets/${item.id}/rename`, { name });
        await this.refresh();
      } catch (error) {
        this.list.fail(error);
      }
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") end(false);
    });
    field.addEventListener(
      "keydown",
      onEnter(() => end(true)),
    );
    field.addEventListener("blur", () => end(true));
    link.replaceWith(field);
    field.select();
  }

  /** A checkbox that adds the dataset to a mix. @param {Dataset} item */
  pick(item) {
    const tick = make("input", { type: "checkbox", "data-key": `${item.id}-pick`, "aria-label": fill(this.texts.pick, { name: item.name }) }); // prettier-ignore
    tick.checked = this.#weights.has(item.id);
    tick.addEventListener("change", () => {
      if (tick.checked) this.#weights.set(item.id, 1);
      else this.#weights.delete(item.id);
      this.mixing.disabled = this.#weights.size < 2;
    });
    return make("td", {}, tick);
  }

  /** @param {Dataset} item */
  usedBy(item) {
    const links = item.runs.slice(-SHOWN_RUNS).map((run) => make("a", { href: runPage(run) }, run));
    const listed = links.flatMap((link, index) => (index ? [", ", link] : [link]));
    const more = item.runs.length > SHOWN_RUNS ? ` +${item.runs.length - SHOWN_RUNS}` : null;
    return make("td", {}, ...(listed.length ? listed : ["–"]), more);
  }

  /** @param {Dataset} item */
  row(item) {
    const { texts } = this;
    this.#items.set(item.id, item);
    const { version, versions } = item;
    const small = (/** @type {string} */ key, /** @type {string} */ text, /** @type {() => void} */ work) =>
      button(text, work, "fs-small", { "data-key": `${item.id}-${key}` });
    const link = make("a", { href: `datasets?dataset=${item.id}`, "data-key": `${item.id}-open` }, item.name);
    const numbered = versions > 1 ? fill(texts.version, { version, versions }) : "";
    const rows = fill(texts.library_valid, { valid: number(item.valid), count: number(item.rows) });
    const facts = [item.format, rows, size(item.bytes), numbered].filter(Boolean).join(" · ");
    const at = new Date(item.added * 1000).toLocaleString(this.language === "zh" ? "zh-CN" : "en");
    const added = make("span", { title: at }, ago(this.language, item.added, Date.now() / 1000));
    const train = make("a", { class: "fs-button fs-small", href: `./?dataset=${item.id}` }, texts.train_with);
    const rename = small("rename", texts.rename, () => this.rename(item, link));
    const remove = small("delete", texts.delete, () => this.remove(item));
    const menu = menuOf(fill(texts.more_of, { name: item.name }), `${item.id}-menu`, train, rename, remove);
    const cell = (/** @type {import("./dom.js").Child[]} */ ...parts) => make("td", {}, ...parts);
    const opened = item.id === new URLSearchParams(location.search).get("dataset");
    const row = make("tr", {}, this.pick(item), cell(link, make("small", { title: item.id }, facts)), this.usedBy(item), cell(added), cell(menu)); // prettier-ignore
    if (opened) row.setAttribute("aria-current", "true");
    return row;
  }

  async refresh() {
    await this.list.refresh();
    this.mixing.disabled = this.#weights.size < 2;
  }
}

/** @type {import("./start.js").Part} */
export function start(root, { texts, language }) {
  const library = new Library(root, texts, language);
  addEventListener("finetune-dataset", () => library.refresh());
  poll(root, () => library.refresh(), POLL_MS);
}
