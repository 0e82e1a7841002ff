// A table of all runs: search, filter, order; stop, resume, and delete one or several with undo.
// @ts-check
import { Latest, ask, inWords, post, runPage, runPath } from "./api.js";
import { LEAST, MOST, comparePage } from "./compare_view.js";
import { demoButton } from "./demo.js";
import { button, fill, make, pageLanguage, poll, setText } from "./dom.js";
import { ago, clock, figure } from "./format.js";
import { ImportAdapter } from "./import_adapter.js";
import { LiveTable } from "./live_table.js";
import { sparkPoints } from "./run_view.js";
import { shownRuns, updated } from "./runs_view.js";
import { grouped, stateCounts } from "./sweep_view.js";
import { Trash } from "./trash.js";

/** @typedef {import("./runs_view.js").Run} Run */
/** @typedef {import("./sweep_view.js").Family} Family */

const POLL_MS = 2000;
const MINUTE_MS = 60000;
const PAGE = 50;
const ORDERS = ["newest", "name", "loss", "validation", "duration"];
const SVG = "http://www.w3.org/2000/svg";

/** @param {number[]} losses */
function spark(losses) {
  const points = sparkPoints(losses);
  if (!points) return null;
  const [svg, line] = [document.createElementNS(SVG, "svg"), document.createElementNS(SVG, "polyline")];
  line.setAttribute("points", points);
  for (const [name, value] of Object.entries({ viewBox: "0 0 80 22", class: "fs-spark", "aria-hidden": "true" }))
    svg.setAttribute(name, value);
  svg.append(line);
  return svg;
}

/** @param {Record<string, any>} texts @returns {[string, string][]} */
const orders = (texts) => ORDERS.map((order) => [order, texts[`order_${order}`]]);

class RunsPage {
  /** @type {Run[]} */
  #runs = [];
  #cursor = "";
  #latest = new Latest();
  #most = PAGE;
  #drawn = Date.now();
  /** @type {Set<string>} the ids of the chosen runs */
  #chosen = new Set();

  /** @param {HTMLElement} root @param {Record<string, any>} texts */
  constructor(root, texts) {
    this.texts = texts;
    const columns = ["name", "state", "step", "loss", "validation_loss", "time", "started_column"];
    /** @type {LiveTable<Run | Family>} */
    this.list = new LiveTable(texts, {
      name: texts.runs,
      columns: ["", ...columns.map((name) => texts[name]), ""],
      path: "/api/runs/changes",
      empty: texts.no_runs,
      row: (item) => ("runs" in item ? this.familyRow(item) : this.row(item)),
    });
    this.said = this.list.said;
    const start = demoButton(texts, (error) => this.list.fail(error), "fs-primary");
    this.demo = make("p", { class: "fs-row", hidden: true }, start);
    this.remover = button("", () => this.remove(this.removable()), "fs-small fs-danger", { hidden: true });
    this.compare = make("a", { class: "fs-button fs-small", hidden: true });
    this.more = button("", () => this.showMore(), "fs-small", { hidden: true });
    this.trash = new Trash(texts, () => this.refresh());
    this.importer = new ImportAdapter(texts, () => this.refresh());
    this.tools = this.makeTools();
    const title = make("div", { class: "fs-row" }, make("h1", {}, texts.runs), make("span", { class: "fs-spring" }), this.importer.open, this.trash.open); // prettier-ignore
    root.append(
      title,
      this.tools,
      this.said,
      this.demo,
      this.list.scroll,
      this.more,
      this.trash.element,
      this.importer.element,
    );
  }

  makeTools() {
    const { texts } = this;
    this.search = make("input", { type: "search", placeholder: texts.search_runs, "aria-label": texts.search_runs });
    const select = (/** @type {string} */ label, /** @type {[string, string][]} */ options) =>
      make("select", { "aria-label": label }, ...options.map(([value, text]) => make("option", { value }, text)));
    this.state = select(texts.state, [["", texts.all_states]]);
    this.order = select(texts.order, orders(texts));
    this.timing = make("input", { type: "checkbox" });
    this.timed = make("label", { class: "fs-check", hidden: true }, this.timing, texts.timing_runs);
    for (const control of [this.search, this.state, this.order, this.timing])
      control.addEventListener("input", () => {
        this.#most = PAGE;
        this.show();
      });
    return make(
      "div",
      { class: "fs-row", hidden: true },
      this.search,
      this.state,
      this.order,
      this.timed,
      this.compare,
      this.remover,
    );
  }

