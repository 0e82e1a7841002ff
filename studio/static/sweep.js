// The page of a sweep: its runs from best to worst, whether the best is more than luck, and stopping or deleting them all.
// @ts-check
import { ask, inWords, post, runPage, runPath } from "./api.js";
import { MOST, comparePage } from "./compare_view.js";
import { button, fill, heads, make, pageLanguage, poll, replaceRows, scrolling, setText, statusLine } from "./dom.js";
import { clock, figure, written } from "./format.js";
import { stateCounts } from "./sweep_view.js";

/**
 * @typedef {import("./runs_view.js").Run} Run
 * @typedef {Record<string, unknown>} Values
 * @typedef {{ run: Run, values: Values, best_validation_loss: number | null, best_step: number | null }} SweepRun
 * @typedef {{
 *   candidates: { values: Values, runs: string[], mean: number | null }[], verdict: string,
 * }} Ranking
 * @typedef {{
 *   id: string, name: string, settings: string[], wanted: number, over: boolean, runs: SweepRun[], ranking: Ranking, said: string,
 * }} Sweep
 */

const POLL_MS = 2000;

class SweepPage {
  #shown = "";
  #gone = false;
  #failed = false;

  /** @param {HTMLElement} root @param {Record<string, any>} texts */
  constructor(root, texts) {
    this.texts = texts;
    this.id = new URLSearchParams(location.search).get("sweep") ?? "";
    this.path = `/api/sweeps/${encodeURIComponent(this.id)}`;
    this.title = make("h1", {}, texts.sweep);
    this.said = statusLine({ class: "fs-said" });
    this.counts = statusLine({ class: "fs-hint" });
    this.verdict = make("p", { class: "fs-verdict", role: "status" });
    this.table = make("div");
    this.compare = make("a", { class: "fs-button" });
    this.stop = button(texts.sweep_stop, () => this.stopAll());
    this.remove = button(texts.sweep_delete, () => this.removeAll(), "fs-danger");
    this.resume = button(texts.sweep_resume, () => this.resumeAll());
    const actions = make("div", { class: "fs-row" }, this.compare, this.stop, this.resume, this.remove);
    this.whole = make("div", { hidden: true }, this.counts, actions, this.verdict, this.table);
    root.append(this.title, this.said, this.whole);
  }

