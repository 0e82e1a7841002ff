import assert from "node:assert/strict";
import { test } from "node:test";

import {
  changesOf,
  factsOf,
  named,
  offered,
  phaseOf,
  titleOf,
  progressOf,
  sparkPoints,
} from "../../../studio/static/run_view.js";

const RUNNING = {
  metrics: {},
  state: "running", over: false, name: "", phase: "Training", done: null, total: null, unit: "", step: 5, total_steps: 20,
  epoch: 0.5, loss: 1.5, validation_loss: null, eta_seconds: 61, tokens_per_second: 99.6, memory_bytes: 2e9,
  peak_memory_bytes: 3e9, estimated_bytes: null, attempt: 1, resumed_from_step: null, saved_step: null, stop_seconds: null,
  problem: "", fix: {}, evidence: [], checkpoints: [], warnings: [], reading: "", samples: [], adapter: false, generates: true,
}; // prettier-ignore
const say = (key, values) => `${key} ${JSON.stringify(values)}`;
const on = (status) =>
  Object.entries(offered({ ...RUNNING, ...status })).flatMap(([name, shown]) => (shown ? [name] : []));

test("each state offers what makes sense in it", () => {
  assert.deepEqual(on({}), ["stop", "discard", "duplicate"]);
  assert.deepEqual(on({ state: "queued", attempt: 0 }), ["stop", "duplicate"]);
  assert.deepEqual(on({ state: "stopping" }), ["discard", "duplicate"]);
  assert.deepEqual(on({ state: "stopped", over: true, saved_step: 4 }), [
    "resume",
    "retry",
    "duplicate",
    "continue_training",
    "try_it",
    "evaluate",
    "export",
  ]);
  assert.deepEqual(on({ state: "stopped", over: true, attempt: 0 }), ["resume", "duplicate"]); // it has left the queue
  const scores = { state: "finished", over: true, adapter: true, generates: false };
  assert.deepEqual(on(scores), ["retry", "duplicate", "export", "download"]); // a reward model writes no answers
  assert.deepEqual(on({ state: "finished", over: true, adapter: true, saved_step: 20 }), [
    "retry",
    "duplicate",
    "continue_training",
    "try_it",
    "evaluate",
    "export",
    "download",
  ]);
  const fix = { max_length: 512 };
  assert.deepEqual(on({ state: "failed", over: true, fix }), ["retry", "duplicate", "fix"]);
});

test("actions of a run that has not begun have their own names", () => {
  assert.deepEqual(named({ ...RUNNING, state: "queued", attempt: 0 }), { stop: "queue_leave", resume: "begin" });
  assert.deepEqual(named(RUNNING), { stop: "stop", resume: "resume" });
});

test("progress is of the run's steps, or of its phase before them", () => {
  assert.equal(progressOf(RUNNING), 0.25);
  assert.equal(progressOf({ ...RUNNING, total_steps: 0, done: 1, total: 4 }), 0.25);
  assert.equal(progressOf({ ...RUNNING, total_steps: 0 }), 0);
});

test("a stop counts down, a download says its bytes", () => {
  assert.equal(phaseOf({ ...RUNNING, stop_seconds: 1.2 }, say), 'stop_within {"seconds":2}');
  assert.equal(
    phaseOf({ ...RUNNING, phase: "Downloading", unit: "bytes", done: 1e6, total: 2e6 }, say),
    "Downloading 1.0 MB / 2.0 MB",
  );
});

test("every tile has a text, a dash where nothing is known", () => {
  const facts = factsOf(
    { ...RUNNING, total_steps: 0, epoch: 0, memory_bytes: null, peak_memory_bytes: null, eta_seconds: null },
    say,
  );
  assert.deepEqual([facts.step, facts.epoch, facts.memory, facts.peak_memory, facts.eta], ["–", "–", "–", "–", "–"]);
  assert.equal(
    factsOf({ ...RUNNING, estimated_bytes: 4e9 }, say).peak_memory,
    'peak_estimated {"measured":"3.0 GB","estimated":"4.0 GB"}',
  );
});

test("tiles of a method's metrics have no text where the method has none", () => {
  const { margin, accuracy } = factsOf(RUNNING, say);
  assert.deepEqual([margin, accuracy], ["", ""]);
  const facts = factsOf({ ...RUNNING, metrics: { "rewards/margins": 0.5, "rewards/accuracies": 0.875 } }, say);
  assert.deepEqual([facts.margin, facts.accuracy], ["0.5000", "87.5%"]);
});

test("a fix is read as settings", () => {
  assert.equal(changesOf({ max_length: 512, bf16: true }), "max_length: 512, bf16: true");
});

test("a small curve has a point for each loss, and none for fewer than two", () => {
  assert.equal(sparkPoints([2, null, 1]), "0,2 80,20");
  assert.equal(sparkPoints([1, 1]), "0,20 80,20");
  assert.equal(sparkPoints([1]), "");
});

test("a tab's title says how far a run is, then how it ended", () => {
  const run = { ...RUNNING, name: "lumo", step: 34, total_steps: 100 };
  assert.equal(titleOf(run, say, "id"), "34% – lumo");
  assert.equal(titleOf({ ...run, name: "", over: true, state: "failed" }, say, "id"), "state_failed {} – id");
});
