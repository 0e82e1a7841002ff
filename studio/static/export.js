// The Export page: what is written of a run's result, its exports with their proofs, and how they are used elsewhere.
// @ts-check
import { Latest, ask, inWords, post, runPage, runPath } from "./api.js";
import { button, copied, fill, heads, labelled, make, poll, scrolling, setText, statusLine } from "./dom.js";
import { ago, size } from "./format.js";
import { JobCards, jobActions } from "./job_cards.js";

/**
 * @typedef {{ prompt: string, taught: boolean, reference: string, answer: string, differs_at: number | null, margin: number | null }} Row
 * @typedef {{ way: string, number_format: string, rows: Row[] }} Comparison
 * @typedef {{
 *   run: string, number: number, state: string, over: boolean, phase: string, progress: [number, number] | null, problem: string,
 *   request: { kind: string, quantization: string | null, step: number | null, name: string, out: string, created: number },
 *   bytes: number, there: boolean, substituted: number, has_template: boolean | null, unproven: string, pushed: string,
 *   proof: { exported: Comparison, control: Comparison, tokens: number, passed: boolean | null } | null,
 *   usage: { program: string, text: string, proven: boolean }[],
 * }} Export
 * @typedef {import("./job_cards.js").Card<Export>} Card
 */

const POLL_MS = 1500;

/** How many answers are equal. @param {Comparison} comparison */
const equalOf = ({ rows }) => rows.filter((row) => row.differs_at === null).length;

class ExportPage {
  #latest = new Latest();

  /** @param {HTMLElement} root @param {import("./start.js").Settings} settings */
  constructor(root, { texts, language }) {
    const asked = new URLSearchParams(location.search);
    this.texts = texts;
    this.language = language;
    this.run = asked.get("run") ?? "";
    this.path = `${runPath(this.run)}/exports`;
    this.wanted = asked.get("step") ?? "";
    this.said = statusLine({ class: "fs-problem", hidden: true });
    this.kind = make("select", { id: "fs-export-kind" });
    this.format = make("select", { id: "fs-export-format" });
    this.adapter = make("select", { id: "fs-export-adapter" });
    this.formatField = labelled(texts.export_format, this.format);
    this.proof = make("input", { type: "checkbox", checked: true });
    this.push = make("input", { type: "text", id: "fs-export-push", placeholder: "owner/name", autocomplete: "off", spellcheck: "false" }); // prettier-ignore
    this.public = make("input", { type: "checkbox" });
    this.help = make("p", { class: "fs-hint" });
    this.start = button(texts.start_export, () => this.begin(), "fs-primary");
    /** @type {Record<string, string[]>} */
    this.formats = {};
    this.list = make("div", { class: "fs-evaluations" });
    this.cards = new JobCards(
      this.list,
      make("p", { class: "fs-hint" }, texts.no_exports),
      (/** @type {Export} */ one) => this.card(one),
    );
    this.back = make("a", { href: runPage(this.run) }, this.run);
    this.form = make(
      "div",
      { class: "fs-evaluate-form", hidden: true },
      make("div", { class: "fs-try-grid" }, labelled(texts.export_kind, this.kind), this.formatField, labelled(texts.evaluate_adapter, this.adapter)), // prettier-ignore
      this.help,
      make("div", { class: "fs-row" }, make("label", { class: "fs-check" }, this.proof, texts.export_prove)),
      make("details", {}, make("summary", {}, texts.export_push), make("p", { class: "fs-hint" }, texts.export_push_help), make("div", { class: "fs-try-grid" }, labelled(texts.export_repository, this.push)), make("label", { class: "fs-check" }, this.public, texts.export_public)), // prettier-ignore
      make("div", { class: "fs-row" }, this.start),
    );
    this.kind.addEventListener("change", () => this.offer());
    this.format.addEventListener("change", () => this.explain());
    root.append(make("h1", {}, texts.export_page), make("p", { class: "fs-hint" }, this.back), this.form, this.said, this.list); // prettier-ignore
    this.ready = this.load().catch((error) => this.say(inWords(error, texts)));
  }

