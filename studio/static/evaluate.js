// The Evaluate page: what is evaluated of a run, its evaluations with their tables, rows, and blind votes.
// @ts-check
import { ask, inWords, runPage, runPath } from "./api.js";
import { fill, heads, make, poll, scrolling, setText, statusLine } from "./dom.js";
import { EvaluateForm } from "./evaluate_form.js";
import { amount, range, shareOf, titleOf } from "./evaluate_view.js";
import { rowList } from "./evaluate_rows.js";
import { voteBox } from "./evaluate_votes.js";
import { ago } from "./format.js";
import { JobCards, jobActions } from "./job_cards.js";

/** @typedef {import("./evaluate_view.js").Evaluation} Evaluation */
/** @typedef {import("./evaluate_view.js").Line} Line */
/** @typedef {import("./job_cards.js").Card<Evaluation>} Card */

const POLL_MS = 1500;

class EvaluatePage {
  #finished = "";

  /** @param {HTMLElement} root @param {import("./start.js").Settings} settings */
  constructor(root, settings) {
    this.texts = settings.texts;
    this.language = settings.language;
    const { texts } = this;
    this.said = statusLine({ class: "fs-problem", hidden: true });
    this.form = new EvaluateForm(texts, () => this.chosen(), (error) => this.say(inWords(error, texts))); // prettier-ignore
    this.list = make("div", { class: "fs-evaluations" });
    this.others = make("div");
    const empty = make("p", { class: "fs-hint" }, texts.no_evaluations);
    this.cards = new JobCards(this.list, empty, (/** @type {Evaluation} */ one) => this.card(one));
    root.append(make("h1", {}, texts.evaluate), this.form.element, this.said, this.list, this.others);
    const asked = new URLSearchParams(location.search).get("run") ?? "";
    this.ready = this.form.load(asked).then(
      (there) => there || this.say(`${asked}: ${texts.run_gone}`),
      (error) => this.say(inWords(error, texts)),
    );
  }

  /** @param {string} text */
  say(text) {
    this.said.hidden = !text;
    setText(this.said, text);
  }

  /** Another run, or a new evaluation of it. */
  async chosen() {
    this.say("");
    if (this.form.run) history.replaceState(null, "", `${location.pathname}?run=${encodeURIComponent(this.form.run)}`);
    await this.refresh();
  }

