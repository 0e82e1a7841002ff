// A table of all runs with state, figures, and sparklines; stop, resume, and delete with undo.
// @ts-check
import { post, runPage, runPath } from "./api.js";
import { button, fill, make, poll } from "./dom.js";
import { clock, figure } from "./format.js";
import { LiveTable } from "./live_table.js";
import { sparkPoints } from "./run_view.js";

/**
 * @typedef {{
 *   id: string, name: string, state: string, over: boolean, model: string, dataset: string, step: number,
 *   total_steps: number, train_loss_last: number | null, seconds: number, attempts: number, resumable: boolean,
 *   sparkline: number[],
 * }} Run
 */

const POLL_MS = 2000;
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

class RunsPage {
  /** @param {HTMLElement} root @param {Record<string, any>} texts */
  constructor(root, texts) {
    this.texts = texts;
    const columns = ["name", "state", "model_column", "data_column", "step", "loss", "time"].map((name) => texts[name]);
    /** @type {LiveTable<Run>} */
    this.list = new LiveTable(texts, {
      name: texts.runs,
      columns: [...columns, ""],
      path: "/api/runs",
      empty: texts.no_runs,
      row: (item) => this.row(item),
    });
    this.said = this.list.said;
    const start = button(texts.try_demo, () => this.startDemo(start), "fs-primary");
    this.demo = make("p", { class: "fs-row", hidden: true }, start);
    root.append(make("h1", {}, texts.runs), this.said, this.demo, this.list.scroll);
  }

  async refresh() {
    await this.list.refresh();
    this.demo.hidden = !this.list.scroll.hidden;
  }

  /** @param {HTMLButtonElement} start */
  async startDemo(start) {
    start.disabled = true;
    try {
      location.href = runPage((await post("/api/runs/demo")).run);
    } catch (error) {
      start.disabled = false;
      this.list.fail(error);
    }
  }

  /** @param {Promise<unknown>} work */
  async act(work) {
    try {
      await work;
      await this.list.refresh();
    } catch (error) {
      this.list.fail(error);
    }
  }

  /** @param {Run} item */
  async remove(item) {
    const path = runPath(item.id);
    try {
      await post(path, undefined, "DELETE");
    } catch (error) {
      return this.list.fail(error);
    }
    const back = async () => {
      await this.act(post(`${path}/restore`));
      this.said.replaceChildren();
    };
    const undo = button(this.texts.undo, back, "fs-small");
    this.said.replaceChildren(fill(this.texts.deleted, { name: item.name || item.id }), " ", undo);
    await this.list.refresh();
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
    const remove = () => small("delete", texts.delete, () => this.remove(item));
    return make("div", { class: "fs-actions" }, canResume ? resume() : null, item.over ? remove() : stop());
  }

  /** @param {Run} item */
  row(item) {
    const name = item.name || item.id;
    const link = make("a", { href: runPage(item.id), "data-key": `${item.id}-open` }, name);
    const state = make("span", { class: "fs-state", "data-state": item.state }, this.texts[`state_${item.state}`]);
    const cells = [
      [link, name === item.id ? null : make("small", {}, item.id)],
      [state],
      [item.model.split("/").pop()],
      [item.dataset],
      [item.total_steps ? `${item.step} / ${item.total_steps}` : "–"],
      [figure(item.train_loss_last), " ", spark(item.sparkline)],
      [clock(item.seconds)],
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
