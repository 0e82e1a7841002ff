// The models to choose from: recommended ones, those on this machine, and those of the Hub.
// @ts-check
import { ask, inWords, post, runPage } from "./api.js";
import { button, fill, heads, make, number, onEnter, pageLanguage, scrolling, setText, statusLine } from "./dom.js";
import { ago, changesInWords, clock, parameters, size } from "./format.js";
import { Tabs } from "./tabs.js";

/**
 * @typedef {{
 *   id: string, name: string, tier: string, parameters_millions: number, context: number, license: string,
 *   gated: boolean, vram_hint: string, time_hint: string, advice: string, path: string | null, download_bytes: number,
 *   total_bytes: number, fit_level: string, fit: ModelFit["fit"],
 * }} Offer
 * @typedef {{
 *   id: string, parameters: number | null, path: string | null, download_bytes: number, license: string,
 *   gated: boolean, downloads?: number,
 * }} Model
 * @typedef {{
 *   id: string, path: string, download_bytes: number, bytes: number, license: string, used: number | null, runs: string[],
 *   need: { total_bytes: number, fit_level: string } | null,
 * }} ModelHere
 * @typedef {import("./fit.js").ModelFit} ModelFit
 */

const SHOWN_RUNS = 3;

export class ModelTables {
  /** @type {Offer[]} */
  #offers = [];
  #chosen = "";
  /** @type {Record<string, ModelFit>} */
  #estimates = {};

