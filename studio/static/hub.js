// More models: local models, Hub search, downloads with progress, and Hub access.
// @ts-check
import { ask, followJob, inWords, post, refusedFor } from "./api.js";
import { button, fill, heads, make, number, onEnter, scrolling, setText, statusLine } from "./dom.js";
import { parameters, size } from "./format.js";
import { formNow, typeInto } from "./form.js";

/**
 * @typedef {{
 *   id: string, parameters: number | null, path: string | null, download_bytes: number, license: string,
 *   gated: boolean, downloads?: number,
 * }} Model
 * @typedef {{
 *   endpoint: string, mirrors: string[], fixed: boolean, token: boolean, token_fixed: boolean, host: string,
 * }} Access
 */

/** Hub access: the endpoint and the token. */
class HubAccess {
  /** @param {Record<string, any>} texts @param {() => void} changed */
  constructor(texts, changed) {
    this.texts = texts;
    this.changed = changed;
    this.mirror = make("select", { id: "fs-mirror" });
    this.mirror.addEventListener("change", () =>
      this.change(post("/api/models/access", { endpoint: this.mirror.value })),
    );
    this.token = make("input", { type: "password", id: "fs-token", autocomplete: "off", placeholder: "hf_…" });
    const keep = () => this.change(post("/api/models/token", { token: this.token.value }));
    const forget = () => this.change(ask("/api/models/token", { method: "DELETE" }));
    this.keep = button(texts.token_keep, keep, "fs-small");
    this.forget = button(texts.token_forget, forget, "fs-small");
    this.kept = make("span", { role: "status", "aria-live": "polite" });
    const row = (/** @type {HTMLElement[]} */ ...parts) => make("div", { class: "fs-row" }, ...parts);
    this.element = make(
      "details",
      { id: "fs-access" },
      make("summary", {}, texts.access_heading),
      row(make("label", { for: "fs-mirror" }, texts.access_endpoint), this.mirror),
      row(make("label", { for: "fs-token" }, texts.access_token), this.token, this.keep, this.forget, this.kept),
      make("p", { class: "fs-hint" }, texts.access_help),
    );
    ask("/api/models/access").then(
      (access) => this.show(access),
      () => {},
    );
  }

  /** @param {Promise<Access>} answer */
  async change(answer) {
    try {
      this.show(await answer);
      this.changed();
    } catch (error) {
      setText(this.kept, inWords(error, this.texts));
    }
    this.token.value = ""; // don't keep the token in the page
  }

  /** @param {Access} access */
  show(access) {
    const known = access.mirrors.includes(access.endpoint) ? access.mirrors : [access.endpoint, ...access.mirrors];
    const options = known.map((url) => make("option", { value: url, selected: url === access.endpoint }, url));
    this.mirror.replaceChildren(...options);
    this.mirror.disabled = access.fixed;
    this.token.disabled = this.keep.disabled = access.token_fixed;
    this.forget.hidden = !access.token || access.token_fixed;
    const kept = access.token ? fill(this.texts.token_kept, { host: access.host }) : "";
    setText(this.kept, access.token_fixed ? this.texts.token_fixed : kept);
  }

  /** Open if an error asks for a token. @param {unknown} error */
  offer(error) {
    if (refusedFor(error, "model_gated", "model_unauthorized")) this.element.open = true;
  }
}

/** The chosen model: downloaded, or to be downloaded. */
class ChosenModel {
  model = "";
  online = false;
  #asked = 0;
  #running = "";
  #halted = false;

  /** @param {Record<string, any>} texts @param {HubAccess} access @param {() => void} downloaded @param {() => void} known */
  constructor(texts, access, downloaded, known) {
    this.known = known;
    this.texts = texts;
    this.access = access;
    this.downloaded = downloaded;
    this.said = make("span", { role: "status", "aria-live": "polite" });
    this.bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": texts.downloading });
    this.fetch = button(texts.download_now, () => this.download(), "", { hidden: true });
    this.look = button(texts.look_up, () => this.lookUp(), "", { hidden: true });
    this.stop = button(texts.download_stop, () => this.halt(), "fs-small", { hidden: true });
    const parts = [this.said, this.bar, this.fetch, this.look, this.stop];
    this.element = make("p", { class: "fs-row", id: "fs-chosen-model" }, ...parts);
  }

  /** @param {string | undefined} model */
  choose(model) {
    if (!model || model === this.model) return;
    this.model = model;
    this.online = false;
    this.refresh();
  }

  lookUp() {
    this.online = true;
    this.refresh();
  }

