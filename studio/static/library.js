// The library: all datasets with their details; rename, mix, download, and delete with undo.
// @ts-check
import { ask, followJob, inWords, post, refusedFor, runPage } from "./api.js";
import { button, fill, make, number, poll } from "./dom.js";
import { size } from "./format.js";
import { LiveTable } from "./live_table.js";

/**
 * @typedef {{
 *   id: string, name: string, format: string, valid: number, rows: number, bytes: number, added: number,
 *   version: number, versions: number, runs: string[],
 * }} Dataset
 */

const POLL_MS = 3000;
const SHOWN_RUNS = 3;

class Library {
  /** @type {Map<string, number>} what is chosen to be mixed, with its weight */
  #weights = new Map();

  /** @param {HTMLElement} root @param {Record<string, any>} texts @param {string} language */
  constructor(root, texts, language) {
    this.texts = texts;
    this.language = language;
    const columns = ["name", "format", "rows_good", "size", "added", "used_by"].map((name) => texts[`library_${name}`]);
    /** @type {LiveTable<Dataset>} */
    this.list = new LiveTable(texts, {
      name: texts.datasets,
      columns: [texts.mix, ...columns, ""],
      path: "/api/datasets",
      empty: texts.no_datasets,
      row: (item) => this.row(item),
    });
    this.said = this.list.said;
    this.mixing = button(texts.mix_chosen, () => this.mix(), "", { disabled: true });
    const foot = make("div", { class: "fs-row" }, this.mixing, make("span", { class: "fs-hint" }, texts.mix_help));
    root.append(make("h1", {}, texts.datasets), this.said, this.list.scroll, foot);
  }

  async mix() {
    this.mixing.disabled = true;
    try {
      const { job } = await post("/api/datasets/mix", { parts: Object.fromEntries(this.#weights) });
      await followJob(job);
      this.#weights.clear();
      this.list.forget();
    } catch (error) {
      this.list.fail(error);
    }
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

  /** @param {Dataset} item */
  async rename(item) {
    const name = prompt(this.texts.new_name, item.name);
    if (!name?.trim() || name === item.name) return;
    try {
      await post(`/api/datasets/${item.id}/rename`, { name });
      await this.refresh();
    } catch (error) {
      this.list.fail(error);
    }
  }

  /** A checkbox that adds the dataset to a mix, and its weight. @param {Dataset} item */
  pick(item) {
    const chosen = this.#weights.has(item.id);
    const weight = make("input", {
      type: "number", min: 0.01, max: 100, step: "any", value: this.#weights.get(item.id) ?? 1, class: "fs-weight",
      "aria-label": fill(this.texts.weight_of, { name: item.name }), hidden: !chosen,
    }); // prettier-ignore
    weight.addEventListener("input", () => this.#weights.set(item.id, Number(weight.value)));
    const tick = make("input", {
      type: "checkbox", "data-key": `${item.id}-pick`, "aria-label": fill(this.texts.pick, { name: item.name }),
    }); // prettier-ignore
    tick.checked = chosen;
    tick.addEventListener("change", () => {
      if (tick.checked) this.#weights.set(item.id, Number(weight.value));
      else this.#weights.delete(item.id);
      weight.hidden = !tick.checked;
      this.mixing.disabled = this.#weights.size < 2;
    });
    return make("td", {}, tick, " ", weight);
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
    const { version, versions } = item;
    const small = (/** @type {string} */ key, /** @type {string} */ text, /** @type {() => void} */ work) =>
      button(text, work, "fs-small", { "data-key": `${item.id}-${key}` });
    const link = make("a", { href: `datasets?dataset=${item.id}`, "data-key": `${item.id}-open` }, item.name);
    const numbered = versions > 1 ? make("small", {}, fill(texts.version, { version, versions })) : null;
    const added = new Date(item.added * 1000).toLocaleString(this.language === "zh" ? "zh-CN" : "en");
    const train = make("a", { class: "fs-button fs-small", href: `./?dataset=${item.id}` }, texts.train_with);
    const rename = small("rename", texts.rename, () => this.rename(item));
    const remove = small("delete", texts.delete, () => this.remove(item));
    const cell = (/** @type {import("./dom.js").Child[]} */ ...parts) => make("td", {}, ...parts);
    return make(
      "tr",
      {},
      this.pick(item),
      cell(link, numbered, make("small", {}, item.id)),
      cell(item.format),
      cell(`${number(item.valid)} / ${number(item.rows)}`),
      cell(size(item.bytes)),
      cell(added),
      this.usedBy(item),
      cell(make("div", { class: "fs-actions" }, train, rename, remove)),
    );
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