  async refresh() {
    await this.ready;
    const { run } = this.form;
    if (!run) return;
    try {
      const query = `?language=${this.language}`;
      const list = await ask(`${runPath(run)}/evaluations${query}`);
      if (run !== this.form.run) return;
      if (this.said.textContent === this.texts.no_connection) this.say(""); // the studio responds again
      this.cards.show(list);
      const finished = JSON.stringify([run, list.map((/** @type {Evaluation} */ one) => [one.number, one.state])]);
      if (finished === this.#finished) return;
      this.showAll(await ask(`/api/evaluations${query}`));
      this.#finished = finished;
    } catch (error) {
      this.say(inWords(error, this.texts));
    }
  }

  /** @param {Evaluation} one @returns {Card} */
  card(one) {
    const { texts } = this;
    const title = titleOf(one.spec, texts, (step) => fill(texts.at_step, { step }));
    const state = one.after_training ? texts.after_training : texts[`state_${one.state}`];
    const heading = make("h2", { id: `evaluation-${one.number}` }, title);
    const bar = make("progress", { max: 1, value: 0, "aria-label": title });
    const done = make("span", { class: "fs-hint" }, one.over ? ago(this.language, one.spec.created, Date.now() / 1000) : ""); // prettier-ignore
    const line = make(
      "div",
      { class: "fs-row" },
      make("span", { class: "fs-state", "data-state": one.after_training ? "queued" : one.state }, state),
      one.over ? null : bar,
      done,
      make("span", { class: "fs-spring" }),
      ...this.actions(one, title),
    );
    const notes = [...one.warnings, ...(one.outdated ? [texts.evaluation_outdated] : [])];
    const element = make(
      "section",
      { class: "fs-evaluation", "aria-labelledby": heading.id },
      heading,
      line,
      one.problem ? make("p", { class: "fs-problem" }, one.problem) : null,
      one.gate ? this.gate(one) : null,
      notes.length ? make("ul", { class: "fs-notes" }, ...notes.map((text) => make("li", {}, text))) : null,
      one.table.length ? this.table(one.table, title) : null,
      one.table.length ? this.details(one) : null,
    );
    const progress = (/** @type {Evaluation} */ now) => {
      if (now.over) return;
      bar.value = shareOf(now);
      setText(done, now.progress ? `${now.phase} ${now.progress[0]} / ${now.progress[1]}` : now.phase);
    };
    return { element, progress };
  }

  /** @param {Evaluation} one @param {string} title */
  actions(one, title) {
    const { texts } = this;
    const path = `${runPath(one.run)}/evaluations/${one.number}`;
    const sure = fill(texts.evaluation_delete_sure, { name: title });
    const { stop, resume, remove } = jobActions(this, path, one, { name: title, sure, resumable: !one.after_training });
    return [stop, resume, remove];
  }

  /** @param {Evaluation} one */
  gate({ gate, spec }) {
    const { texts } = this;
    const words = gate?.passed ? texts.gate_passed : fill(texts.gate_failed, { failed: gate?.failed.join(", ") });
    return make("p", { class: "fs-gate", "data-passed": String(gate?.passed) }, `${spec.gate}: ${words}`);
  }

  /** @param {Line[]} lines @param {string} title */
  table(lines, title) {
    const { texts } = this;
    const cell = (/** @type {string} */ text, /** @type {string} */ below) =>
      make("td", { class: "fs-number" }, text, below ? make("small", {}, below) : null);
    const compares = lines.some((line) => line.base !== null);
    const row = (/** @type {Line} */ line) => {
      const { name, difference } = line;
      const inner = name.includes(".") ? "fs-inner" : null;
      const base = line.base === null ? cell("–", "") : cell(amount(name, line.base), range(name, line.base_interval));
      const change = difference
        ? cell(amount(name, difference.value, true), range(name, difference.interval, true))
        : cell("–", "");
      return make(
        "tr",
        { class: inner },
        make("th", { scope: "row" }, line.label, make("small", {}, fill(texts.count_rows, { count: line.rows }))),
        ...(compares ? [base] : []),
        cell(amount(name, line.tuned), range(name, line.tuned_interval)),
        ...(compares ? [change, make("td", {}, make("span", { class: "fs-verdict", "data-verdict": difference?.verdict }, line.verdict))] : []), // prettier-ignore
      );
    };
    const columns = compares
      ? [texts.metric, texts.before, texts.after, texts.difference, texts.verdict]
      : [texts.metric, texts.after];
    const table = make("table", {}, make("thead", {}, heads(...columns)), make("tbody", {}, ...lines.map(row)));
    return make("div", {}, scrolling(title, table), make("p", { class: "fs-hint" }, texts.intervals_help));
  }

  /** Rows, votes and downloads. @param {Evaluation} one */
  details(one) {
    const { texts } = this;
    const path = `${runPath(one.run)}/evaluations/${one.number}`;
    const part = (/** @type {string} */ name, /** @type {() => HTMLElement} */ built) => {
      const element = make("details", {}, make("summary", {}, name));
      element.addEventListener(
        "toggle",
        () => element.open && element.childElementCount < 2 && element.append(built()),
      );
      return element;
    };
    const file = (/** @type {string} */ kind) =>
      make("a", { href: `${path}/rows.${kind}`, download: true }, kind.toUpperCase());
    return make(
      "div",
      { class: "fs-evaluation-parts" },
      part(texts.evaluation_rows, () => rowList(texts, path, one)),
      one.spec.base && one.data_rows ? part(texts.blind_votes, () => voteBox(texts, path)) : null,
      make("p", { class: "fs-hint" }, texts.download_as, " ", file("csv"), " ", file("jsonl")),
    );
  }

  /** The finished evaluations of all runs. @param {Evaluation[]} list */
  showAll(list) {
    if (list.length < 2) return this.others.replaceChildren();
    const { texts } = this;
    const labels = new Map(list.flatMap(({ table }) => table.filter(({ name }) => !name.includes(".")).map(({ name, label }) => [name, label]))); // prettier-ignore
    const row = (/** @type {Evaluation} */ one) => {
      const cells = [...labels.keys()].map((name) => {
        const line = one.table.find((each) => each.name === name);
        const words = line?.difference ? `${amount(name, line.difference.value, true)} · ${line.verdict}` : "";
        return make("td", { class: "fs-number" }, line ? amount(name, line.tuned) : "–", words ? make("small", {}, words) : null); // prettier-ignore
      });
      const title = titleOf(one.spec, texts, (step) => fill(texts.at_step, { step }));
      const head = make("th", { scope: "row" }, make("a", { href: runPage(one.run) }, one.run_name || one.run), make("small", {}, title)); // prettier-ignore
      return make("tr", {}, head, ...cells);
    };
    const table = make("table", {}, make("thead", {}, heads(texts.run, ...labels.values())), make("tbody", {}, ...list.map(row))); // prettier-ignore
    this.others.replaceChildren(
      make("h2", {}, texts.all_evaluations),
      scrolling(texts.all_evaluations, table),
      make("p", { class: "fs-hint" }, texts.download_as, " ", make("a", { href: "/api/evaluations.csv", download: true }, "CSV")), // prettier-ignore
    );
  }
}

/** @type {import("./start.js").Part} */
export function start(root, settings) {
  const page = new EvaluatePage(root, settings);
  poll(root, () => page.refresh(), POLL_MS);
}