  halt() {
    this.#halted = true;
    post("/api/models/download/stop", { model: this.#running });
  }

  async refresh() {
    const { model, online, texts } = this;
    if (!model || this.#running) return;
    const mine = ++this.#asked;
    try {
      const reported = await ask(`/api/models/facts?model=${encodeURIComponent(model)}&online=${online}`);
      if (mine !== this.#asked) return;
      this.look.hidden = true;
      this.fetch.hidden = reported.here;
      if (reported.job) return await this.follow(reported.job); // started before this page was loaded
      const away = () => fill(texts.model_away, { model, size: size(reported.download_bytes) });
      setText(this.said, reported.here ? fill(texts.model_here, { model }) : away());
      if (online) this.known(); // its architecture is
    } catch (error) {
      if (mine !== this.#asked) return;
      const unknown = refusedFor(error, "model_not_known");
      this.look.hidden = !unknown;
      this.fetch.hidden = true;
      setText(this.said, unknown ? fill(texts.model_unknown, { model }) : inWords(error, texts));
      this.access.offer(error);
    }
  }

  async download() {
    try {
      await this.follow((await post("/api/models/download", { model: this.model, revision: "main" })).job);
    } catch (error) {
      setText(this.said, inWords(error, this.texts));
      this.access.offer(error);
    }
  }

  /** @param {string} job */
  async follow(job) {
    const { texts } = this;
    this.#running = this.model;
    this.#halted = false;
    this.fetch.hidden = true;
    this.bar.hidden = this.stop.hidden = false;
    this.bar.removeAttribute("value");
    let failed = "";
    try {
      await followJob(job, ({ progress: [done, total] }) => {
        if (!total) return;
        this.bar.value = done / total;
        const words = fill(texts.downloading_model, { model: this.#running });
        setText(this.said, `${words} ${size(done)} / ${size(total)}`);
      });
    } catch (error) {
      failed = this.#halted ? "" : inWords(error, texts);
      this.access.offer(error);
    }
    this.#running = "";
    this.bar.hidden = this.stop.hidden = true;
    await this.refresh();
    if (failed) setText(this.said, failed);
    this.downloaded();
  }
}

/** The model choice: models on this machine, and a search on the Hub. */
class ModelLists {
  /** @param {Record<string, any>} texts @param {HubAccess} access */
  constructor(texts, access) {
    this.texts = texts;
    this.access = access;
    const attributes = { type: "search", id: "fs-hub-search", placeholder: "Qwen3", "aria-label": texts.hub_search };
    this.text = make("input", attributes);
    this.text.addEventListener(
      "keydown",
      onEnter(() => this.search()),
    );
    this.found = make("div");
    this.here = make("div");
    this.note = statusLine({ class: "fs-hint" });
    const row = make(
      "div",
      { class: "fs-row" },
      this.text,
      button(texts.hub_search, () => this.search()),
    );
    const summary = make("summary", {}, texts.hub_heading);
    this.element = make("details", { id: "fs-hub" }, summary, row, this.note, this.found, this.here);
    this.element.addEventListener("toggle", () => this.element.open && this.readHere());
  }

  /** @param {string} name */
  choose(name) {
    typeInto("#train-own-model input, #train-own-model textarea", name)?.scrollIntoView({ block: "center" });
  }

  /** @param {Model} one */
  row(one) {
    const { texts } = this;
    const fetched = one.download_bytes ? size(one.download_bytes) : "–";
    const cells = [
      parameters(one.parameters),
      one.path ? texts.here : fetched,
      one.license || "–",
      one.gated ? texts.access_gated : texts.access_open,
      one.downloads === undefined ? "" : number(one.downloads || 0),
      button(texts.choose, () => this.choose(one.id), "fs-small"),
    ];
    return make("tr", {}, make("th", { scope: "row" }, one.id), ...cells.map((cell) => make("td", {}, cell)));
  }

  /** @param {Model[]} models */
  table(models) {
    const { texts } = this;
    const columns = [
      "model_column",
      "size_column",
      "download_column",
      "license_column",
      "access_column",
      "downloads_column",
    ];
    const head = heads(...columns.map((name) => texts[name]));
    head.append(make("th", {}, make("span", { class: "fs-hidden" }, texts.choose)));
    const rows = make("tbody", {}, ...models.map((one) => this.row(one)));
    return scrolling(texts.hub_heading, make("table", {}, make("thead", {}, head), rows));
  }

  async search() {
    const { texts } = this;
    setText(this.note, texts.searching);
    try {
      /** @type {Model[]} */
      const models = await ask(`/api/models/search?text=${encodeURIComponent(this.text.value)}`);
      this.found.replaceChildren(...(models.length ? [this.table(models)] : []));
      setText(this.note, models.length ? "" : texts.none_on_hub);
    } catch (error) {
      setText(this.note, inWords(error, texts));
      this.access.offer(error);
    }
  }

  async readHere() {
    try {
      /** @type {Model[]} */
      const models = await ask("/api/models/here");
      this.here.replaceChildren(...(models.length ? [make("h4", {}, this.texts.models_here), this.table(models)] : []));
    } catch {
      /* the list stays as it was */
    }
  }
}

/** A button that shows all cards, or only the first ones. @param {Record<string, any>} texts */
function cardsSwitch(texts) {
  const { dataset } = document.documentElement; // Gradio replaces what others write on its own elements
  const turn = () => {
    dataset.models = dataset.models === "all" ? "" : "all";
    const all = dataset.models === "all";
    setText(control, all ? texts.models_fewer : texts.models_all);
    control.setAttribute("aria-expanded", String(all));
  };
  const control = button(texts.models_all, turn, "fs-small", { id: "fs-all-models", "aria-expanded": "false" });
  return control;
}

/** @type {import("./start.js").Part} */
export function start(root, { texts }, gradio) {
  const known = () => {
    gradio.props.value = String(Date.now()); // the review looks again
    gradio.trigger("change");
    dispatchEvent(new Event("finetune-lengths"));
  };
  const access = new HubAccess(texts, () => chosen.refresh());
  const lists = new ModelLists(texts, access);
  const chosen = new ChosenModel(texts, access, () => lists.readHere(), known);
  root.append(cardsSwitch(texts), chosen.element, lists.element, access.element);
  addEventListener("finetune-config", (event) => chosen.choose(/** @type {CustomEvent} */ (event).detail?.model));
  chosen.choose(formNow().model);
}
