import assert from "node:assert/strict";
import { test } from "node:test";
import { grouped, proposedValues, stateCounts } from "../../../studio/static/sweep_view.js";

const run = (id, more = {}) => ({ id, name: id, state: "finished", over: true, eval_loss: null, started: 1, seconds: 1, sweep: null, ...more }); // prettier-ignore
const sweep = { id: "s", name: "facts #1", number: 1, runs: 3, values: {} };

test("the runs of a sweep are one entry in the place of the newest; all of them count", () => {
  const all = [
    run("d"),
    run("c", { sweep, eval_loss: 0.5, started: null }),
    run("b"),
    run("a", { sweep, eval_loss: 0.3, started: 7, state: "running", seconds: 4 }),
  ];
  const [first, family, last, ...more] = grouped([all[0], all[1], all[2]], all);
  assert.deepEqual([first.id, family.id, last.id, more.length], ["d", "s", "b", 0]);
  assert.deepEqual([family.name, family.runs.length, family.wanted], ["facts #1", 2, 3]);
  assert.deepEqual([family.best, family.seconds, family.started], [0.3, 5, 7]);
});

test("states are counted, those that aren't over first", () => {
  const states = ["failed", "queued", "running", "queued"].map((state) =>
    run("x", { state, over: state === "failed" }),
  );
  assert.deepEqual(stateCounts(states), [["queued", 2], ["running", 1], ["failed", 1]]); // prettier-ignore
});

test("the proposed values are the form's own and one beside it", () => {
  const config = { learning_rate: 2e-4, lora: { r: 16 }, seed: 42, packing: false, bf16: "auto", weight_decay: 0, optim: "sgd" }; // prettier-ignore
  const proposed = (name) => proposedValues(name, config);
  assert.deepEqual(["learning_rate", "lora.r", "seed"].map(proposed), ["0.0002, 0.0004", "16, 32", "1, 2, 3"]);
  assert.deepEqual(["packing", "bf16", "optim"].map(proposed), ["true, false", "true, false", "sgd"]);
  assert.deepEqual(["weight_decay", "unknown.name"].map(proposed), ["0, 0.1", ""]);
});
