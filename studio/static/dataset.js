// The data part of the pages: upload a file, see its detected format and its problems, and fix them.
// @ts-check
import { Refused, ask, followJob, inWords, post } from "./api.js";
import { columnChoice, tableChoice } from "./column_choice.js";
import { CleaningPanel } from "./dataset_cleaning.js";
import { difference } from "./dataset_difference.js";
import { counts, detection, report, talks } from "./dataset_report.js";
import { RowsPanel } from "./dataset_rows.js";
import { demoButton } from "./demo.js";
import { button, fill, make, number, onEnter, setText, statusLine } from "./dom.js";
import { size } from "./format.js";
import { splitChoice } from "./split_choice.js";
import { Tabs } from "./tabs.js";
import { upload } from "./upload.js";
import { TokenPreview } from "./tokens.js";

/**
 * @typedef {import("./dataset_report.js").Dataset} Dataset
 * @typedef {{ keep?: string, columns?: string[], waiting?: string, sampleBy?: string }} Retry what to show if reading
 *   fails: the previously open dataset, the columns to choose from, the job that has the file, how it was split
 */

const READING = "finetune-reading";

class DatasetPart {
  #turn = 0;
  #opened = "";
  #leaving = false; // leaving the page aborts its requests, but not the job

  /** @param {HTMLElement} root @param {import("./start.js").Settings} settings @param {import("./start.js").Gradio} gradio */
  constructor(root, settings, gradio) {
    this.root = root;
    this.settings = settings;
    this.gradio = gradio;
    this.texts = settings.texts;
    const { texts } = this;
    this.said = statusLine({ class: "fs-said", tabindex: -1 });
    this.note = make("p", { class: "fs-hint", role: "status" });
    this.bar = make("progress", { max: 100, value: 0, hidden: true, "aria-label": texts.checking });
    const file = { type: "file", accept: settings.suffixes.join(","), class: "fs-file", id: "fs-file" };
    this.input = make("input", { ...file, "aria-describedby": "fs-drop-help" });
    const help = make("span", { id: "fs-drop-help" }, texts.drop_help);
    this.zone = make("label", { class: "fs-drop", for: "fs-file" }, make("strong", {}, texts.drop), help, this.input);
    this.sample = button(texts.take_sample, () => this.take(() => post("/api/datasets/sample")));
    this.shown = make("div", { class: "fs-preview" });
    this.demo = demoButton(texts, (error) => this.fail(error));
    this.demo.hidden = true; // until it is known that there is no run yet
    this.cancel = button(texts.cancel, () => this.cancelJob(), "fs-small", { hidden: true });
    const row = make("div", { class: "fs-row" }, this.sample, this.demo, this.otherPlaces(), this.bar, this.cancel);
    root.append(this.zone, row, this.said, this.note, this.shown);
    this.listen();
  }

  get busy() {
    return this.input.disabled; // one file at a time
  }

