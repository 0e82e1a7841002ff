// A histogram of row lengths with a draggable line at max_length. The arithmetic is separate from the page.
// @ts-check
import { fill, make, number, setText } from "./dom.js";

/**
 * @typedef {{ edges: number[], counts: number[], cut: number[], lost: number[] }} Bars one edge more than counts; `cut`
 *   and `lost` are the rows that a max_length at the end of each bar would cut, and those that would teach nothing
 * @typedef {{ histogram: Bars, max_length: number, cut: number, lost: number, median: number, longest: number }} Lengths
 */

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [720, 150];
const LEAST_LENGTH = 16;
const SETTLE_MS = 250;
/** @type {Record<string, number>} */
const WAYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };

/** The place nearest to a value. @param {number[]} places @param {number} value */
export const nearest = (places, value) =>
  places.reduce((best, one) => (Math.abs(one - value) < Math.abs(best - value) ? one : best), places[0]);

/** The place that is `way` further. @param {number[]} places @param {number} from @param {number} way */
export const stepped = (places, from, way) =>
  places[Math.min(Math.max(places.indexOf(nearest(places, from)) + way, 0), places.length - 1)];

/**
 * How many rows a max_length truncates, and how many lose all trained tokens; null if only the studio can tell.
 * @param {Lengths} reported
 * @param {number} at
 */
export function effectOf(reported, at) {
  if (at === reported.max_length) return { cut: reported.cut, lost: reported.lost };
  const { edges, cut, lost } = reported.histogram;
  const bar = edges.indexOf(at) - 1;
  if (at >= edges[edges.length - 1]) return { cut: 0, lost: bar >= 0 ? lost[bar] : 0 };
  return bar >= 0 ? { cut: cut[bar], lost: lost[bar] } : null;
}

/** The position of a bar in the chart. @param {Bars} bars @param {number} index */
export function barPlace({ edges, counts }, index) {
  const longest = edges[edges.length - 1];
  const [from, to] = [edges[index], edges[index + 1]].map((edge) => (edge / longest) * WIDTH);
  const share = counts[index] / Math.max(...counts, 1);
  const height = counts[index] ? Math.max(share * (HEIGHT - 12), 2) : 0;
  return { x: from + 0.5, y: HEIGHT - height, width: Math.max(to - from - 1, 1), height };
}

/** @param {Element} node @param {Record<string, string | number>} attributes */
function setAll(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
}

export class LengthBars {
  #settling = 0;

  /**
   * @param {Lengths} reported
   * @param {Record<string, any>} texts
   * @param {string} longRows the setting that says what becomes of long rows
   * @param {(value: number) => void} setLength
   */
  constructor(reported, texts, longRows, setLength) {
    this.reported = reported;
    this.texts = texts;
    this.longRows = longRows;
    this.setLength = setLength;
    const { edges } = reported.histogram;
    this.longest = edges[edges.length - 1];
    // At bin edges the figures are exact immediately; elsewhere they come with the next response.
    this.places = edges.filter((edge) => edge >= LEAST_LENGTH);
    this.svg = document.createElementNS(SVG, "svg");
    this.line = document.createElementNS(SVG, "line");
    this.effect = make("p", { class: "fs-effect", "aria-live": "polite" });
    const range = { type: "range", id: "fs-max-length", min: 0, max: this.longest, step: 1, class: "fs-slider" };
    this.slider = make("input", range);
    this.drawBars();
    this.listen();
    this.draw(reported.max_length);
    const axis = make("div", { class: "fs-axis", "aria-hidden": "true" }, make("span", {}, "0"));
    axis.append(make("span", {}, fill(texts.axis_end, { longest: number(this.longest) })));
    const label = make("label", { for: "fs-max-length" }, texts.drag_line);
    this.elements = [label, this.svg, this.slider, axis, this.effect];
  }

  drawBars() {
    const { reported, texts, svg } = this;
    const label = fill(texts.histogram_label, { median: number(reported.median), longest: number(reported.longest) });
    setAll(svg, { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", preserveAspectRatio: "none", "aria-label": label });
    const { edges, counts } = reported.histogram;
    counts.forEach((count, index) => {
      const [rect, title] = [document.createElementNS(SVG, "rect"), document.createElementNS(SVG, "title")];
      setAll(rect, barPlace(reported.histogram, index));
      rect.dataset.end = String(edges[index + 1]);
      const words = { from: number(edges[index]), to: number(edges[index + 1]), count: number(count) };
      title.textContent = fill(texts.bar_title, words);
      rect.append(title);
      svg.append(rect);
    });
    svg.append(this.line);
  }

  /** Draw the line, the bars beyond it, and its effect in rows. @param {number} at */
  draw(at) {
    const { texts, reported } = this;
    const x = (Math.min(at, this.longest) / this.longest) * WIDTH;
    setAll(this.line, { x1: x, x2: x, y1: 0, y2: HEIGHT });
    for (const rect of this.svg.querySelectorAll("rect"))
      rect.classList.toggle("fs-over-length", Number(rect.dataset.end) > at);
    const effect = effectOf(reported, at);
    const values = { at: number(at), cut: number(effect?.cut ?? 0), lost: number(effect?.lost ?? 0) };
    setText(this.effect, fill(effect ? texts[`effect_${this.longRows}`] : texts.effect_length, values));
    this.slider.value = String(at);
    this.slider.setAttribute("aria-valuetext", this.effect.textContent ?? "");
  }

  listen() {
    const { slider, svg, places } = this;
    const value = () => nearest(places, Number(slider.value));
    slider.addEventListener("input", () => this.draw(value()));
    slider.addEventListener("change", () => this.setLength(value()));
    slider.addEventListener("keydown", (event) => {
      const way = WAYS[event.key]; // one bar per key press
      if (!way) return;
      event.preventDefault();
      const to = stepped(places, Number(slider.value), way);
      this.draw(to);
      clearTimeout(this.#settling);
      this.#settling = window.setTimeout(() => this.setLength(to), SETTLE_MS);
    });
    svg.addEventListener("pointerdown", (event) => this.drag(event));
  }

  /** @param {PointerEvent} event */
  drag(event) {
    const { svg } = this;
    svg.setPointerCapture(event.pointerId);
    const at = (/** @type {PointerEvent} */ moved) => {
      const box = svg.getBoundingClientRect();
      return nearest(this.places, ((moved.clientX - box.left) / box.width) * this.longest);
    };
    const move = (/** @type {PointerEvent} */ moved) => this.draw(at(moved));
    const drop = (/** @type {PointerEvent} */ up) => {
      svg.removeEventListener("pointermove", move);
      this.setLength(at(up));
    };
    svg.addEventListener("pointermove", move);
    svg.addEventListener("pointerup", drop, { once: true });
    move(event);
  }
}
