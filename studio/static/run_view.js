// What the page of a run shows for a status: the available actions and all figures as text. No access to the page.
// @ts-check
import { clock, figure, size } from "./format.js";

/**
 * @typedef {{ prompt: string, before: string, after: string, answers: { step: number, answer: string }[] }} Sample
 * @typedef {{
 *   state: string, over: boolean, name: string, tags: string[], note: string, phase: string, done: number | null, total: number | null, unit: string,
 *   metrics: Record<string, number>, step: number, total_steps: number, epoch: number, loss: number | null, validation_loss: number | null,
 *   eta_seconds: number | null, tokens_per_second: number | null, memory_bytes: number | null,
 *   peak_memory_bytes: number | null, estimated_bytes: number | null, attempt: number,
 *   resumed_from_step: number | null, resumes: number[], phases: { name: string, seconds: number }[], saved_step: number | null, stop_seconds: number | null, problem: string,
 *   fix: Record<string, unknown>, evidence: string[], checkpoints: import("./run_details.js").Checkpoint[], warnings: string[], reading: string, samples: Sample[], adapter: boolean, generates: boolean,
 * }} Status
 */

/** The available actions by name. @param {Status} status @returns {Record<string, boolean>} */
export function offered(status) {
  const { over, state } = status;
  const unbegun = status.attempt === 0 && state !== "failed";
  const learned = status.adapter || status.saved_step !== null;
  return {
    stop: !over && state !== "stopping",
    discard: !over && state !== "queued",
    resume: over && state !== "finished" && (status.saved_step !== null || unbegun),
    retry: over && !(unbegun && state === "stopped"),
    duplicate: true,
    continue_training: over && learned && status.generates,
    try_it: learned && status.generates,
    evaluate: learned && status.generates,
    export: learned,
    download: status.adapter,
    fix: Object.keys(status.fix).length > 0,
  };
}

/** The labels of the first two actions, which differ for a run that has not started. @param {Status} status */
export const named = (status) => ({
  stop: status.state === "queued" ? "queue_leave" : "stop",
  resume: status.attempt === 0 && status.state !== "failed" ? "begin" : "resume",
});

/** The progress of a run or its phase, from 0 to 1. @param {Status} status */
export function progressOf(status) {
  if (status.total_steps) return status.step / status.total_steps;
  return status.total ? (status.done ?? 0) / status.total : 0;
}

/**
 * The line next to the state: the current phase, or the time limit of a stop.
 * @param {Status} status
 * @param {(key: string, values: Record<string, unknown>) => string} say
 */
export function phaseOf(status, say) {
  if (status.stop_seconds !== null) return say("stop_within", { seconds: Math.ceil(status.stop_seconds) });
  const amount = status.unit === "bytes" && status.total ? ` ${size(status.done ?? 0)} / ${size(status.total)}` : "";
  return status.phase + amount;
}

/**
 * What the browser's tab says: how far a run is, or how it stands.
 * @param {Status} status
 * @param {(key: string, values: Record<string, unknown>) => string} say
 * @param {string} id
 */
export function titleOf(status, say, id) {
  const share = Math.floor((100 * status.step) / Math.max(status.total_steps, 1));
  const state = status.over || !status.total_steps ? say(`state_${status.state}`, {}) : `${share}%`;
  return `${state} – ${status.name || id}`;
}

/** The tiles of a run by name, in order. */
export const FACTS = [
  "step", "epoch", "loss", "validation_loss", "margin", "accuracy", "eta", "speed", "memory", "peak_memory", "device", "saved_step",
]; // prettier-ignore

/** @param {number | undefined} share */
const percent = (share) => (share === undefined ? "" : `${(100 * share).toFixed(1)}%`);

/**
 * The text of every tile, except for the device's, which comes from another request. A tile without a text is hidden.
 * @param {Status} status
 * @param {(key: string, values: Record<string, unknown>) => string} say
 * @returns {Record<string, string>}
 */
export function factsOf(status, say) {
  const peak = status.peak_memory_bytes ? size(status.peak_memory_bytes) : "–";
  const expected = status.estimated_bytes;
  return {
    step: status.total_steps ? `${status.step} / ${status.total_steps}` : "–",
    epoch: status.epoch ? status.epoch.toFixed(2) : "–",
    loss: figure(status.loss),
    validation_loss: figure(status.validation_loss),
    margin: status.metrics["rewards/margins"]?.toFixed(4) ?? "",
    accuracy: percent(status.metrics["rewards/accuracies"]),
    eta: clock(status.eta_seconds),
    speed: status.tokens_per_second ? say("tokens_per_second", { n: Math.round(status.tokens_per_second) }) : "–",
    saved_step: String(status.saved_step ?? "–"),
    memory: status.memory_bytes ? size(status.memory_bytes) : "–",
    peak_memory: expected ? say("peak_estimated", { measured: peak, estimated: size(expected) }) : peak,
  };
}

/** Format settings for display. @param {Record<string, unknown>} changes */
export const changesOf = (changes) =>
  Object.entries(changes)
    .map(([name, value]) => `${name}: ${value}`)
    .join(", ");

/**
 * The points of a sparkline (80 by 22) for an SVG polyline; empty for fewer than two points.
 * @param {(number | null)[]} losses
 */
export function sparkPoints(losses) {
  const real = losses.filter((loss) => typeof loss === "number");
  if (real.length < 2) return "";
  const [low, high] = [Math.min(...real), Math.max(...real)];
  const at = (/** @type {number} */ loss, /** @type {number} */ index) =>
    `${(index / (real.length - 1)) * 80},${20 - ((loss - low) / (high - low || 1)) * 18}`;
  return real.map(at).join(" ");
}