  /** @param {Record<string, any>} texts @param {import("./hub_access.js").HubAccess} access @param {(id: string) => void} choose @param {boolean} [ofForm] whether a form's settings are what is estimated */
  constructor(texts, access, choose, ofForm = false) {
    this.ofForm = ofForm;
    /** @type {((id: string) => void) | null} */
    this.onDownload = null;
    this.texts = texts;
    this.access = access;
    this.onChoose = choose;
    this.recommended = make("div", {});
    this.here = make("div", {});
    this.tabs = new Tabs(texts.model_choose, "fs-models", [
      { id: "recommended", title: texts.models_recommended, panel: this.recommended },
      { id: "here", title: texts.models_here, panel: this.here, opened: () => this.readHere() },
      { id: "hub", title: texts.models_hub, panel: this.hubPanel() },
    ]);
    this.element = make("div", { class: "fs-models" }, this.tabs.element, this.ownRow());
    addEventListener("finetune-estimate", (event) => {
      const estimates = /** @type {CustomEvent} */ (event).detail;
      if (JSON.stringify(estimates) === JSON.stringify(this.#estimates)) return; // focus and scroll stay
      this.#estimates = estimates;
      if (this.element.isConnected) this.drawRecommended();
    });
  }

  /** Show the tables again. @param {string} chosen */
  open(chosen) {
    this.#chosen = chosen;
    this.drawRecommended();
    this.hub?.append(this.access.element);
    if (this.tabs.chosen === "here") this.readHere();
  }

  /** @param {Offer[]} offers */
  show(offers) {
    this.#offers = offers;
    this.drawRecommended();
  }

  /** A model by its name on the Hub, or a folder. */
  ownRow() {
    const { texts } = this;
    const input = make("input", { type: "text", id: "fs-own-model", placeholder: "Qwen/Qwen3-0.6B" });
    const take = () => input.value.trim() && this.onChoose(input.value.trim());
    input.addEventListener("keydown", onEnter(take));
    const label = make("label", { for: "fs-own-model" }, texts.own_model);
    const hint = make("span", { class: "fs-hint" }, texts.own_model_help);
    return make("div", { class: "fs-row fs-own" }, label, input, button(texts.choose, take, "fs-small"), hint);
  }

  hubPanel() {
    const { texts } = this;
    const attributes = { type: "search", id: "fs-hub-search", placeholder: "Qwen3", "aria-label": texts.hub_search };
    const text = make("input", attributes);
    const search = () => this.search(text.value);
    text.addEventListener("keydown", onEnter(search));
    this.found = make("div");
    this.note = statusLine({ class: "fs-hint" });
    const row = make("div", { class: "fs-row" }, text, button(texts.hub_search, search));
    this.hub = make("div", {}, row, this.note, this.found);
    return this.hub;
  }

  /** @param {string} id @param {string} name */
  chooser(id, name) {
    if (id === this.#chosen) return make("strong", {}, this.texts.chosen);
    const label = `${this.texts.choose}: ${name}`;
    return button(this.texts.choose, () => this.onChoose(id), "fs-small", { "aria-label": label, "data-key": id });
  }

  /** What can be done with a model that may be downloaded. @param {string} id @param {string} name @param {boolean} here */
  actions(id, name, here) {
    const { texts } = this;
    if (here || !this.onDownload) return this.chooser(id, name);
    const label = `${texts.download_now}: ${name}`;
    const fetch = button(texts.download_now, () => this.onDownload?.(id), "fs-small", { "aria-label": label });
    return make("div", { class: "fs-actions" }, this.chooser(id, name), fetch);
  }

  /** @param {string} name @param {string[]} columns keys of texts @param {HTMLElement[]} rows */
  table(name, columns, rows) {
    const head = heads(...columns.map((key) => this.texts[key]));
    head.append(make("th", { scope: "col" }, make("span", { class: "fs-hidden" }, this.texts.choose)));
    const body = make("tbody", {}, ...rows);
    return scrolling(name, make("table", { class: "fs-stack" }, make("thead", {}, head), body));
  }

  /** A row whose cells know their heads, for narrow screens. @param {Node[]} named @param {[string, Node[] | string][]} cells @param {Node} last */
  row(named, cells, last) {
    const cell = (/** @type {[string, Node[] | string]} */ [key, parts]) =>
      make("td", { "data-label": this.texts[key] }, ...(typeof parts === "string" ? [parts] : parts));
    return make("tr", {}, make("th", { scope: "row" }, ...named), ...cells.map(cell), make("td", {}, last));
  }

  drawRecommended() {
    const { texts } = this;
    const columns = ["model_column", "size_column", "rtx_column", "memory_here", ...(this.ofForm ? ["time_here"] : []), "license_column", "download_column"]; // prettier-ignore
    const key = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.key;
    const rows = this.#offers.map((offer) => this.offerRow(offer));
    this.recommended.replaceChildren(
      make("p", { class: "fs-hint" }, this.ofForm ? texts.models_help_form : texts.models_help_preset),
      this.table(texts.models_recommended, columns, rows),
    );
    const again = key && this.recommended.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (again instanceof HTMLElement) again.focus();
  }

  /** @param {Offer} offer */
  offerRow(offer) {
    const { texts } = this;
    const small = (/** @type {string} */ text) => make("small", {}, text);
    const where = offer.path ? texts.here : size(offer.download_bytes);
    const estimate = this.#estimates[offer.id] ?? { ...offer, slow: false, seconds: null };
    /** @type {[string, Node[] | string][]} */
    const cells = [
      ["size_column", [document.createTextNode(parameters(offer.parameters_millions * 1e6)), small(fill(texts.context, { tokens: number(offer.context) }))]],
      ["rtx_column", offer.vram_hint ? [document.createTextNode(offer.vram_hint), small(offer.time_hint)] : "–"],
      ["memory_here", this.fit(estimate)],
      .../** @type {[string, string][]} */ (this.ofForm ? [["time_here", this.time(estimate)]] : []),
      ["license_column", offer.license + (offer.gated ? texts.gated : "")],
      ["download_column", where],
    ]; // prettier-ignore
    const tier = make("span", { class: "fs-tier", "data-tier": offer.tier }, texts[`tier_${offer.tier}`]);
    const row = this.row([document.createTextNode(`${offer.name} `), tier, small(offer.advice)], cells, this.actions(offer.id, offer.name, !!offer.path)); // prettier-ignore
    if (offer.id === this.#chosen) row.setAttribute("aria-current", "true");
    return row;
  }

  /** @param {Pick<ModelFit, "seconds" | "slow">} estimate */
  time(estimate) {
    if (estimate.seconds) return fill(this.texts.time_range, { from: clock(estimate.seconds[0]), to: clock(estimate.seconds[1]) }); // prettier-ignore
    return estimate.slow ? this.texts.slow : "–";
  }

  /** @param {Pick<ModelFit, "fit_level" | "total_bytes" | "fit">} estimate */
  fit({ fit_level, total_bytes, fit }) {
    const { texts } = this;
    const badge = make("span", { class: "fs-badge", "data-level": fit_level }, `${size(total_bytes)} · ${texts[fit_level]}`); // prettier-ignore
    if (fit_level === "fits") return [badge];
    const other = fit?.practical ? fill(texts.fit_with, { changes: changesInWords(fit.changes) }) : texts.fit_not;
    return [badge, make("small", {}, other)];
  }

  /** @param {Model[]} models @param {string} name */
  models(models, name) {
    const columns = ["model_column", "size_column", "download_column", "license_column", "access_column", "downloads_column"]; // prettier-ignore
    const rows = models.map((one) => {
      const fetched = one.download_bytes ? size(one.download_bytes) : "–";
      /** @type {[string, string][]} */
      const cells = [
        ["size_column", parameters(one.parameters)],
        ["download_column", one.path ? this.texts.here : fetched],
        ["license_column", one.license || "–"],
        ["access_column", one.gated ? this.texts.access_gated : this.texts.access_open],
        ["downloads_column", one.downloads === undefined ? "–" : number(one.downloads || 0)],
      ];
      return this.row([document.createTextNode(one.id)], cells, this.actions(one.id, one.id, !!one.path));
    });
    return this.table(name, columns, rows);
  }

  /** @param {string} text */
  async search(text) {
    const { texts, note, found } = this;
    if (!note || !found) return;
    setText(note, texts.searching);
    try {
      /** @type {Model[]} */
      const models = await ask(`/api/models/search?text=${encodeURIComponent(text)}`);
      found.replaceChildren(...(models.length ? [this.models(models, texts.models_hub)] : []));
      setText(note, models.length ? "" : texts.none_on_hub);
    } catch (error) {
      setText(note, inWords(error, texts));
      this.access.offer(error);
    }
  }

  async readHere() {
    const { texts } = this;
    try {
      /** @type {ModelHere[]} */
      const models = await ask("/api/models/here");
      const empty = make("p", { class: "fs-hint" }, texts.models_none_here);
      this.here.replaceChildren(models.length ? this.localTable(models) : empty);
    } catch (error) {
      this.here.replaceChildren(make("p", { class: "fs-problem", role: "alert" }, inWords(error, texts)));
    }
  }

  /** @param {ModelHere[]} models */
  localTable(models) {
    const columns = ["model_column", "disk_column", "license_column", "memory_here", ...(this.ofForm ? [] : ["library_used_by", "last_used"])]; // prettier-ignore
    return this.table(this.texts.models_here, columns, models.map((one) => this.localRow(one))); // prettier-ignore
  }

  /** @param {ModelHere} one */
  localRow(one) {
    const { texts } = this;
    const badge = (/** @type {NonNullable<ModelHere["need"]>} */ need) =>
      make("span", { class: "fs-badge", "data-level": need.fit_level }, `${size(need.total_bytes)} · ${texts[need.fit_level]}`); // prettier-ignore
    /** @type {[string, Node[] | string][]} */
    const cells = [
      ["disk_column", size(one.bytes)],
      ["license_column", one.license || "–"],
      ["memory_here", one.need ? [badge(one.need)] : "–"],
    ];
    const choose = this.chooser(one.id, one.id);
    if (this.ofForm) return this.row([document.createTextNode(one.id)], cells, choose);
    const links = one.runs.slice(0, SHOWN_RUNS).map((run) => make("a", { href: runPage(run) }, run));
    const more = one.runs.length > SHOWN_RUNS ? [document.createTextNode(` +${one.runs.length - SHOWN_RUNS}`)] : [];
    const used = one.used ? ago(pageLanguage(), one.used, Date.now() / 1000) : "–";
    cells.push(["library_used_by", links.length ? [...links, ...more] : "–"], ["last_used", used]);
    const remove = button(texts.delete, () => this.remove(one), "fs-small", { "aria-label": `${texts.delete}: ${one.id}` }); // prettier-ignore
    const name = [document.createTextNode(one.id), make("small", { class: "fs-path" }, one.path)];
    return this.row(name, cells, make("div", { class: "fs-actions" }, choose, remove));
  }

  /** Delete a model from this machine, once that is confirmed. @param {ModelHere} one */
  async remove(one) {
    const { texts } = this;
    const used = one.runs.length ? fill(texts.model_delete_used, { count: one.runs.length }) : "";
    const sure = fill(texts.model_delete_sure, { model: one.id, size: size(one.bytes) });
    if (!confirm([sure, used].filter(Boolean).join(" "))) return;
    let words;
    try {
      const { freed_bytes: freed } = await post("/api/models/delete", { model: one.id });
      words = fill(texts.model_deleted, { model: one.id, size: size(freed) });
    } catch (error) {
      words = inWords(error, texts);
    }
    await this.readHere();
    this.here.prepend(make("p", { class: "fs-hint", role: "status" }, words));
  }
}