  async refresh() {
    let answer;
    try {
      answer = await this.#latest.ask(() => ask(`/api/runs/changes?cursor=${this.#cursor}`));
    } catch (error) {
      return this.list.fail(error);
    }
    if (!answer) return;
    this.#cursor = answer.cursor;
    this.#runs = updated(this.#runs, answer);
    if (Date.now() - this.#drawn > MINUTE_MS) {
      this.#drawn = Date.now();
      this.list.forget(); // "5 minutes ago" has become 6
    }
    this.show();
  }

  /** Offer the states that there are. */
  showStates() {
    const there = [...new Set(this.#runs.map((run) => run.state))].sort();
    const [select, key] = [this.state, there.join(" ")];
    if (!select || select.dataset.states === key) return;
    select.dataset.states = key;
    const chosen = select.value;
    const options = there.map((state) => make("option", { value: state }, this.texts[`state_${state}`]));
    select.replaceChildren(make("option", { value: "" }, this.texts.all_states), ...options);
    select.value = there.includes(chosen) ? chosen : "";
  }

  show() {
    const { texts } = this;
    this.showStates();
    const order = /** @type {import("./runs_view.js").Order} */ (this.order?.value);
    const wanted = { text: this.search?.value ?? "", state: this.state?.value ?? "", timing: this.timing?.checked };
    const found = shownRuns(this.#runs, { ...wanted, order });
    if (this.timed) this.timed.hidden = !this.#runs.some((run) => run.timing);
    const ids = new Set(found.map((run) => run.id)); // nothing is deleted that isn't shown
    for (const id of this.#chosen) if (!ids.has(id)) this.#chosen.delete(id);
    const entries = grouped(found, this.#runs);
    this.list.show(entries.slice(0, this.#most), this.#runs.length ? texts.no_runs_match : texts.no_runs);
    this.tools.hidden = !this.#runs.length;
    this.demo.hidden = this.#runs.length > 0;
    this.more.hidden = entries.length <= this.#most;
    setText(
      this.more,
      fill(texts.show_more, { count: Math.min(entries.length - this.#most, PAGE), total: entries.length }),
    );
    this.showChosen();
  }

  /** The chosen runs that are over. */
  removable() {
    return this.#runs.filter((run) => run.over && this.#chosen.has(run.id)).map((run) => run.id);
  }

  /** What can be done with the chosen runs. */
  showChosen() {
    const { texts } = this;
    const count = this.removable().length;
    this.remover.hidden = !count;
    setText(this.remover, fill(texts.delete_runs, { count }));
    this.compare.hidden = this.#chosen.size < LEAST || this.#chosen.size > MOST;
    this.compare.href = comparePage([...this.#chosen]);
    setText(this.compare, fill(texts.compare_runs, { count: this.#chosen.size }));
  }

  showMore() {
    this.#most += PAGE;
    this.show();
  }

  /** @param {Promise<unknown>} work */
  async act(work) {
    try {
      await work;
      await this.refresh();
    } catch (error) {
      this.list.fail(error);
    }
  }

  /** Move runs to the trash, and offer to bring them back. @param {string[]} ids */
  async remove(ids) {
    const names = new Map(this.#runs.map((run) => [run.id, run.name || run.id]));
    /** @type {string[]} */
    const gone = [];
    let refused = null;
    for (const id of ids)
      try {
        await post(runPath(id), undefined, "DELETE");
        gone.push(id);
        this.#chosen.delete(id);
      } catch (error) {
        refused = error;
      }
    const { texts } = this;
    const failed = refused ? inWords(refused, texts) : "";
    const said =
      gone.length === 1
        ? fill(texts.deleted, { name: names.get(gone[0]) })
        : fill(texts.deleted_runs, { count: gone.length });
    const back = async () => {
      this.said.replaceChildren();
      await this.act(Promise.all(gone.map((id) => post(`${runPath(id)}/restore`))));
      this.trash.refresh();
    };
    const undo = gone.length ? [said, " ", button(texts.undo, back, "fs-small"), " "] : [];
    this.said.replaceChildren(...undo, failed);
    await this.refresh();
    this.trash.refresh();
  }

  /** @param {{ id: string, name: string }} item @param {string[]} ids what it chooses */
  choice(item, ids = [item.id]) {
    const name = fill(this.texts.choose_run, { name: item.name || item.id });
    const box = make("input", { type: "checkbox", "aria-label": name, "data-key": `${item.id}-choose` });
    box.checked = ids.some((id) => this.#chosen.has(id));
    box.addEventListener("change", () => {
      for (const id of ids)
        if (box.checked) this.#chosen.add(id);
        else this.#chosen.delete(id);
      this.show();
    });
    return box;
  }

  /** The runs of a sweep as one row. @param {Family} item */
  familyRow(item) {
    const { texts } = this;
    const { id, name, runs, best, seconds, started } = item;
    const link = make("a", { href: `sweep?sweep=${encodeURIComponent(id)}`, "data-key": `${id}-open` }, name);
    const about = make("small", {}, [texts.sweep, fill(texts.sweep_runs, { count: runs.length }), runs[0].dataset].join(" · ")); // prettier-ignore
    const states = stateCounts(runs).map(([state, count]) =>
      make("span", { class: "fs-state", "data-state": state }, `${count} ${texts[`state_${state}`]}`),
    );
    const over = runs.every((run) => run.over);
    const small = (/** @type {string} */ key, /** @type {string} */ text, /** @type {() => void} */ work) =>
      button(text, work, "fs-small", { "data-key": `${id}-${key}` });
    const stop = () => small("stop", texts.sweep_stop, () => this.act(post(`/api/sweeps/${id}/stop`)));
    const ids = runs.map((run) => run.id);
    const remove = () => small("delete", texts.delete, () => this.remove(ids));
    const cells = [
      [this.choice(item, ids)],
      [link, about],
      states,
      ["–"],
      ["–"],
      [figure(best)],
      [clock(seconds)],
      [this.when(started)],
      [make("div", { class: "fs-actions" }, over ? remove() : stop())],
    ];
    return make("tr", { class: "fs-family" }, ...cells.map((parts) => make("td", {}, ...parts)));
  }

  /** How long ago it started. @param {number | null} started */
  when(started) {
    if (!started) return make("span", {}, "–");
    const title = new Date(1000 * started).toLocaleString(pageLanguage());
    return make("span", { title }, ago(pageLanguage(), started, Date.now() / 1000));
  }

  /** @param {Run} item */
  actions(item) {
    const { texts } = this;
    const path = runPath(item.id);
    const small = (/** @type {string} */ key, /** @type {string} */ text, /** @type {() => void} */ work) =>
      button(text, work, "fs-small", { "data-key": `${item.id}-${key}` });
    const canResume = item.over && item.state !== "finished" && (item.resumable || !item.attempts);
    const resume = () =>
      small("resume", item.attempts ? texts.resume : texts.begin, () => this.act(post(`${path}/resume`)));
    const leave = item.state === "queued" ? texts.queue_leave : texts.stop;
    const stop = () => small("stop", leave, () => this.act(post(`${path}/stop`, { discard: false })));
    const remove = () => small("delete", texts.delete, () => this.remove([item.id]));
    return make("div", { class: "fs-actions" }, canResume ? resume() : null, item.over ? remove() : stop());
  }

  /** Below a run's name: its model and data, its tags to search for, its note. @param {Run} item */
  about(item) {
    const data = make("small", {}, [item.model.split("/").pop(), item.dataset].filter(Boolean).join(" · "));
    const search = (/** @type {string} */ tag) => () => {
      if (this.search) this.search.value = `#${tag}`;
      this.show();
    };
    const tags = item.tags.map((tag) => button(`#${tag}`, search(tag), "fs-tag", { "data-key": `${item.id}-${tag}` }));
    return [data, ...tags, item.note ? make("small", { class: "fs-note" }, item.note) : null];
  }

  /** @param {Run} item */
  row(item) {
    const name = item.name || item.id;
    const link = make("a", { href: runPage(item.id), "data-key": `${item.id}-open`, title: item.id }, name);
    const state = make("span", { class: "fs-state", "data-state": item.state }, this.texts[`state_${item.state}`]);
    const cells = [
      [this.choice(item)],
      [link, ...this.about(item)],
      [state, item.gate ? make("small", { class: "fs-gate", "data-passed": String(item.gate === "passed") }, this.texts[`gate_state_${item.gate}`]) : null], // prettier-ignore
      [item.total_steps ? `${item.step} / ${item.total_steps}` : "–"],
      [make("span", { class: "fs-loss" }, figure(item.train_loss_last), spark(item.sparkline))],
      [figure(item.eval_loss)],
      [clock(item.seconds)],
      [this.when(item.started)],
      [this.actions(item)],
    ];
    return make("tr", {}, ...cells.map((parts) => make("td", {}, ...parts)));
  }
}

/** @type {import("./start.js").Part} */
export function start(root, { texts }) {
  const page = new RunsPage(root, texts);
  poll(root, () => page.refresh(), POLL_MS);
}
