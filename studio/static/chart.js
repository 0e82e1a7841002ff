// The curves of a run. The chart library is loaded only with the first chart of a page.
// @ts-check
import {
  extend,
  indexOfStep,
  joined,
  lowest,
  metricCurves,
  metricsOf,
  placesOf,
  smoothed,
  stepsBetween,
  unitOf,
  valuesOf,
} from "./chart_view.js";
import { make } from "./dom.js";
import { figure } from "./format.js";
import { dark } from "./theme.js";

/**
 * @typedef {import("./chart_view.js").Curve} Curve
 * @typedef {import("./chart_view.js").StepCurve} StepCurve
 * @typedef {import("./chart_view.js").View} View
 */

/** @type {Promise<any> | null} */
let library = null;
export const plotly = () =>
  (library ??= new Promise((resolve, reject) => {
    const ready = () => resolve(/** @type {any} */ (window).Plotly);
    const script = make("script", { src: "/ui-assets/plotly.min.js", onload: ready, onerror: reject });
    document.head.append(script);
  }).catch((error) => {
    library = null;
    throw error;
  }));

const COLORS = { train: "#0d9488", faint: "#5eead4", validation: "#d97706", rejected: "#e11d48", mark: "#64748b" };
export const CONFIG = { responsive: true, displayModeBar: false, plotlyServerURL: "" }; // the mode bar offers an upload elsewhere

/**
 * What all charts look like: their axes, colors, and legend. Updates keep the zoom as long as the axes stay.
 * @param {Record<string, any>} texts @param {View} view @param {string} unit of time @param {string} key what the chart shows
 */
export function layoutOf(texts, view, unit, key) {
  const grid = dark() ? "#334155" : "#e2e8f0";
  const title = view.over === "time" ? texts.over_time_in.replace("{unit}", unit) : texts[`over_${view.over}`];
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: dark() ? "#e2e8f0" : "#1e293b" },
    xaxis: {
      uirevision: `${key}-${view.over}-${unit}`,
      title: { text: title },
      gridcolor: grid,
      zeroline: false,
      tickformat: view.over === "time" ? "" : ",d",
    },
    yaxis: {
      uirevision: `${key}-${view.curve}-${view.logarithmic}`,
      title: { text: texts[`curve_${view.curve}`] },
      gridcolor: grid,
      zeroline: false,
      type: view.logarithmic ? "log" : "linear",
      exponentformat: "e",
    },
    margin: { l: 76, r: 16, t: 10, b: 45 },
    legend: { orientation: "h", y: 1.12 },
    hovermode: "x",
    uirevision: key,
    autosize: true,
  };
}

/**
 * Save a chart as it is zoomed now, on a solid ground.
 * @param {HTMLElement} element @param {any[]} data @param {any} layout @param {string} filename
 */
export async function saveImage(element, data, layout, filename) {
  const size = { width: 1200, height: 675, scale: 2 };
  const { xaxis, yaxis } = /** @type {any} */ (element).layout;
  Object.assign(layout, { paper_bgcolor: dark() ? "#0b0f19" : "#ffffff" });
  Object.assign(layout.xaxis, { range: xaxis.range });
  Object.assign(layout.yaxis, { range: yaxis.range });
  const chart = await plotly();
  await chart.downloadImage({ data, layout }, { format: "png", filename, ...size });
}

const empty = () => ({
  x: [],
  y: [],
  tokens: [],
  seconds: [],
  learning_rate: [],
  grad_norm: [],
  memory: [],
  speed: [],
});

export class RunChart {
  /** @type {StepCurve} */
  #train = empty();
  /** @type {Curve} */
  #validation = { x: [], y: [], tokens: [], seconds: [] };
  /** @type {StepCurve | null} the zoomed part in detail */
  #part = null;
  #turn = 0;
  #unit = "";
  #drawn = false;
  #drawing = Promise.resolve();
  #marks = { checkpoints: /** @type {number[]} */ ([]), resumes: /** @type {number[]} */ ([]) };

