// The Compare page: two to eight runs side by side. The address names them, so that it can be kept.
// @ts-check
import { ask, inWords, runPage } from "./api.js";
import { chartTools, storedView } from "./chart_tools.js";
import { CompareChart } from "./compare_chart.js";
import { LEAST, colorOf, comparePage, figureRows, idsIn } from "./compare_view.js";
import { button, fill, make, number, pageLanguage, poll, scrolling, setText, statusLine } from "./dom.js";
import { amount, range, titleOf } from "./evaluate_view.js";
import { written } from "./format.js";

/** @typedef {import("./compare_view.js").Comparison} Comparison */
/** @typedef {import("./compare_view.js").Compared} Compared */

const POLL_MS = 5000;
const small = (/** @type {string} */ text) => (text ? make("small", {}, text) : null);

class ComparePage {
  #shown = "";
  #over = false;

  /** @param {HTMLElement} root @param {Record<string, any>} texts */
  constructor(root, texts) {
    this.texts = texts;
    this.ids = idsIn(location.search);
    const asked = `runs=${encodeURIComponent(this.ids.join(","))}`;
    this.path = `/api/runs/compare?${asked}&language=${pageLanguage()}`;
    this.said = statusLine({ class: "fs-problem", hidden: true });
    this.few = make("p", { hidden: true }, texts.compare_few, " ", make("a", { href: "runs" }, texts.runs));
    this.chart = new CompareChart(texts, storedView());
    this.figures = make("div");
    this.settings = make("div");
    this.evaluations = make("div");
    this.answers = make("div");
    this.whole = make(
      "div",
      { hidden: true },
      this.figures,
      make("h2", {}, texts.curve),
      chartTools(this.chart, texts, `/api/runs/compare.csv?${asked}`, "comparison").element,
      this.chart.element,
      this.settings,
      this.evaluations,
      this.answers,
    );
    root.append(make("h1", {}, texts.compare), this.said, this.few, this.whole);
  }

  /** @param {string} text */
  say(text) {
    this.said.hidden = !text;
    setText(this.said, text);
  }

  async refresh() {
    if (this.ids.length < LEAST) {
      this.few.hidden = false;
      return;
    }
    if (this.#over) return;
    /** @type {Comparison} */
    let comparison;
    try {
      comparison = await ask(this.path);
    } catch (error) {
      return this.say(inWords(error, this.texts));
    }
    const { runs, gone } = comparison;
    this.say(gone.length ? fill(this.texts.compare_gone, { count: gone.length, runs: gone.join(", ") }) : "");
    this.few.hidden = runs.length >= LEAST;
    this.whole.hidden = !runs.length;
    const over = runs.every(({ run }) => run.over);
    try {
      await this.show(comparison);
      this.#over = over;
    } catch {
      this.#shown = ""; // the chart's script failed to load: the next look tries again
    }
  }

  /** @param {Comparison} comparison */
  async show(comparison) {
    const shown = JSON.stringify(comparison);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const { texts } = this;
    const { runs, differences, answers } = comparison;
    const rows = figureRows(runs, number).map(({ key, cells, best }) =>
      this.row(texts[`compared_${key}`], cells, best),
    );
    this.figures.replaceChildren(scrolling(texts.compared_figures, this.table(runs, [], rows, true)));
    const set = differences.map(({ name, values }) => this.row(name, values.map(written)));
    this.settings.replaceChildren(
      make("h2", {}, texts.compared_settings),
      set.length
        ? scrolling(texts.compared_settings, this.table(runs, [], set))
        : make("p", {}, texts.compared_same_settings),
    );
    this.showEvaluations(comparison);
    const said = answers.map(({ prompt, before, after }) => this.row(prompt, [before, ...after.map((one) => one ?? "–")])); // prettier-ignore
    const table = said.length ? this.table(runs, [texts.before], said) : null;
    this.answers.replaceChildren(
      ...(table ? [make("h2", {}, texts.compared_answers), scrolling(texts.compared_answers, table)] : []),
    );
    await this.chart.put(runs);
  }

  /** Metrics with their intervals, one table for each dataset. @param {Comparison} comparison */
  showEvaluations({ runs, evaluations }) {
    const { texts } = this;
    const sets = [...new Set(evaluations.map(({ dataset }) => dataset))];
    const tables = sets.map((dataset) => {
      const lines = evaluations.filter((one) => one.dataset === dataset);
      const [{ dataset_name }] = lines;
      const title = titleOf({ dataset, dataset_name, probe: !dataset, step: null }, texts);
      const rows = lines.map(({ label, metric, values }) => {
        const cells = values.map((one) => (one ? [amount(metric, one.value), small(range(metric, one.interval))] : ["–"])); // prettier-ignore
        return make("tr", {}, make("th", { scope: "row" }, label), ...cells.map((parts) => make("td", {}, ...parts)));
      });
      return [make("h3", {}, title), scrolling(title, this.table(runs, [], rows))];
    });
    const none = make("p", {}, texts.compared_no_evaluation, " ", make("a", { href: "evaluate" }, texts.evaluate));
    this.evaluations.replaceChildren(make("h2", {}, texts.evaluate), ...(tables.length ? tables.flat() : [none]));
  }

  /** @param {string} title @param {string[]} cells @param {number} best the column of the best value */
  row(title, cells, best = -1) {
    const cell = (/** @type {string} */ text, /** @type {number} */ index) =>
      index === best ? make("td", {}, make("b", {}, text), ` ${this.texts.best}`) : make("td", {}, text);
    return make("tr", {}, make("th", { scope: "row" }, title), ...cells.map(cell));
  }

  /** @param {Compared[]} runs @param {string[]} first columns before those of the runs @param {HTMLElement[]} rows */
  table(runs, first, rows, whole = false) {
    const column = (/** @type {Compared} */ one, /** @type {number} */ index) =>
      make("th", { scope: "col" }, ...this.heading(one, index, whole && runs.length > LEAST));
    const heads = first.map((text) => make("th", { scope: "col" }, text));
    const head = make("tr", {}, make("td"), ...heads, ...runs.map(column));
    return make("table", { class: "fs-compared" }, make("thead", {}, head), make("tbody", {}, ...rows));
  }

  /** @param {Compared} one @param {number} index @param {boolean} removable */
  heading({ run }, index, removable) {
    const name = run.name || run.id;
    const dot = make("i", { class: "fs-dot", style: `background:${colorOf(index)}` });
    const link = make("a", { href: runPage(run.id) }, name);
    const state = make("span", { class: "fs-state", "data-state": run.state }, this.texts[`state_${run.state}`]);
    const leave = () => location.assign(comparePage(this.ids.filter((id) => id !== run.id)));
    const remove = button("✕", leave, "fs-small", { "aria-label": fill(this.texts.compare_without, { name }) });
    return [dot, link, " ", state, ...(removable ? [" ", remove] : [])];
  }
}

/** @type {import("./start.js").Part} */
export function start(root, { texts }) {
  const page = new ComparePage(root, texts);
  poll(root, () => page.refresh(), POLL_MS);
}
