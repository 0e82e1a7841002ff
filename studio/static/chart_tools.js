// Above the chart of a run: which curve, over what, on what scale, how smooth, and the ways to keep it.
// @ts-check
import { AXES, CURVES } from "./chart_view.js";
import { button, make } from "./dom.js";

/** @typedef {import("./chart_view.js").View} View */

const KEY = "finetune-chart";
/** @type {View} */
const USUAL = { curve: "loss", over: "step", smoothing: 0, logarithmic: false };

/** The view that was chosen last in this browser. @returns {View} */
export function storedView() {
  try {
    const { over, smoothing, logarithmic } = JSON.parse(localStorage.getItem(KEY) || "{}");
    return {
      ...USUAL,
      over: AXES.includes(over) ? over : USUAL.over,
      smoothing: smoothing > 0 && smoothing < 1 ? smoothing : 0,
      logarithmic: logarithmic === true,
    };
  } catch {
    return { ...USUAL };
  }
}

/** Real radio buttons that look like one control. @param {string} name @param {string} label @param {[string, string][]} options @param {string} chosen @param {(value: string) => void} choose */
function segments(name, label, options, chosen, choose) {
  const radios = options.map(([value, text]) => {
    const input = make("input", { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => choose(value));
    return make("label", {}, input, make("span", {}, text));
  });
  return make("div", { class: "fs-segments", role: "radiogroup", "aria-label": label }, ...radios);
}

/**
 * @typedef {{ element: HTMLElement, offer: (metrics: string[]) => void }} Tools
 * @typedef {{ view: View, show: (view: Partial<View>) => unknown, unzoom: () => unknown, downloadImage: (name: string) => unknown }} Chart
 * @param {Chart} chart
 * @param {Record<string, any>} texts
 * @param {string} table the address of the chart's figures as CSV
 * @param {string} name of the image's file
 * @returns {Tools} `offer` adds the curves of the run's method
 */
export function chartTools(chart, texts, table, name) {
  const { view } = chart;
  const change = (/** @type {Partial<View>} */ part) => {
    chart.show(part);
    localStorage.setItem(KEY, JSON.stringify(chart.view));
  };
  const scale = make("input", { type: "checkbox", checked: view.logarithmic });
  scale.addEventListener("change", () => change({ logarithmic: scale.checked }));
  const smoothing = make("input", { type: "range", min: 0, max: 0.95, step: 0.05, value: view.smoothing });
  smoothing.addEventListener("input", () => change({ smoothing: Number(smoothing.value) }));
  /** @param {readonly string[]} names @param {string} prefix @returns {[string, string][]} */
  const options = (names, prefix) => names.map((name) => [name, texts[prefix + name]]);
  const choose = (/** @type {string} */ curve) => change({ curve: /** @type {View["curve"]} */ (curve) });
  const curvesOf = (/** @type {readonly string[]} */ names) =>
    segments("fs-curve", texts.curve, options(names, "curve_"), view.curve, choose);
  let curves = curvesOf(CURVES);
  const offered = new Set();
  const offer = (/** @type {string[]} */ metrics) => {
    if (metrics.every((metric) => offered.has(metric))) return;
    for (const metric of metrics) offered.add(metric);
    const [first, ...rest] = CURVES;
    const more = curvesOf([first, ...metrics, ...rest]);
    curves.replaceWith(more);
    curves = more;
  };
  const axes = segments("fs-over", texts.over, options(AXES, "over_"), view.over, (over) =>
    change({ over: /** @type {View["over"]} */ (over) }),
  );
  const check = make("label", { class: "fs-check" }, scale, texts.logarithmic);
  const slider = make("label", { class: "fs-check" }, texts.smoothing, smoothing);
  const csv = make("a", { class: "fs-button fs-small", href: table, download: true }, "CSV");
  const image = button("PNG", () => chart.downloadImage(name), "fs-small");
  const whole = button(texts.zoom_out, () => chart.unzoom(), "fs-small");
  const element = make("div", { class: "fs-row fs-chart-tools" }, curves, axes, check, slider, whole, image, csv);
  return { element, offer };
}
