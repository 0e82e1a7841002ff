// What is to be evaluated: a run, its adapter, the rows, the metrics, and whether the base model is asked too.
// @ts-check
import { Latest, ask, post, runPath } from "./api.js";
import { button, fill, labelled, make, pageLanguage } from "./dom.js";

const HELD_OUT = "held_out"; // as in interfaces/evaluations.py

export class EvaluateForm {
  #latest = new Latest();
  #asked = false; // the first run's choices are shown

  /** @param {Record<string, any>} texts @param {() => void} changed @param {(error: unknown) => void} fail */
  constructor(texts, changed, fail) {
    this.texts = texts;
    this.changed = changed;
    this.fail = fail;
    this.select = make("select", { id: "fs-evaluate-run" });
    this.adapter = make("select", { id: "fs-evaluate-adapter" });
    this.data = make("select", { id: "fs-evaluate-data" });
    this.base = make("input", { type: "checkbox", checked: true });
    this.probe = make("input", { type: "checkbox", checked: true });
    this.rows = make("input", { type: "number", id: "fs-evaluate-rows", min: 0, step: 1, value: 200, required: true });
    this.tokens = make("input", { type: "number", id: "fs-evaluate-tokens", min: 1, max: 8192, step: 1, value: 256, required: true }); // prettier-ignore
    this.pattern = make("input", { type: "text", id: "fs-evaluate-pattern", maxlength: 1000 });
    this.schema = make("textarea", { id: "fs-evaluate-schema", rows: 3, spellcheck: "false" });
    this.metrics = make("div", { class: "fs-row", role: "group", "aria-label": texts.metrics });
    this.start = button(texts.start_evaluation, () => this.begin(), "fs-primary");
    this.none = make("p", { hidden: true }, texts.nothing_to_try, " ", make("a", { href: "./" }, texts.train));
    const check = (/** @type {HTMLElement} */ box, /** @type {string} */ text) => make("label", { class: "fs-check" }, box, text); // prettier-ignore
    this.all = make(
      "div",
      { hidden: true },
      make("div", { class: "fs-try-grid" }, labelled(texts.try_run, this.select), labelled(texts.evaluate_adapter, this.adapter), labelled(texts.evaluate_data, this.data)), // prettier-ignore
      make(
        "div",
        { class: "fs-row" },
        check(this.base, texts.evaluate_base),
        check(this.probe, texts.evaluate_general),
      ),
      make(
        "details",
        {},
        make("summary", {}, texts.evaluate_more),
        this.metrics,
        make("p", { class: "fs-hint" }, texts.metrics_help),
        make("div", { class: "fs-try-grid" }, labelled(texts.evaluate_rows, this.rows), labelled(texts.try_max_new_tokens, this.tokens), labelled(texts.evaluate_pattern, this.pattern)), // prettier-ignore
        labelled(texts.evaluate_schema, this.schema),
      ),
      make("div", { class: "fs-row" }, this.start),
    );
    this.element = make("div", { class: "fs-evaluate-form" }, this.all, this.none);
    this.select.addEventListener("change", () => this.choose().catch(fail));
  }

  get run() {
    return this.select.value;
  }

  /** Offer the runs with an adapter, and choose one. @param {string} wanted @returns {Promise<boolean>} whether it is there */
  async load(wanted) {
    /** @type {[{ id: string, name: string, state: string, resumable: boolean }[], { id: string, name: string, valid: number }[]]} */
    const [runs, datasets] = await Promise.all([ask("/api/runs"), ask("/api/datasets")]);
    const able = runs.filter((one) => one.state === "finished" || one.resumable || one.id === wanted);
    this.all.hidden = !able.length;
    this.none.hidden = able.length > 0;
    if (!able.length) return !wanted;
    this.select.replaceChildren(...able.map((one) => make("option", { value: one.id }, one.name || one.id)));
    this.select.value = able.some((one) => one.id === wanted) ? wanted : able[0].id;
    this.data.replaceChildren(
      make("option", { value: HELD_OUT }, this.texts.held_out),
      ...datasets.filter(({ valid }) => valid).map(({ id, name }) => make("option", { value: id }, name)),
      make("option", { value: "" }, this.texts.only_general),
    );
    await this.choose();
    return !wanted || runs.some((one) => one.id === wanted);
  }

  async choose() {
    const path = `${runPath(this.run)}/evaluations/choices?language=${pageLanguage()}`;
    const choices = await this.#latest.ask(() => ask(path));
    if (!choices) return; // another run has been chosen meanwhile
    const kept = /** @type {HTMLOptionElement} */ (this.data.options[0]);
    kept.disabled = !choices.held_out;
    if (kept.disabled && kept.selected) this.data.value = "";
    else if (!kept.disabled && !this.#asked) this.data.value = HELD_OUT;
    this.#asked = true;
    const result = choices.adapter ? [make("option", { value: "" }, this.texts.after)] : [];
    const step = (/** @type {number} */ at) => make("option", { value: at }, fill(this.texts.at_step, { step: at }));
    this.adapter.replaceChildren(...result, ...choices.steps.reverse().map(step));
    const box = (/** @type {[string, any]} */ [name, label]) =>
      make("label", { class: "fs-check" }, make("input", { type: "checkbox", value: name }), label);
    if (!this.metrics.childElementCount) this.metrics.replaceChildren(...Object.entries(choices.metrics).map(box));
    this.start.disabled = !choices.adapter && !choices.steps.length;
    this.changed();
  }

  /** Queue the evaluation. */
  async begin() {
    const wrong = [this.rows, this.tokens].find((input) => !input.reportValidity());
    if (wrong) return;
    this.start.disabled = true;
    try {
      await post(`${runPath(this.run)}/evaluations`, this.spec());
      this.changed();
    } catch (error) {
      this.fail(error);
    } finally {
      this.start.disabled = false;
    }
  }

  spec() {
    const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (this.metrics.querySelectorAll("input:checked"));
    return {
      dataset: this.data.value,
      step: this.adapter.value === "" ? null : Number(this.adapter.value),
      base: this.base.checked,
      probe: this.probe.checked || !this.data.value,
      metrics: [...boxes].map(({ value }) => value),
      max_rows: Number(this.rows.value),
      max_new_tokens: Number(this.tokens.value),
      pattern: this.pattern.value,
      json_schema: this.schema.value.trim() ? this.parsed() : null,
    };
  }

  /** The JSON schema; what isn't JSON is sent as it is, so that the studio says what is wrong. */
  parsed() {
    try {
      return JSON.parse(this.schema.value);
    } catch {
      throw new Error(this.texts.schema_no_json);
    }
  }
}
