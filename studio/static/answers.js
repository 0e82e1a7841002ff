// The answers of the base model and of the fine-tuned one, side by side; over time if asked for.
// @ts-check
import { fill, heads, make, scrolling } from "./dom.js";

/** @typedef {import("./run_view.js").Sample} Sample */

/** @param {Record<string, any>} texts */
export function answerTable(texts) {
  const element = make("div", { class: "fs-answers" });
  const overTime = make("input", { type: "checkbox" });
  const choice = make("label", { class: "fs-check", hidden: true }, overTime, texts.answers_over_time);
  const place = make("div");
  element.append(choice, place);
  let shown = "";
  /** @type {Sample[]} */
  let samples = [];
  const cell = (/** @type {string} */ text) => make("td", {}, text);
  const draw = () => {
    const steps = [...new Set(samples.flatMap((one) => one.answers.map(({ step }) => step)))].sort((a, b) => a - b);
    choice.hidden = steps.length < 2;
    const columns = overTime.checked && steps.length > 1 ? steps : null;
    const names = columns ? columns.map((step) => fill(texts.at_step, { step })) : [texts.after];
    const said = (/** @type {Sample} */ one) =>
      columns ? columns.map((step) => one.answers.find((answer) => answer.step === step)?.answer ?? "–") : [one.after];
    const row = (/** @type {Sample} */ one) =>
      make("tr", {}, make("th", { scope: "row" }, one.prompt), cell(one.before), ...said(one).map(cell));
    const head = make("thead", {}, heads(texts.prompt, texts.before, ...names));
    const table = make("table", {}, head, make("tbody", {}, ...samples.map(row)));
    place.replaceChildren(scrolling(texts.answers, table));
  };
  overTime.addEventListener("change", draw);
  /** @param {Sample[]} list */
  const show = (list) => {
    if (shown === JSON.stringify(list)) return;
    shown = JSON.stringify(list);
    samples = list;
    draw();
  };
  return { element, show };
}