  listen() {
    const { zone, input } = this;
    addEventListener("pagehide", () => (this.#leaving = true));
    addEventListener("finetune-runs", (event) => (this.demo.hidden = /** @type {CustomEvent} */ (event).detail > 0));
    addEventListener("finetune-deleted", (event) => this.forget(/** @type {CustomEvent} */ (event).detail));
    input.addEventListener("change", () => input.files?.length && this.drop([...input.files]));
    // The whole page takes a file: nobody has to aim.
    for (const kind of ["dragover", "dragleave", "drop"])
      document.addEventListener(kind, (event) => {
        if (!(/** @type {DragEvent} */ (event).dataTransfer?.types.includes("Files"))) return;
        event.preventDefault();
        zone.classList.toggle("fs-over", kind === "dragover");
        const dropped = /** @type {DragEvent} */ (event).dataTransfer;
        const files = kind === "drop" && dropped ? [...dropped.files] : [];
        if (files.length) this.drop(files);
      });
  }

  /** @param {File[]} files */
  drop(files) {
    this.take(() => this.upload(files[0]), { keep: this.#opened }); // a file that can't be read changes nothing
    if (files.length > 1) setText(this.note, this.texts.one_at_a_time);
  }

  /** Tell the form which dataset is chosen. @param {string} id */
  choose(id) {
    if (this.gradio.props.value === id) return;
    this.gradio.props.value = id;
    this.gradio.trigger("change");
    dispatchEvent(new CustomEvent("finetune-dataset", { detail: id }));
  }

  /** @param {string} id */
  forget(id) {
    if (id !== this.#opened) return;
    this.#opened = "";
    this.shown.replaceChildren();
    setText(this.said, "");
    this.choose("");
  }

  // ---- from elsewhere: a folder of the home, the Hub ----------------------------------------------------------------

  otherPlaces() {
    const { texts } = this;
    const list = make("select", { "aria-label": texts.imports });
    const hint = make("p", { class: "fs-hint" });
    const fetchFile = () => list.value && this.take(() => post("/api/datasets/imports", { name: list.value }));
    const fetching = button(texts.read_it, fetchFile, "fs-small");
    const hub = make("input", { type: "text", placeholder: "owner/name", "aria-label": texts.hub_dataset });
    const look = () => this.lookOnHub(hub.value.trim().replace(/^hub:/, ""));
    hub.addEventListener("keydown", onEnter(look));
    const box = make("details", { class: "fs-elsewhere" }, make("summary", {}, texts.elsewhere), hint);
    box.append(
      make("div", { class: "fs-row" }, list, fetching),
      make("p", { class: "fs-hint" }, texts.hub_help),
      make("div", { class: "fs-row" }, hub, button(texts.read_it, look, "fs-small")),
    );
    box.addEventListener("toggle", async () => {
      if (!box.open) return;
      const found = await ask("/api/datasets/imports").catch(() => ({ files: [], folder: "" }));
      setText(hint, fill(texts.imports_help, { folder: found.folder }));
      const option = (/** @type {{ name: string, bytes: number }} */ one) =>
        make("option", { value: one.name }, `${one.name} (${size(one.bytes)})`);
      list.replaceChildren(...found.files.map(option));
      list.hidden = fetching.hidden = !found.files.length;
    });
    return box;
  }

  /** @param {string} name NAME:CONFIG:SPLIT */
  fetchSplit(name) {
    return this.take(() => post("/api/datasets/imports", { name: `hub:${name}` }));
  }

  /** Show the configs and splits of a Hub dataset, to choose from. @param {string} name */
  async lookOnHub(name) {
    const { texts } = this;
    if (!name) return;
    if (this.busy) return setText(this.note, texts.one_at_a_time);
    if (name.split(":").length > 2) return this.fetchSplit(name);
    const mine = ++this.#turn;
    this.begin(texts.hub_looking);
    this.bar.hidden = false;
    this.bar.removeAttribute("value");
    try {
      const found = await followJob((await post("/api/datasets/hub", { name })).job);
      if (mine !== this.#turn) return;
      const [only] = found.splits;
      if (found.configs.length === 1 && found.splits.length === 1)
        return await this.fetchSplit(`${found.name}:${found.config}:${only.name}`);
      setText(this.said, fill(texts.hub_found, { name: found.name, count: found.splits.length }));
      const look = (/** @type {string} */ one) => this.lookOnHub(one);
      this.shown.replaceChildren(splitChoice(found, texts, look, (one) => this.fetchSplit(one)));
      this.shown.querySelector("select")?.focus();
    } catch (error) {
      if (mine === this.#turn) this.fail(error);
    } finally {
      if (mine === this.#turn && !this.busy) this.bar.hidden = true;
    }
  }

  // ---- sending, reading -----------------------------------------------------------------------------------------------

  /** Deselect the old dataset, so that no run can start with it while a new one is read. @param {string} words */
  begin(words) {
    setText(this.note, "");
    this.root.classList.remove("fs-bad");
    this.choose("");
    this.shown.replaceChildren();
    setText(this.said, words);
  }

  /** @param {unknown} error */
  fail(error) {
    this.root.classList.add("fs-bad");
    setText(this.said, inWords(error, this.texts));
  }

  /**
   * Start a job that reads a file, follow it, and open the resulting dataset.
   * @param {() => Promise<{ job: string }>} begin
   * @param {Retry} [retry]
   */
  async take(begin, retry = {}) {
    const { texts } = this;
    if (this.busy) return setText(this.note, texts.one_at_a_time);
    this.begin(texts.checking);
    this.sample.disabled = this.input.disabled = true;
    const mine = ++this.#turn;
    let job = "";
    try {
      ({ job } = await begin());
      sessionStorage.setItem(READING, job); // a page reload continues with this job
      this.cancel.hidden = false;
      const found = await this.follow(job, mine);
      await this.open(found.dataset);
    } catch (error) {
      this.fail(error);
      await this.offerRetry(error, { ...retry, waiting: job || retry.waiting });
    } finally {
      this.sample.disabled = this.input.disabled = false;
      this.bar.hidden = this.cancel.hidden = true;
      this.input.value = "";
      if (!this.#leaving) sessionStorage.removeItem(READING);
      if (document.activeElement === document.body) this.said.focus(); // the pressed button is gone
    }
  }

  cancelJob() {
    const job = sessionStorage.getItem(READING);
    if (job) ask(`/api/datasets/jobs/${job}`, { method: "DELETE" }).catch((error) => this.fail(error));
  }

  /** Offer ways to handle a file that couldn't be read. @param {unknown} error @param {Retry} retry */
  async offerRetry(error, { keep, columns, waiting, sampleBy = "paragraph" }) {
    const { texts } = this;
    const refused = error instanceof Refused ? error : null;
    const [unknown, tables] = [refused?.problem("format_unknown"), refused?.problem("table_choice")];
    if (tables && waiting) {
      const apply = (/** @type {string} */ name) => {
        const begin = () => post(`/api/datasets/jobs/${waiting}/columns`, { columns: {}, sample_by: name });
        this.take(begin, { waiting, sampleBy: name });
      };
      this.shown.replaceChildren(tableChoice(tables.params.known, texts, apply));
    } else if (keep && !unknown)
      await this.open(keep, true).catch(() => {}); // keep the previous dataset usable
    else if ((unknown || columns) && waiting) {
      const known = unknown ? unknown.params.columns : columns;
      const found = { known_columns: known, columns: {}, sample_by: sampleBy };
      this.shown.replaceChildren(this.mapping(found, `/api/datasets/jobs/${waiting}/columns`, { waiting }));
    }
  }

  /** @param {string} job @param {number} mine the turn that this job is of */
  follow(job, mine) {
    let previewed = false;
    return followJob(job, (reported) => {
      if (mine !== this.#turn) throw new Error("");
      if (reported.preview && !previewed) {
        previewed = true;
        this.shown.replaceChildren(talks(reported.preview.examples, this.texts));
      }
      const [done, total] = reported.progress;
      this.bar.hidden = false;
      if (total && done) this.bar.value = (100 * done) / total;
      else this.bar.removeAttribute("value");
      if (reported.rows) setText(this.said, fill(this.texts.reading_rows, { rows: number(reported.rows) }));
    });
  }

  /** @param {File} file @returns {Promise<{ job: string }>} */
  upload(file) {
    const { texts, settings } = this;
    const limit = settings.most_bytes;
    // Check before uploading anything: the server would reject it too.
    if (file.size > limit)
      return Promise.reject(
        new Error(fill(texts.too_large, { name: file.name, size: size(file.size), limit: size(limit) })),
      );
    return upload(`/api/datasets?name=${encodeURIComponent(file.name)}`, file, texts, (percent) => {
      this.bar.hidden = false;
      this.bar.value = percent;
      setText(this.said, percent < 100 ? fill(texts.uploading, { percent }) : texts.checking);
    });
  }

  // ---- one dataset ------------------------------------------------------------------------------------------------------

  /** @param {string} id @param {boolean} [keepMessage] */
  async open(id, keepMessage = false) {
    const { texts, settings } = this;
    this.#opened = id;
    this.keepAddress(id);
    /** @type {Dataset} */
    const found = await ask(`/api/datasets/${encodeURIComponent(id)}?language=${settings.language}`);
    const facts = { name: found.name, rows: number(found.rows), format: found.format || "–" };
    if (!keepMessage) setText(this.said, fill(texts.dataset_line, facts));
    const save = (/** @type {Map<number, string | null>} */ changes) =>
      this.take(() => post(`/api/datasets/${id}/edit`, { changes: Object.fromEntries(changes) }), { keep: id });
    const make_ = (/** @type {() => Promise<{ job: string }>} */ begin) => this.take(begin, { keep: id });
    const change = (/** @type {import("./dataset_rows.js").Change} */ changes) =>
      make_(() => post(`/api/datasets/${id}/change`, changes));
    const options = { texts, language: settings.language, chooses: !settings.models, save };
    const [tokens, lengths] = [make("div"), make("div")];
    const count = found.invalid + found.suspicious;
    const tabs = new Tabs(texts.data, "fs-data", [
      { id: "rows", title: texts.tab_rows, panel: new RowsPanel(found, texts, change, !settings.models).element },
      { id: "problems", title: fill(texts.tab_problems, { count: number(count) }), panel: report(found, options) },
      { id: "tokens", title: texts.tab_tokens, panel: tokens },
      { id: "lengths", title: texts.tab_lengths, panel: lengths },
      { id: "clean", title: texts.tab_clean, panel: new CleaningPanel(found, texts, make_).element },
    ]);
    if (count) tabs.choose("problems");
    const from = found.origin ? difference(id, found.origin, texts, (before) => this.open(before)) : "";
    this.shown.replaceChildren(counts(found, texts), from, this.detected(found), tabs.element);
    this.choose(id);
    new TokenPreview(tokens, lengths, settings, found).begin();
  }

  /** The address names what is open, so that a reload shows the same. @param {string} id */
  keepAddress(id) {
    const address = new URL(location.href);
    if (!this.settings.models && !address.searchParams.has("dataset")) return;
    address.searchParams.set("dataset", id);
    history.replaceState(history.state, "", address);
  }

  /** @param {Dataset} found */
  detected(found) {
    const { texts } = this;
    const lines = detection(found, texts);
    if (found.parts || !found.known_columns.length) return make("div", {}, ...lines);
    const mapping = this.mapping(found, `/api/datasets/${found.id}/columns`, { keep: found.id });
    const box = make("details", { class: "fs-mapping" }, make("summary", {}, texts.change_columns), mapping);
    return make("div", {}, ...lines, box);
  }

  /** @param {import("./column_choice.js").Columns} found @param {string} place @param {Retry} retry */
  mapping(found, place, retry) {
    const more = { ...retry, columns: found.known_columns, sampleBy: found.sample_by };
    return columnChoice(found, this.texts, (chosen) => this.take(() => post(place, chosen), more));
  }

  /** Restore the dataset of the page: from its URL, from the form, or from a job that is still reading. */
  async restore() {
    const failed = (/** @type {unknown} */ error) => {
      this.fail(error);
      this.choose("");
    };
    let known = new URLSearchParams(location.search).get("dataset") || "";
    const reading = sessionStorage.getItem(READING);
    if (known) this.open(known).catch(failed);
    else if (reading)
      ask(`/api/datasets/jobs/${reading}`).then(
        () => this.take(async () => ({ job: reading })),
        () => sessionStorage.removeItem(READING),
      );
    // Gradio may restore a partially filled form a little later.
    const fromForm = () => {
      const id = this.gradio.props.value;
      if (!id || id === known || id === this.#opened) return;
      known = id;
      this.open(id).catch(failed);
    };
    this.gradio.watch("value", fromForm);
    fromForm();
  }
}

/** @type {import("./start.js").Part} */
export function start(root, settings, gradio) {
  new DatasetPart(root, settings, gradio).restore();
}