  async refresh() {
    if (this.#gone) return;
    /** @type {Sweep} */
    let sweep;
    try {
      sweep = await ask(`${this.path}?language=${pageLanguage()}`);
    } catch (error) {
      this.#failed = true; // what is shown stays
      return setText(this.said, inWords(error, this.texts));
    }
    if (this.#failed) setText(this.said, "");
    this.#failed = false;
    this.whole.hidden = false;
    const shown = JSON.stringify(sweep);
    if (shown !== this.#shown) this.show(sweep);
    this.#shown = shown;
  }

  /** @param {Sweep} sweep */
  show(sweep) {
    const { texts } = this;
    const { runs, ranking, over, name } = sweep;
    setText(this.title, name);
    const counts = stateCounts(runs.map(({ run }) => run)).map(
      ([state, count]) => `${count} ${texts[`state_${state}`]}`,
    );
    setText(this.counts, [fill(texts.sweep_runs, { count: runs.length }), counts.join(", ")].join(" · "));
    const begun = new Set(runs.filter(({ run }) => run.step > 0).map(({ run }) => run.id));
    const best = ranking.candidates.flatMap((one) => one.runs.filter((id) => begun.has(id))).slice(0, MOST);
    this.compare.hidden = best.length < 2;
    this.compare.href = comparePage(best);
    setText(this.compare, fill(texts.sweep_compare, { count: best.length }));
    this.stop.hidden = over;
    this.resume.hidden = runs.every(({ run }) => !run.over || run.state === "finished");
    this.remove.hidden = !over;
    setText(this.verdict, sweep.said);
    const focused = this.table.contains(document.activeElement);
    if (!focused || !this.table.firstChild) this.table.replaceChildren(this.makeTable(sweep));
    else replaceRows(/** @type {HTMLElement} */ (this.table.querySelector("tbody")), this.rows(sweep));
  }

  /** @param {Sweep} sweep */
  makeTable(sweep) {
    const { texts } = this;
    const columns = [texts.name, ...sweep.settings, texts.state, texts.compared_best_validation_loss, texts.loss, texts.time]; // prettier-ignore
    const head = heads(texts.sweep_place, ...columns);
    const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...this.rows(sweep)));
    return scrolling(texts.sweep, table);
  }

  /** The runs of the best values first; among them, the lowest loss first. @param {Sweep} sweep */
  rows({ runs, ranking, settings }) {
    const { texts } = this;
    const byId = new Map(runs.map((one) => [one.run.id, one]));
    const loss = (/** @type {string} */ id) => byId.get(id)?.best_validation_loss ?? Infinity;
    return ranking.candidates.flatMap((candidate, index) =>
      candidate.runs.toSorted((a, b) => loss(a) - loss(b)).flatMap((id, place) => {
        const one = byId.get(id);
        if (!one) return [];
        const { run, values, best_validation_loss: best, best_step: step } = one;
        const ranked = candidate.mean !== null && place === 0;
        const mean = ranked && candidate.runs.length > 1 ? make("small", {}, `∅ ${figure(candidate.mean)}`) : null;
        const cells = [
          [ranked ? `${index + 1}.` : "", mean],
          [make("a", { href: runPage(id), "data-key": id }, `#${run.sweep?.number ?? ""}`)],
          ...settings.map((name) => [written(values[name])]),
          [make("span", { class: "fs-state", "data-state": run.state }, texts[`state_${run.state}`])],
          [best === null ? "–" : `${figure(best)} (${step})`],
          [figure(run.train_loss_last)],
          [clock(run.seconds)],
        ];
        const best_ = index === 0 && ranked && ranking.verdict === "lead" ? { "data-best": "" } : {};
        return [make("tr", best_, ...cells.map((parts) => make("td", {}, ...parts)))];
      }),
    ); // prettier-ignore
  }

  async stopAll() {
    const { stopped } = await this.act(this.stop, "stop");
    if (stopped) setText(this.said, fill(this.texts.sweep_stopped, { count: stopped }));
  }

  async resumeAll() {
    const { resumed } = await this.act(this.resume, "resume");
    if (resumed) setText(this.said, fill(this.texts.sweep_resumed, { count: resumed }));
  }

  /** @param {HTMLButtonElement} pressed @param {string} what @returns {Promise<Record<string, number>>} */
  async act(pressed, what) {
    pressed.disabled = true;
    try {
      const answer = await post(`${this.path}/${what}`);
      await this.refresh();
      return answer;
    } catch (error) {
      setText(this.said, inWords(error, this.texts));
      return {};
    } finally {
      pressed.disabled = false;
    }
  }

  async removeAll() {
    const { texts } = this;
    /** @type {string[]} */
    let deleted;
    try {
      ({ deleted } = await post(this.path, undefined, "DELETE"));
    } catch (error) {
      return setText(this.said, inWords(error, texts));
    }
    this.#gone = true;
    this.whole.hidden = true;
    const back = async () => {
      try {
        for (const id of deleted) await post(`${runPath(id)}/restore`);
        this.said.replaceChildren();
        this.#gone = false;
        await this.refresh();
      } catch (error) {
        setText(this.said, inWords(error, texts));
      }
    };
    const undo = button(texts.undo, back, "fs-small");
    const list = make("a", { href: "runs" }, texts.runs);
    this.said.replaceChildren(fill(texts.deleted_runs, { count: deleted.length }), " ", undo, " ", list);
    undo.focus();
  }
}

/** @type {import("./start.js").Part} */
export function start(root, { texts }) {
  const page = new SweepPage(root, texts);
  poll(root, () => page.refresh(), POLL_MS);
}
