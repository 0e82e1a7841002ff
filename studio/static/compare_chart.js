// The curves of several runs in one chart, each in its color.
// @ts-check
import { CONFIG, layoutOf, plotly, saveImage } from "./chart.js";
import { placesOf, smoothed, unitOf, valuesOf } from "./chart_view.js";
import { colorOf } from "./compare_view.js";
import { make } from "./dom.js";

/** @typedef {import("./compare_view.js").Compared} Compared */
/** @typedef {import("./chart_view.js").View} View */

export class CompareChart {
  /** @type {Compared[]} */
  #runs = [];
  #drawing = Promise.resolve();

  /** @param {Record<string, any>} texts @param {View} view */
  constructor(texts, view) {
    this.texts = texts;
    this.view = view;
    this.element = make("div", { class: "fs-chart", role: "group", "aria-label": texts.curve });
    addEventListener("finetune-theme", () => this.redraw());
  }

  /** @param {Compared[]} runs */
  put(runs) {
    this.#runs = runs;
    return this.redraw();
  }

  /** @param {Partial<View>} view */
  show(view) {
    Object.assign(this.view, view);
    return this.redraw();
  }

  async unzoom() {
    if (this.element.dataset.points)
      (await plotly()).relayout(this.element, { "xaxis.autorange": true, "yaxis.autorange": true });
  }

  unit() {
    const ends = this.#runs.map(({ curves: { train } }) => train.seconds[train.seconds.length - 1] ?? 0);
    return unitOf(Math.max(...ends, 0));
  }

  redraw() {
    const before = this.#drawing.catch(() => {}); // one that failed, such as without the script, is tried again
    this.#drawing = before.then(async () => {
      const points = this.#runs.reduce((sum, one) => sum + one.curves.train.x.length, 0);
      if (!points) return;
      const chart = await plotly();
      await chart.react(this.element, this.traces(), this.layout(), CONFIG);
      this.element.dataset.points = String(points);
    });
    return this.#drawing;
  }

  traces() {
    const { texts, view } = this;
    const [, seconds] = this.unit();
    return this.#runs.flatMap(({ run, curves }, index) => {
      const name = run.name || run.id;
      const line = { color: colorOf(index), width: 2 };
      const values = valuesOf(curves.train, view.curve);
      const y = view.smoothing > 0 ? smoothed(values, view.smoothing) : values;
      const x = placesOf(curves.train, view.over, seconds);
      const trained = { name, x, y, mode: x.length === 1 ? "markers" : "lines", line };
      const { validation } = curves;
      if (view.curve !== "loss" || !validation.x.length) return [trained];
      const measured = { name: `${name} · ${texts.validation_loss}`, x: placesOf(validation, view.over, seconds), y: validation.y, mode: "lines+markers", marker: { size: 7, symbol: "diamond" }, line: { ...line, dash: "dot" }, showlegend: false }; // prettier-ignore
      return [trained, measured];
    });
  }

  layout() {
    const key = this.#runs.map(({ run }) => run.id).join(" ");
    return { ...layoutOf(this.texts, this.view, this.unit()[0], key), showlegend: true };
  }

  /** @param {string} filename */
  downloadImage(filename) {
    return saveImage(this.element, this.traces(), this.layout(), filename);
  }
}
