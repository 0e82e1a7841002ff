// The curves of a run. The chart library is loaded only with the first chart of a page.
// @ts-check
import { make } from "./dom.js";
import { dark } from "./theme.js";

/** @typedef {{ x: number[], y: (number | null)[] }} Points */

/** @type {Promise<any> | null} */
let library = null;
const plotly = () =>
  (library ??= new Promise((resolve, reject) => {
    const ready = () => resolve(/** @type {any} */ (window).Plotly);
    const script = make("script", { src: "/ui-assets/plotly.min.js", onload: ready, onerror: reject });
    document.head.append(script);
  }).catch((error) => {
    library = null;
    throw error;
  }));

const COLORS = { train: "#0d9488", validation: "#ea580c" };

export class LossChart {
  #logarithmic = false;
  #points = 0;
  #drawn = false;

  /** @param {Record<string, any>} texts @param {string} key what keeps the zoom over updates: the run's id */
  constructor(texts, key) {
    this.texts = texts;
    this.key = key;
    this.element = make("div", { class: "fs-chart", role: "group", "aria-label": texts.curve });
    addEventListener("finetune-theme", () => this.restyle());
  }

  get count() {
    return this.#points;
  }

  get logarithmic() {
    return this.#logarithmic;
  }

  layout() {
    const grid = dark() ? "#334155" : "#e2e8f0";
    return {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: dark() ? "#e2e8f0" : "#1e293b" },
      xaxis: { title: { text: this.texts.step }, gridcolor: grid, zeroline: false, tickformat: ",d" },
      yaxis: {
        title: { text: this.texts.loss },
        gridcolor: grid,
        zeroline: false,
        type: this.#logarithmic ? "log" : "linear",
      },
      margin: { l: 60, r: 10, t: 10, b: 45 },
      legend: { orientation: "h", y: 1.12 },
      hovermode: "x",
      uirevision: this.key,
      autosize: true,
    };
  }

  async draw() {
    const chart = await plotly();
    const { texts } = this;
    const train = {
      name: texts.train_loss,
      x: [],
      y: [],
      mode: "lines+markers",
      marker: { size: 4 },
      line: { color: COLORS.train },
    };
    const dotted = { color: COLORS.validation, dash: "dot" };
    const marker = { size: 8, symbol: "diamond" };
    const validation = { name: texts.validation_loss, x: [], y: [], mode: "lines+markers", marker, line: dotted };
    // Hide the mode bar, which offers to upload the chart to an external server.
    await chart.newPlot(this.element, [train, validation], this.layout(), {
      responsive: true,
      displayModeBar: false,
      plotlyServerURL: "",
    });
    this.#drawn = true;
  }

  /** Add new points; `reset` removes the earlier ones first. @param {Points} train @param {Points} validation @param {boolean} reset */
  async add(train, validation, reset) {
    if (!train.x.length && !validation.x.length) return;
    if (!this.#drawn) await this.draw();
    const chart = await plotly();
    if (reset) {
      this.#points = 0;
      await chart.restyle(this.element, { x: [[], []], y: [[], []] });
    }
    this.#points += train.x.length;
    await chart.extendTraces(this.element, { x: [train.x, validation.x], y: [train.y, validation.y] }, [0, 1]);
    this.element.dataset.points = String(this.#points);
  }

  switchScale() {
    this.#logarithmic = !this.#logarithmic;
    this.restyle();
  }

  async restyle() {
    if (!this.#drawn) return;
    const { font, xaxis, yaxis } = this.layout();
    const chart = await plotly();
    const grids = { "xaxis.gridcolor": xaxis.gridcolor, "yaxis.gridcolor": yaxis.gridcolor };
    chart.relayout(this.element, { font, ...grids, "yaxis.type": yaxis.type });
  }
}