  /** @param {string} text */
  say(text) {
    this.said.hidden = !text;
    setText(this.said, text);
  }

  async load() {
    const { texts } = this;
    const [run, choices] = await Promise.all([ask(runPath(this.run)), ask(`${this.path}/choices`)]);
    setText(this.back, run.name || this.run);
    this.formats = choices.kinds;
    this.kind.replaceChildren(
      ...Object.keys(choices.kinds).map((kind) => make("option", { value: kind }, texts[`export_${kind}`])),
    );
    const result = choices.adapter ? [make("option", { value: "" }, texts.after)] : [];
    const step = (/** @type {number} */ at) => make("option", { value: at }, fill(texts.at_step, { step: at }));
    this.adapter.replaceChildren(...result, ...choices.steps.reverse().map(step));
    if (choices.steps.map(String).includes(this.wanted)) this.adapter.value = this.wanted;
    this.start.disabled = !choices.adapter && !choices.steps.length;
    if (this.start.disabled) this.say(texts.nothing_to_export);
    this.form.hidden = false;
    this.offer();
  }

  /** The number formats of the chosen kind. */
  offer() {
    const known = this.formats[this.kind.value] ?? [];
    this.format.replaceChildren(...known.map((name) => make("option", { value: name }, name)));
    this.formatField.hidden = !known.length;
    this.explain();
  }

  explain() {
    const { texts } = this;
    const format = this.format.value ? texts[`format_${this.format.value}`] : "";
    setText(this.help, `${texts[`export_${this.kind.value}_help`]} ${format}`);
  }

  async begin() {
    this.start.disabled = true;
    try {
      await post(this.path, {
        kind: this.kind.value,
        quantization: this.format.value || null,
        step: this.adapter.value === "" ? null : Number(this.adapter.value),
        proof: this.proof.checked,
        push: this.push.value.trim(),
        public: this.public.checked && this.push.value.trim() !== "",
      });
      this.say("");
      await this.refresh();
    } catch (error) {
      this.say(inWords(error, this.texts));
    } finally {
      this.start.disabled = false;
    }
  }

  async refresh() {
    await this.ready;
    if (this.form.hidden) return;
    try {
      const list = await this.#latest.ask(() => ask(`${this.path}?language=${this.language}`));
      if (!list) return;
      if (this.said.textContent === this.texts.no_connection) this.say(""); // the studio responds again
      this.cards.show(list);
    } catch (error) {
      this.say(inWords(error, this.texts));
    }
  }

  /** @param {Export} one @returns {Card} */
  card(one) {
    const { texts } = this;
    const { name } = one.request;
    const bar = make("progress", { max: 1, value: 0, "aria-label": name });
    const done = make("span", { class: "fs-hint" }, one.over ? ago(this.language, one.request.created, Date.now() / 1000) : ""); // prettier-ignore
    const heading = make("h2", { id: `export-${one.number}` }, name);
    const element = make(
      "section",
      { class: "fs-evaluation", "aria-labelledby": heading.id },
      heading,
      make(
        "div",
        { class: "fs-row" },
        make("span", { class: "fs-state", "data-state": one.state }, texts[`state_${one.state}`]),
        one.over ? null : bar,
        one.bytes ? make("span", {}, size(one.bytes)) : null,
        done,
        make("span", { class: "fs-spring" }),
        ...this.actions(one),
      ),
      make("p", { class: "fs-hint" }, this.what(one)),
      one.problem ? make("p", { class: "fs-problem" }, one.problem) : null,
      one.substituted ? make("p", { class: "fs-hint" }, fill(texts.export_substituted, { count: one.substituted })) : null, // prettier-ignore
      one.has_template === false ? make("p", { class: "fs-hint" }, texts.ollama_no_template) : null,
      one.unproven ? make("p", { class: "fs-hint" }, fill(texts.export_unproven, { reason: one.unproven })) : null,
      one.proof ? this.proofOf(one) : null,
      one.pushed ? make("p", {}, `${texts.export_pushed} `, make("a", { href: one.pushed, target: "_blank", rel: "noopener noreferrer" }, one.pushed)) : null, // prettier-ignore
      one.usage.length ? this.usage(one) : null,
    );
    const progress = (/** @type {Export} */ now) => {
      if (now.over) return;
      bar.value = now.progress ? now.progress[0] / now.progress[1] : 0;
      setText(done, now.phase);
    };
    return { element, progress };
  }

