// What lies on the disk: how much of each kind, what can be cleaned up and brought back, a copy of everything, and its end.
// @ts-check
import { ask, inWords, post } from "./api.js";
import { button, copied, fill, heads, make, scrolling, setText, statusLine } from "./dom.js";
import { clock, size } from "./format.js";

/**
 * @typedef {{ name: string, path: string, bytes: number }} Place
 * @typedef {{ kind: string, count: number, bytes: number }} Proposal
 * @typedef {{ id: string, kind: string, count: number, bytes: number, until: number }} Cleanup
 * @typedef {{ total_bytes: number, free_bytes: number, places: Place[], proposals: Proposal[], pending: Cleanup[] }} State
 */

export class Storage {
  /** @type {Cleanup[]} */
  #pending = [];

  /** @param {Record<string, any>} texts */
  constructor(texts) {
    this.texts = texts;
    this.said = statusLine({ class: "fs-hint" });
    this.places = make("div");
    this.proposals = make("div", { class: "fs-cleanups" });
    this.removal = make("details", { id: "fs-remove-all" }, make("summary", {}, texts.remove_all));
    this.undone = make("div", { class: "fs-cleanups", role: "status" });
    this.element = make("div", {}, this.said, this.places, make("h3", {}, texts.cleanup), this.undone, this.proposals, this.own()); // prettier-ignore
    setText(this.said, texts.storage_measuring);
  }

  /** A copy of all data, and how to remove everything. */
  own() {
    const { texts } = this;
    const copy = make("a", { class: "fs-button", href: "/api/storage/data.zip", download: "" }, texts.export_all);
    return make("div", {}, make("h3", {}, texts.own_data), make("p", { class: "fs-hint" }, texts.export_all_help), copy, this.removal); // prettier-ignore
  }

  async refresh() {
    const { texts } = this;
    /** @type {State} */
    let state;
    try {
      state = await ask("/api/storage");
    } catch (error) {
      return setText(this.said, inWords(error, texts));
    }
    setText(this.said, fill(texts.storage_free, { free: size(state.free_bytes), total: size(state.total_bytes) }));
    this.places.replaceChildren(this.table(state.places));
    this.showRemoval(state.places);
    this.#pending = state.pending;
    this.drawPending();
    const rows = state.proposals.map((one) => this.proposal(one));
    this.proposals.replaceChildren(...(rows.length ? rows : [make("p", { class: "fs-hint" }, texts.cleanup_none)]));
  }

  /** @param {Place[]} places */
  table(places) {
    const { texts } = this;
    const most = Math.max(...places.map((place) => place.bytes), 1);
    const row = (/** @type {Place} */ { name, path, bytes }) => {
      const said = statusLine({ class: "fs-hidden" });
      const copy = async () => setText(said, await copied(texts, path));
      const bar = make("i", { class: "fs-share", style: `width:${Math.round((100 * bytes) / most)}%`, "aria-hidden": "true" }); // prettier-ignore
      const button_ = button(texts.copy, copy, "fs-small", { "aria-label": `${texts.copy}: ${path}` });
      return make(
        "tr",
        {},
        make("th", { scope: "row" }, texts[`place_${name}`]),
        make("td", {}, size(bytes), bar),
        make("td", {}, make("code", {}, path), " ", button_, said),
      );
    };
    const head = heads(texts.storage_kind, texts.library_size, texts.folder_column);
    const table = make("table", { class: "fs-places" }, make("thead", {}, head), make("tbody", {}, ...places.map(row)));
    return scrolling(texts.storage, table);
  }

  /** @param {Proposal} one */
  proposal({ kind, count, bytes }) {
    const { texts } = this;
    const words = fill(texts[`cleanup_${kind}`], { count });
    const clean = button(fill(texts.cleanup_free, { size: size(bytes) }), () => this.clean(kind), "fs-small", {
      "aria-label": `${words} ${fill(texts.cleanup_free, { size: size(bytes) })}`,
      "data-kind": kind,
    });
    return make("div", { class: "fs-setting" }, make("div", {}, words, make("small", {}, texts[`cleanup_${kind}_help`])), clean); // prettier-ignore
  }

  /** @param {string} kind */
  async clean(kind) {
    try {
      await post(`/api/storage/clean/${kind}`);
    } catch (error) {
      return setText(this.said, inWords(error, this.texts));
    }
    await this.refresh();
    this.undone.querySelector("button")?.focus();
  }

  drawPending() {
    const now = Date.now() / 1000;
    const shown = this.#pending.filter((one) => one.until > now);
    const key = shown.map((one) => one.id).join(" ");
    if (this.undone.dataset.key !== key) {
      this.undone.dataset.key = key;
      this.undone.replaceChildren(...shown.map((one) => this.pendingRow(one)));
    }
    for (const one of shown) {
      const left = this.undone.querySelector(`[data-left="${one.id}"]`);
      if (left) setText(left, clock(one.until - now));
    }
  }

  /** @param {Cleanup} one */
  pendingRow(one) {
    const { texts } = this;
    const path = `/api/storage/cleanups/${one.id}`;
    const act = (/** @type {() => Promise<unknown>} */ work) => async () => {
      try {
        await work();
      } catch (error) {
        setText(this.said, inWords(error, texts));
      }
      await this.refresh();
    };
    const back = button(texts.undo, act(() => post(`${path}/undo`)), "fs-small"); // prettier-ignore
    const gone = button(texts.cleanup_now, act(() => ask(path, { method: "DELETE" })), "fs-small fs-danger"); // prettier-ignore
    const words = fill(texts.cleanup_done, { what: fill(texts[`cleaned_${one.kind}`], { count: one.count }), size: size(one.bytes) }); // prettier-ignore
    const left = make("span", { "data-left": one.id, "aria-hidden": "true" });
    return make("p", { class: "fs-row" }, words, " ", left, back, gone);
  }

  /** @param {Place[]} places */
  showRemoval(places) {
    const { texts } = this;
    const at = (/** @type {string} */ name) => places.find((place) => place.name === name)?.path ?? "";
    const home = at("runs").replace(/[/\\][^/\\]*$/, "");
    const step = (/** @type {string} */ text, /** @type {string} */ code) => make("li", {}, text, " ", make("code", {}, code)); // prettier-ignore
    const steps = [
      step(texts.remove_all_runs, `finetune runs --home ${home}`),
      step(texts.remove_all_home, home),
      step(texts.remove_all_models, at("hub_cache")),
      step(texts.remove_all_package, "pip uninstall finetune-studio"),
    ];
    const open = this.removal.open;
    this.removal.replaceChildren(make("summary", {}, texts.remove_all), make("ol", {}, ...steps));
    this.removal.open = open;
  }
}
