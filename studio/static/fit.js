// The resource estimate for the form's settings: as text and as a bar. The list of models gets each model's estimate.
// @ts-check
import { Refused, ask, inWords, post, runPage, runPath } from "./api.js";
import { button, fill, heads, make, poll, scrolling, setText, statusLine } from "./dom.js";
import { changesInWords, clock, size } from "./format.js";
import { formNow } from "./form.js";

/**
 * @typedef {Record<string, unknown>} Changes
 * @typedef {{ changes: Changes, costs: string[], total_bytes: number, practical: boolean, step_seconds: number }} Saving
 * @typedef {{ fit_level: string, total_bytes: number, fit: Saving | null, slow: boolean, seconds: [number, number] | null }} ModelFit
 * @typedef {{
 *   bytes: Record<string, number>, total_bytes: number, fit_level: string, steps: number | null,
 *   seconds: [number, number] | null, download_bytes: number, disk_bytes: number, batch_tokens: number,
 *   lengths_known: boolean, gradient_checkpointing: boolean, remarks: string[], device: { name: string, free_bytes: number },
 *   fit: Saving | null, savings: Saving[],
 * }} EstimateAnswer
 * @typedef {{
 *   estimate: EstimateAnswer | null, detail: string, models: Record<string, ModelFit>,
 *   presets: Record<string, { fit_level: string, total_bytes: number, model: string }>,
 *   wait: { runs: number, seconds: number | null, paused: boolean } | null,
 * }} Answer
 */

const REFRESH_MS = 10000; // other programs come and go

class FitPart {
  #asked = 0;
  #shown = "";
  #timingRun = "";

  /** @param {HTMLElement} root @param {import("./start.js").Settings} settings @param {import("./start.js").Gradio} gradio */
  constructor(root, settings, gradio) {
    this.root = root;
    this.gradio = gradio;
    this.texts = settings.texts;
    this.language = settings.language;
    /** @type {Record<string, any> | null} */
    this.config = formNow().config ?? null;
    const { texts } = this;
    this.said = statusLine({ class: "fs-summary-line" });
    this.bar = make("div", { class: "fs-memory", role: "img", "aria-label": texts.fit_heading, hidden: true });
    this.legend = make("dl", { class: "fs-memory-parts" });
    this.note = make("p", { class: "fs-hint" });
    this.wait = statusLine({ class: "fs-wait", hidden: true });
    this.change = make("p", { class: "fs-row" });
    this.undone = make("p", { class: "fs-row", role: "status", hidden: true });
    this.timed = make("span", { role: "status" });
    this.timeIt = button(texts.fit_timing, () => this.measure(), "fs-small");
    this.timing = make("p", { class: "fs-row", hidden: true }, this.timeIt, this.timed);
    this.rows = make("tbody");
    this.presetRows = make("tbody");
    this.more = this.table(
      texts.fit_savings,
      [texts.fit_change, texts.fit_memory, texts.fit_cost],
      this.rows,
      texts.fit_apply,
    );
    this.presets = this.table(texts.fit_presets, [texts.preset, texts.fit_memory, texts.fit_model], this.presetRows);
    const heading = make("h3", {}, texts.fit_heading);
    root.append(
      heading,
      this.said,
      this.timing,
      this.bar,
      this.legend,
      this.note,
      this.change,
      this.undone,
      this.more,
      this.presets,
      this.wait,
    );
  }

  /** @param {string} title @param {string[]} columns @param {HTMLElement} rows @param {string} [hidden] a last head for those who can't see */
  table(title, columns, rows, hidden = "") {
    const head = heads(...columns);
    if (hidden) head.append(make("th", {}, make("span", { class: "fs-hidden" }, hidden)));
    const table = make("table", {}, make("thead", {}, head), rows);
    return make("details", {}, make("summary", {}, title), scrolling(title, table));
  }

  /** @param {Saving} one */
  costs(one) {
    return one.costs.map((name) => this.texts[`cost_${name}`]).join("; ");
  }

  /** @param {Changes} changes */
  set(changes) {
    this.gradio.props.value = JSON.stringify({ ...changes, turn: Date.now() });
    this.gradio.trigger("change");
  }

