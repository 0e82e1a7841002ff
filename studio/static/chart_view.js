// What the chart of a run draws: which curve, over what, smoothed or not, and what is marked. No access to the page.
// @ts-check

/**
 * @typedef {{ x: number[], y: (number | null)[], tokens: number[], seconds: number[], metrics?: Record<string, (number | null)[]> }} Curve
 * @typedef {Curve & { learning_rate: number[], grad_norm: (number | null)[], memory: number[], speed: (number | null)[] }} StepCurve
 * @typedef {{ curve: typeof CURVES[number] | keyof typeof METRICS, over: "step" | "tokens" | "time", smoothing: number, logarithmic: boolean }} View
 * @typedef {{ checkpoints: number[], resumes: number[] }} Marks steps
 */

export const CURVES = /** @type {const} */ (["loss", "learning_rate", "grad_norm", "speed", "memory"]);
export const AXES = /** @type {const} */ (["step", "tokens", "time"]);
/** The curves of methods that compare answers: each with its metrics, by TRL's names. */
export const METRICS = {
  margin: ["rewards/margins"],
  accuracy: ["rewards/accuracies"],
  rewards: ["rewards/chosen", "rewards/rejected"],
  logps: ["logps/chosen", "logps/rejected"],
  kl: ["kl"],
  nll: ["nll_loss"],
  odds: ["log_odds_chosen"],
};
const BYTES = 1e9;

/** The curves that a run's metrics make up. @param {Curve} curve */
export const metricCurves = ({ metrics = {} }) =>
  /** @type {(keyof typeof METRICS)[]} */ (Object.keys(METRICS)).filter((name) =>
    METRICS[name].some((metric) => metric in metrics),
  );

/** @param {View["curve"]} name @returns {string[]} the metrics of a curve; none for a curve that every run has */
export const metricsOf = (name) => (name in METRICS ? METRICS[/** @type {keyof typeof METRICS} */ (name)] : []);

/** Append points to a curve in place. @param {Record<string, any>} curve @param {Record<string, any>} more */
export function extend(curve, more) {
  const [before, added] = [curve.x?.length ?? 0, more.x?.length ?? 0];
  for (const name of new Set([...Object.keys(curve.metrics ?? {}), ...Object.keys(more.metrics ?? {})])) {
    curve.metrics ??= {};
    curve.metrics[name] ??= Array(before).fill(null); // a metric that the points before don't have
    curve.metrics[name].push(...(more.metrics?.[name] ?? Array(added).fill(null)));
  }
  for (const name of Object.keys(more)) if (name !== "metrics") (curve[name] ??= []).push(...more[name]);
}

/**
 * An exponential moving average without bias towards the first value, as TensorBoard draws it. Gaps stay gaps.
 * @param {(number | null)[]} values
 * @param {number} weight of what was before, from 0 to 1
 */
export function smoothed(values, weight) {
  let [average, debias] = [0, 1];
  return values.map((value) => {
    if (value === null) return null;
    average = weight * average + (1 - weight) * value;
    debias *= weight;
    return average / (1 - debias);
  });
}

/** Seconds in the largest unit that keeps the axis readable. @param {number} longest in seconds @returns {["s" | "min" | "h", number]} */
export function unitOf(longest) {
  if (longest >= 3 * 3600) return ["h", 3600];
  return longest >= 300 ? ["min", 60] : ["s", 1];
}

/** The places of points on the x axis. @param {Curve} curve @param {View["over"]} over @param {number} unit seconds in a unit of time */
export function placesOf(curve, over, unit) {
  if (over === "tokens") return curve.tokens;
  return over === "time" ? curve.seconds.map((seconds) => seconds / unit) : curve.x;
}

/** The values of a curve that every run has. @param {StepCurve} train @param {View["curve"]} name */
export function valuesOf(train, name) {
  if (name === "loss") return train.y;
  if (name in METRICS) return train.metrics?.[metricsOf(name)[0]] ?? [];
  return name === "memory" ? train.memory.map((bytes) => bytes / BYTES) : /** @type {any} */ (train)[name];
}

/** The index of the lowest value; -1 where there is none. @param {(number | null)[]} values */
export function lowest(values) {
  const least = Math.min(...values.map((value) => value ?? Infinity));
  return values.indexOf(least);
}

/** The index of the last point up to a step; -1 where there is none. @param {Curve} curve @param {number} step */
export function indexOfStep(curve, step) {
  let at = curve.x.length - 1;
  while (at >= 0 && curve.x[at] > step) at -= 1;
  return at;
}

/** A part of a curve in detail, with what has come after it. @param {StepCurve} part @param {StepCurve} whole @returns {StepCurve} */
export function joined(part, whole) {
  const from = indexOfStep(whole, part.x[part.x.length - 1] ?? Infinity) + 1;
  /** @param {any} one @param {any} all @returns {any} */
  const both = (one, all) =>
    Object.fromEntries(
      Object.keys(one).map((name) => [
        name,
        Array.isArray(one[name]) ? [...one[name], ...(all[name] ?? []).slice(from)] : both(one[name], all[name] ?? {}),
      ]),
    );
  return both(part, whole);
}

/**
 * The steps around a part of the x axis: from the last known point before it to the first one after it.
 * @param {StepCurve} train
 * @param {number[]} places
 * @param {number} from
 * @param {number} to
 */
export function stepsBetween(train, places, from, to) {
  const after = places.findIndex((place) => place > to);
  const beyond = places.findIndex((place) => place >= from);
  if (beyond < 0 || after === 0) return null;
  const last = after < 0 ? places.length - 1 : after;
  return [train.x[Math.max(beyond - 1, 0)], train.x[last]];
}