  /**
   * @param {Record<string, any>} texts
   * @param {string} key what keeps the zoom over updates: the run's id
   * @param {View} view
   * @param {(first: number, last: number) => Promise<StepCurve | null>} detail asks for all points between two steps
   */
  constructor(texts, key, view, detail) {
    this.texts = texts;
    this.key = key;
    this.view = view;
    this.detail = detail;
    this.element = make("div", { class: "fs-chart", role: "group", "aria-label": texts.curve });
    addEventListener("finetune-theme", () => this.redraw());
  }

  get count() {
    return this.#train.x.length;
  }

  /** The curves of the run's method. */
  get metrics() {
    return metricCurves(this.#train);
  }

  /** Add new points; `reset` removes the earlier ones first. @param {StepCurve} train @param {Curve} validation @param {boolean} reset */
  add(train, validation, reset) {
    if (!train.x.length && !validation.x.length) return this.#drawing;
    if (reset) {
      this.#part = null;
      this.#train = empty();
      this.#validation = { x: [], y: [], tokens: [], seconds: [] };
    }
    extend(this.#train, train);
    extend(this.#validation, validation);
    return this.redraw();
  }

  /** Load the library before there is a point to draw. */
  prepare() {
    plotly().catch(() => {}); // drawing tries again
  }

  /** Mark these steps. @param {number[]} checkpoints @param {number[]} resumes */
  mark(checkpoints, resumes) {
    const marks = { checkpoints, resumes };
    if (JSON.stringify(marks) === JSON.stringify(this.#marks)) return;
    this.#marks = marks;
    this.redraw();
  }

  /** @param {Partial<View>} view */
  show(view) {
    if (view.over && view.over !== this.view.over) this.forgetPart(); // the zoom is of the other axis
    Object.assign(this.view, view);
    return this.redraw();
  }

  forgetPart() {
    this.#part = null;
    this.#turn += 1; // an answer that is on its way comes too late
  }

  /** Show the whole run again. */
  async unzoom() {
    this.forgetPart();
    if (this.#drawn) (await plotly()).relayout(this.element, { "xaxis.autorange": true, "yaxis.autorange": true });
  }

  /** Draw what there is now; drawings follow each other. */
  redraw() {
    const before = this.#drawing.catch(() => {}); // one that failed, such as without the script, is tried again
    this.#drawing = before.then(async () => {
      if (!this.count && !this.#validation.x.length) return;
      const chart = await plotly();
      if (this.#unit !== this.unit()[0]) this.forgetPart(); // the axis of time starts over in another unit
      [this.#unit] = this.unit();
      await chart.react(this.element, this.traces(), this.layout(), CONFIG);
      this.element.dataset.points = String(this.count);
      if (!this.#drawn) this.listen();
      this.#drawn = true;
    });
    return this.#drawing;
  }

  /** Ask for the points of a part that the user has zoomed into. */
  listen() {
    const element = /** @type {any} */ (this.element);
    element.on("plotly_relayout", async (/** @type {Record<string, any>} */ change) => {
      const [from, to] = [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (change["xaxis.autorange"]) this.forgetPart();
      else if (from === undefined) return;
      const places = this.places(this.#train);
      const steps = from === undefined ? null : stepsBetween(this.#train, places, from, to);
      const mine = ++this.#turn;
      const part = steps && (await this.detail(steps[0], steps[1]));
      if (mine !== this.#turn) return;
      this.#part = part;
      await this.redraw();
    });
  }

  unit() {
    return unitOf(this.#train.seconds[this.#train.seconds.length - 1] ?? 0);
  }

  /** @param {Curve} curve */
  places(curve) {
    return placesOf(curve, this.view.over, this.unit()[1]);
  }

  traces() {
    const { texts, view } = this;
    const train = this.#part ? joined(this.#part, this.#train) : this.#train;
    if (metricsOf(view.curve).length) return this.metricTraces(train);
    const [x, y] = [this.places(train), valuesOf(train, view.curve)];
    const name = view.curve === "loss" ? texts.train_loss : texts[`curve_${view.curve}`];
    const smooth = view.smoothing > 0;
    const line = { color: smooth ? COLORS.faint : COLORS.train, width: smooth ? 1 : 2 };
    const traces = [{ name, x, y, mode: train.x.length === 1 ? "markers" : "lines", line, opacity: smooth ? 0.6 : 1, showlegend: true }]; // prettier-ignore
    if (view.curve === "loss") traces.push(.../** @type {any[]} */ (this.validation()));
    if (smooth) traces.push(/** @type {any} */ ({ name: texts.smoothed, x, y: smoothed(y, view.smoothing), mode: "lines", line: { color: COLORS.train, width: 2 } })); // prettier-ignore
    return [...traces, ...this.labels(train, x, y)];
  }

  /** The metrics of a curve in training and in the evaluations; a metric of both answers has two colors. @param {StepCurve} train */
  metricTraces(train) {
    const { texts, view } = this;
    const sides = metricsOf(view.curve);
    return sides.flatMap((metric, number) => {
      const side = sides.length > 1 ? [texts.of_chosen, texts.of_rejected][number] : texts[`curve_${view.curve}`];
      const color = number ? COLORS.rejected : COLORS.train;
      const y = smoothed(train.metrics?.[metric] ?? [], view.smoothing);
      const mode = train.x.length === 1 ? "markers" : "lines";
      const found = [{ name: side, x: this.places(train), y, mode, line: { color, width: 2 }, showlegend: true }];
      const measured = this.#validation.metrics?.[metric];
      if (measured) found.push(/** @type {any} */ ({ name: `${side} · ${texts.of_validation}`, x: this.places(this.#validation), y: measured, mode: "lines+markers", marker: { size: 7, symbol: "diamond" }, line: { color, width: 1, dash: "dot" } })); // prettier-ignore
      return found;
    });
  }

  /** The evaluations, and the best of them. */
  validation() {
    const { texts } = this;
    const { y } = this.#validation;
    const x = this.places(this.#validation);
    const trace = { name: texts.validation_loss, x, y, mode: "lines+markers", marker: { size: 7, symbol: "diamond" }, line: { color: COLORS.validation, width: 2 } }; // prettier-ignore
    const best = lowest(y);
    const star = { name: texts.best, x: [x[best]], y: [y[best]], mode: "markers", marker: { size: 14, symbol: "star", color: COLORS.validation }, hoverinfo: "name+y", showlegend: true }; // prettier-ignore
    return y.length > 1 && best >= 0 ? [trace, star] : [trace];
  }

  /** The last value in figures, and checkpoints as ticks on the curve. @param {StepCurve} train @param {number[]} x @param {(number | null)[]} y */
  labels(train, x, y) {
    const { texts } = this;
    const color = dark() ? "#e2e8f0" : "#1e293b";
    const last = y.length - 1;
    const label = { x: [x[last]], y: [y[last]], mode: "text", text: [this.inFigures(y[last])], textposition: "top left", textfont: { color, size: 12 }, hoverinfo: "skip", showlegend: false }; // prettier-ignore
    const saved = this.#marks.checkpoints.map((step) => indexOfStep(train, step)).filter((at) => at >= 0);
    const ticks = { name: texts.checkpoints, x: saved.map((at) => x[at]), y: saved.map((at) => y[at]), mode: "markers", marker: { size: 10, symbol: "line-ns-open", color: COLORS.mark, line: { width: 2 } }, showlegend: saved.length > 0, hoverinfo: "name+x" }; // prettier-ignore
    return [label, ticks];
  }

  /** @param {number | null} value */
  inFigures(value) {
    if (value === null || value === undefined) return "";
    if (this.view.curve === "learning_rate") return value.toExponential(1);
    return this.view.curve === "loss" ? figure(value) : value.toPrecision(3);
  }

  layout() {
    const places = this.places(this.#train);
    const resumed = this.#marks.resumes.map((step) => places[indexOfStep(this.#train, step)]);
    const line = { type: "line", yref: "paper", y0: 0, y1: 1, line: { color: COLORS.mark, width: 1, dash: "dot" } };
    const shapes = resumed.filter((x) => x !== undefined).map((x) => ({ ...line, x0: x, x1: x }));
    return { ...layoutOf(this.texts, this.view, this.unit()[0], this.key), shapes };
  }

  /** @param {string} filename */
  downloadImage(filename) {
    return saveImage(this.element, this.traces(), this.layout(), filename);
  }
}