  /** What an export is: its kind, its number format, its checkpoint, and where it is. @param {Export} one */
  what(one) {
    const { texts } = this;
    const { kind, quantization, step, out } = one.request;
    const gone = one.state === "finished" && !one.there ? texts.export_gone : "";
    const parts = [
      texts[`export_${kind}`],
      quantization,
      step === null ? "" : fill(texts.at_step, { step }),
      out,
      gone,
    ];
    return parts.filter(Boolean).join(" · ");
  }

  /** @param {Export} one */
  actions(one) {
    const { texts } = this;
    const path = `${this.path}/${one.number}`;
    const { name } = one.request;
    const sure = fill(texts.export_delete_sure, { name });
    const { stop, resume, remove } = jobActions(this, path, one, { name, sure, resumable: true });
    const download = { class: "fs-button fs-small fs-primary", href: `${path}/download`, download: true };
    return [stop, resume, one.over && one.there ? make("a", download, texts.download_file) : null, remove];
  }

  /** @param {Export} one */
  proofOf({ proof }) {
    if (!proof) return null;
    const { texts } = this;
    const counts = (/** @type {Comparison} */ one) => ({ equal: equalOf(one), count: one.rows.length, tokens: proof.tokens, format: one.number_format }); // prettier-ignore
    const words = { true: texts.proof_passed, false: texts.proof_failed, null: texts.proof_counted };
    const row = (/** @type {Row} */ each) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, make("div", { class: "fs-long" }, each.prompt)),
        make("td", {}, make("div", { class: "fs-long" }, each.reference)),
        make("td", {}, each.differs_at === null ? texts.proof_equal : make("div", { class: "fs-long" }, each.answer)),
        make("td", { class: "fs-number" }, each.margin === null ? "" : each.margin.toFixed(3)),
      );
    const table = make("table", { class: "fs-row-table" }, make("thead", {}, heads(texts.prompt, texts.proof_reference, texts.proof_answer, texts.proof_margin)), make("tbody", {}, ...proof.exported.rows.map(row))); // prettier-ignore
    return make(
      "div",
      {},
      make("p", { class: "fs-gate", "data-passed": String(proof.passed) }, words[`${proof.passed}`], " ", fill(texts.proof_equal_answers, counts(proof.exported))), // prettier-ignore
      make("p", { class: "fs-hint" }, fill(texts.proof_control, counts(proof.control))),
      make("details", {}, make("summary", {}, texts.proof_rows), scrolling(texts.proof_rows, table)),
    );
  }

  /** @param {Export} one */
  usage({ usage }) {
    const { texts } = this;
    const part = (/** @type {{ program: string, text: string, proven: boolean }} */ each) => {
      const said = statusLine({ class: "fs-hint" });
      const copy = async () => setText(said, await copied(texts, each.text));
      const untried = each.proven ? null : make("span", { class: "fs-hint" }, texts.usage_untried);
      const name = `${texts.copy}: ${each.program}`;
      return make(
        "div",
        {},
        make("div", { class: "fs-row" }, make("strong", {}, each.program), untried, make("span", { class: "fs-spring" }), said, button(texts.copy, copy, "fs-small", { "aria-label": name })), // prettier-ignore
        make("pre", { class: "fs-log", tabindex: 0, "aria-label": each.program }, each.text),
      );
    };
    return make("details", {}, make("summary", {}, texts.export_usage), ...usage.map(part));
  }
}

/** @type {import("./start.js").Part} */
export function start(root, settings) {
  const page = new ExportPage(root, settings);
  poll(root, () => page.refresh(), POLL_MS);
}
