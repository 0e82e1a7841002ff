// What the comparison of runs shows: figures row by row, and which of them is best. No access to the page.
// @ts-check
import { lowest } from "./chart_view.js";
import { clock, figure, size } from "./format.js";

/**
 * @typedef {import("./chart_view.js").Curve} Curve
 * @typedef {import("./chart_view.js").StepCurve} StepCurve
 * @typedef {{
 *   run: import("./runs_view.js").Run, best_validation_loss: number | null, best_step: number | null, tokens: number,
 *   peak_memory_bytes: number | null, curves: { train: StepCurve, validation: Curve },
 * }} Compared
 * @typedef {{ value: number, interval: import("./evaluate_view.js").Interval | null, rows: number }} Measurement
 * @typedef {{
 *   runs: Compared[], differences: { name: string, values: unknown[] }[],
 *   evaluations: { dataset: string, dataset_name: string, metric: string, label: string, values: (Measurement | null)[] }[],
 *   answers: { prompt: string, before: string, after: (string | null)[] }[], gone: string[],
 * }} Comparison
 * @typedef {{ key: string, cells: string[], best: number }} Row
 */

export const LEAST = 2;
export const MOST = 8;
/** Told apart by people who confuse red and green too, on a light and on a dark ground. */
const COLORS = ["#0d9488", "#d97706", "#6366f1", "#db2777", "#65a30d", "#0284c7", "#a16207", "#64748b"];

/** @param {number} index of the run */
export const colorOf = (index) => COLORS[index % COLORS.length];

/** The runs that an address names. @param {string} search */
export const idsIn = (search) => [
  ...new Set((new URLSearchParams(search).get("runs") ?? "").split(",").filter(Boolean)),
];

/** The page's address for these runs. @param {string[]} ids */
export const comparePage = (ids) => `compare?runs=${ids.map(encodeURIComponent).join(",")}`;

/** The rows of figures. `best` is the column of the lowest value where lower is better, else -1. @param {Compared[]} runs @param {(count: number) => string} count @returns {Row[]} */
export function figureRows(runs, count) {
  const of = (/** @type {string} */ key, /** @type {(one: Compared) => string} */ cell, best = -1) => ({
    key,
    cells: runs.map(cell),
    best,
  });
  const at = (/** @type {Compared} */ one) => (one.best_step === null ? "" : ` (${count(one.best_step)})`);
  const best = runs.length > 1 ? lowest(runs.map((one) => one.best_validation_loss)) : -1;
  return [
    of("model", ({ run }) => run.model.split("/").pop() || "–"),
    of("dataset", ({ run }) => run.dataset || "–"),
    of("steps", ({ run }) => `${count(run.step)} / ${count(run.total_steps)}`),
    of("train_loss", ({ run }) => figure(run.train_loss_last)),
    of("validation_loss", ({ run }) => figure(run.eval_loss)),
    of("best_validation_loss", (one) => figure(one.best_validation_loss) + at(one), best),
    of("time", ({ run }) => clock(run.seconds)),
    of("tokens", ({ tokens }) => count(tokens)),
    of("memory", ({ peak_memory_bytes: bytes }) => (bytes ? size(bytes) : "–")),
  ];
}
