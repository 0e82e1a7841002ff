// What the chart of a run draws: which curve, over what, smoothed or not, and what is marked. No access to the page.
// @ts-check

/**
 * @typedef {{ x: number[], y: (number | null)[], tokens: number[], seconds: number[] }} Curve
 * @typedef {Curve & { learning_rate: number[], grad_norm: (number | null)[], memory: number[], speed: (number | null)[] }} StepCurve
 * @typedef {{ curve: "loss" | "learning_rate" | "grad_norm" | "memory" | "speed", over: "step" | "tokens" | "time", smoothing: number, logarithmic: boolean }} View
 * @typedef {{ checkpoints: number[], resumes: number[] }} Marks steps
 */

export const CURVES = /** @type {const} */ (["loss", "learning_rate", "grad_norm", "speed", "memory"]);
export const AXES = /** @type {const} */ (["step", "tokens", "time"]);
const BYTES = 1e9;

/** Append points to a curve in place. @param {Record<string, any>} curve @param {Record<string, any>} more */
export function extend(curve, more) {
  for (const name of Object.keys(more)) (curve[name] ??= []).push(...more[name]);
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

/** The values of a curve. @param {StepCurve} train @param {View["curve"]} name */
export function valuesOf(train, name) {
  if (name === "loss") return train.y;
  return name === "memory" ? train.memory.map((bytes) => bytes / BYTES) : train[name];
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
  const names = /** @type {(keyof StepCurve)[]} */ (Object.keys(part));
  return /** @type {any} */ (
    Object.fromEntries(names.map((name) => [name, [...part[name], ...whole[name].slice(from)]]))
  );
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