  /** Change the form's settings and offer an undo. @param {Changes} changes */
  apply(changes) {
    const valueOf = (/** @type {string} */ name) =>
      name.split(".").reduce((inner, key) => inner[key], this.config ?? {});
    const before = Object.fromEntries(Object.keys(changes).map((name) => [name, valueOf(name)]));
    this.set(changes);
    const back = () => {
      this.set(before);
      this.undone.hidden = true;
    };
    const words = make("span", {}, fill(this.texts.fit_changed, { changes: changesInWords(changes) }));
    this.undone.hidden = false;
    this.undone.replaceChildren(words, button(this.texts.undo, back, "fs-small"));
  }

  /** Run a few steps to measure the step time. */
  async measure() {
    this.timeIt.disabled = true;
    try {
      this.#timingRun = (await post(`/api/estimate/time?language=${this.language}`, { config: this.config })).run;
      const link = make("a", { href: runPage(this.#timingRun) }, this.#timingRun);
      this.timed.replaceChildren(this.texts.fit_timing_run, " ", link);
    } catch (error) {
      this.timeIt.disabled = false;
      setText(this.timed, inWords(error, this.texts));
    }
  }

  async askAfterTiming() {
    if (!this.#timingRun || this.timing.hidden) return;
    let run = null;
    try {
      run = await ask(runPath(this.#timingRun));
    } catch (error) {
      if (!(error instanceof Refused)) return; // keep polling if the studio is down; a refusal means the run was deleted
    }
    if (run && !run.over) return;
    this.#timingRun = "";
    this.timeIt.disabled = false;
    const over = run && run.state !== "finished";
    setText(this.timed, over ? fill(this.texts.fit_timing_over, { state: this.texts[`state_${run.state}`] }) : "");
  }

  /** @param {Record<string, any> | null} config */
  changed(config) {
    this.config = config;
    return this.refresh();
  }

  async refresh() {
    if (!this.config) return;
    const mine = ++this.#asked;
    /** @type {Answer} */
    let answer;
    try {
      answer = await post(`/api/estimate?language=${this.language}`, { config: this.config });
    } catch {
      return;
    }
    if (mine !== this.#asked) return; // there is a newer request
    dispatchEvent(new CustomEvent("finetune-estimate", { detail: answer.models }));
    this.showPresets(answer);
    const text = JSON.stringify(answer);
    if (text !== this.#shown) {
      this.#shown = text;
      this.show(answer);
    }
    await this.askAfterTiming();
  }

  /** @param {Answer} answer */
  showPresets({ presets }) {
    const badge = (/** @type {{ fit_level: string, total_bytes: number }} */ one) =>
      make(
        "span",
        { class: "fs-badge", "data-level": one.fit_level },
        `${size(one.total_bytes)} · ${this.texts[one.fit_level]}`,
      );
    const rows = Object.entries(presets).map(([name, one]) =>
      make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, badge(one)), make("td", {}, one.model)),
    );
    this.presetRows.replaceChildren(...rows);
    this.presets.hidden = !rows.length;
  }

  /** @param {Answer} answer */
  show({ estimate, detail, wait }) {
    const { texts } = this;
    this.wait.hidden = !wait;
    if (wait) setText(this.wait, this.waitInWords(wait));
    for (const part of [this.bar, this.legend, this.note, this.change, this.more]) part.hidden = !estimate;
    this.timing.hidden = true;
    if (!estimate) {
      this.root.dataset.level = "";
      return setText(this.said, detail || texts.fit_settings);
    }
    const [need, free] = [estimate.total_bytes, estimate.device.free_bytes];
    Object.assign(this.root.dataset, { level: estimate.fit_level, total: String(need) });
    const words = fill(texts[`level_${estimate.fit_level}`], {
      need: size(need),
      free: size(free),
      device: estimate.device.name,
    });
    setText(this.said, [words, this.timeInWords(estimate)].filter(Boolean).join(" "));
    // A missing model would be downloaded first, and one that doesn't fit would fail.
    const possible = estimate.steps !== null && estimate.download_bytes === 0 && estimate.fit_level !== "too_big";
    this.timing.hidden = !possible || estimate.seconds !== null;
    this.showMemory(estimate.bytes, need, free);
    this.showNote(estimate);
    this.showChange(estimate);
    this.showSavings(estimate.savings, need);
  }

  /** @param {EstimateAnswer} estimate */
  timeInWords({ steps, seconds }) {
    if (steps === null) return "";
    if (seconds === null) return fill(this.texts.fit_steps, { steps });
    return fill(this.texts.fit_time, { steps, from: clock(seconds[0]), to: clock(seconds[1]) });
  }

  /** When the run would start. @param {{ runs: number, seconds: number | null, paused: boolean }} wait */
  waitInWords({ runs, seconds, paused }) {
    const { texts } = this;
    if (paused) return texts.wait_paused;
    return seconds === null
      ? fill(texts.wait_unknown, { count: runs })
      : fill(texts.wait_time, { count: runs, time: clock(seconds) });
  }

  /** A bar with the parts of the memory, and a mark at the free memory. @param {Record<string, number>} bytes @param {number} need @param {number} free */
  showMemory(bytes, need, free) {
    const { texts } = this;
    const whole = Math.max(need, free);
    const parts = Object.entries(bytes).filter(([, amount]) => amount > 0);
    const named = (/** @type {[string, number]} */ [name, amount]) => `${texts[`part_${name}`]}: ${size(amount)}`;
    const bars = parts.map(([name, amount]) =>
      make("span", {
        class: `fs-part-${name}`,
        style: `width:${(amount / whole) * 100}%`,
        title: named([name, amount]),
      }),
    );
    const mark = {
      class: "fs-free",
      style: `left:${(free / whole) * 100}%`,
      title: fill(texts.fit_free, { free: size(free) }),
    };
    this.bar.replaceChildren(...bars, ...(need > free ? [make("i", mark)] : []));
    this.bar.setAttribute("aria-label", parts.map(named).join(", "));
    const swatch = (/** @type {string} */ name) => make("i", { class: `fs-swatch fs-part-${name}` });
    const lines = parts.map(([name, amount]) =>
      make("div", {}, make("dt", {}, swatch(name), texts[`part_${name}`]), make("dd", {}, size(amount))),
    );
    this.legend.replaceChildren(...lines);
  }

  /** @param {EstimateAnswer} estimate */
  showNote(estimate) {
    const { texts } = this;
    const lines = [
      fill(estimate.lengths_known ? texts.fit_batch : texts.fit_unknown, { tokens: estimate.batch_tokens }),
      estimate.gradient_checkpointing === true ? texts.fit_recomputed : "",
      ...estimate.remarks,
      fill(texts.fit_disk, { disk: size(estimate.disk_bytes + estimate.download_bytes) }),
    ];
    setText(this.note, lines.filter(Boolean).join(" "));
  }

  /** A button that applies the mildest change that fits. @param {EstimateAnswer} estimate */
  showChange({ fit_level, fit }) {
    const { texts } = this;
    this.change.hidden = fit_level === "fits";
    const line = (/** @type {string} */ text) => make("span", {}, text);
    if (!fit) return this.change.replaceChildren(...(fit_level === "fits" ? [] : [line(texts.fit_nothing)]));
    const changes = changesInWords(fit.changes);
    if (!fit.practical)
      return this.change.replaceChildren(line(fill(texts.fit_impractical, { changes, time: clock(fit.step_seconds) })));
    const apply = button(texts.fit_make, () => this.apply(fit.changes), "fs-primary", { id: "fs-make-it-fit" });
    this.change.replaceChildren(apply, line(`${changes}: ${size(fit.total_bytes)} (${this.costs(fit)})`));
  }

  /** @param {Saving[]} savings @param {number} need */
  showSavings(savings, need) {
    const cell = (/** @type {import("./dom.js").Child} */ part) => make("td", {}, part);
    const row = (/** @type {Saving} */ one) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, changesInWords(one.changes)),
        cell(`${size(one.total_bytes)} (−${size(need - one.total_bytes)})`),
        cell(this.costs(one)),
        cell(button(this.texts.fit_apply, () => this.apply(one.changes), "fs-small")),
      );
    this.rows.replaceChildren(...savings.map(row));
    this.more.hidden = !savings.length;
  }
}

/** @type {import("./start.js").Part} */
export function start(root, settings, gradio) {
  const part = new FitPart(root, settings, gradio);
  addEventListener("finetune-config", (event) =>
    part.changed(/** @type {CustomEvent} */ (event).detail?.config ?? null),
  );
  addEventListener("finetune-lengths", () => part.refresh());
  poll(root, () => part.refresh(), REFRESH_MS);
}
