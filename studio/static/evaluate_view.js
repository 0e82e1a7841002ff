// What the Evaluate page shows of an evaluation: figures with their intervals, and what is evaluated. No access to the page.
// @ts-check

/**
 * @typedef {{ low: number, high: number }} Interval
 * @typedef {{
 *   name: string, label: string, rows: number, tuned: number, tuned_interval: Interval | null, base: number | null,
 *   base_interval: Interval | null, verdict: string,
 *   difference: { value: number, interval: Interval | null, p: number | null, verdict: string } | null,
 * }} Line
 * @typedef {{
 *   dataset: string, dataset_name: string, probe: boolean, base: boolean, step: number | null, max_rows: number,
 *   max_new_tokens: number, gate: string, created: number,
 * }} Spec
 * @typedef {{
 *   run: string, run_name: string, number: number, spec: Spec, state: string, over: boolean, after_training: boolean,
 *   phase: string, progress: [number, number] | null, problem: string, warnings: string[], outdated: boolean,
 *   table: Line[], metrics: string[], data_rows: number, few: boolean,
 *   gate: { passed: boolean, failed: string[] } | null,
 * }} Evaluation
 * @typedef {{ answer: string | null } & Record<string, number | string | null>} Side
 * @typedef {{
 *   number: number, set: string, row: number, kind: string, prompt: string, reference: string, base?: Side, tuned?: Side,
 * }} Row
 */

/** Metrics that aren't shares from 0 to 1. */
const NATURAL = ["loss", "perplexity"];

/** @param {string} name @param {number} value @param {boolean} [signed] */
export function amount(name, value, signed = false) {
  const natural = NATURAL.includes(name);
  const text = natural ? value.toFixed(value >= 100 ? 1 : 3) : (100 * value).toFixed(1);
  return (signed && value > 0 ? "+" : "") + text.replace("-", "−") + (natural || signed ? "" : " %");
}

/** @param {string} name @param {Interval | null} interval @param {boolean} [signed] */
export function range(name, interval, signed = false) {
  if (!interval) return "";
  const of = (/** @type {number} */ value) => amount(name, value, signed).replace(" %", "");
  return `${of(interval.low)} … ${of(interval.high)}`;
}

/**
 * The name of what was evaluated.
 * @param {Pick<Spec, "dataset" | "dataset_name" | "probe" | "step">} spec @param {Record<string, string>} texts
 * @param {(step: number) => string} [step]
 */
export function titleOf(spec, texts, step = String) {
  const parts = spec.dataset === "held_out" ? [texts.held_out] : spec.dataset ? [spec.dataset_name] : [];
  if (spec.probe) parts.push(texts.general_questions);
  return parts.join(" + ") + (spec.step === null ? "" : ` · ${step(spec.step)}`);
}

/** How far it is, from 0 to 1. @param {Evaluation} one */
export const shareOf = ({ progress }) => (progress ? progress[0] / progress[1] : 0);
