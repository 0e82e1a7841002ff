// The chosen model: downloaded, or to be downloaded, with the progress of its download.
// @ts-check
import { ask, followJob, inWords, post, refusedFor } from "./api.js";
import { button, fill, make, setText } from "./dom.js";
import { size } from "./format.js";

/** @typedef {import("./hub_access.js").HubAccess} HubAccess */

export class ChosenModel {
  model = "";
  online = false;
  #asked = 0;
  #running = "";
  #halted = false;

  /** @param {Record<string, any>} texts @param {HubAccess} access @param {() => void} known @param {string} [id] of its element */
  constructor(texts, access, known, id) {
    this.onDownloaded = () => {};
    this.known = known;
    this.texts = texts;
    this.access = access;
    this.said = make("span", { role: "status", "aria-live": "polite" });
    this.bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": texts.downloading });
    this.fetch = button(texts.download_now, () => this.download(), "", { hidden: true });
    this.look = button(texts.look_up, () => this.lookUp(), "", { hidden: true });
    this.stop = button(texts.download_stop, () => this.halt(), "fs-small", { hidden: true });
    const parts = [this.said, this.bar, this.fetch, this.look, this.stop];
    this.element = make("p", { class: "fs-row", ...(id ? { id } : {}) }, ...parts);
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
    else if (!this.#halted) this.onDownloaded();
  }
}
