import assert from "node:assert/strict";
import { test } from "node:test";
import { shownRuns, updated } from "../../../studio/static/runs_view.js";

const run = (id, more = {}) => ({
  id, name: "", state: "finished", over: true, model: "m", dataset: "d", step: 1, total_steps: 1,
  train_loss_last: null, eval_loss: null, started: 1, seconds: 1, attempts: 1, resumable: false, timing: false, tags: [], note: "",
  sparkline: [], ...more,
}); // prettier-ignore
const ids = (runs) => runs.map((one) => one.id);
const all = [
  run("c", { name: "Run 10", model: "Qwen/Qwen3", train_loss_last: 0.5, seconds: 3 }),
  run("b", { name: "Run 9", dataset: "rows.csv", state: "failed", eval_loss: 0.2, seconds: 9 }),
  run("a", { train_loss_last: 0.1, seconds: 5 }),
];
const wanted = (more) => ids(shownRuns(all, { text: "", state: "", order: "newest", ...more }));

test("an update replaces runs in their places, or the whole list", () => {
  const changed = updated(all, { whole: false, runs: [run("b", { state: "finished" }), run("x")] });
  assert.deepEqual(ids(changed), ["c", "b", "a"]);
  assert.equal(changed[1].state, "finished");
  assert.deepEqual(ids(updated(all, { whole: true, runs: [run("x")] })), ["x"]);
});

test("a search looks at name, id, model and dataset; a state narrows it", () => {
  assert.deepEqual(wanted({ text: "run QWEN3" }), ["c"]);
  assert.deepEqual(wanted({ text: "rows" }), ["b"]);
  assert.deepEqual(wanted({ state: "failed" }), ["b"]);
  assert.deepEqual(wanted({ text: "nothing" }), []);
});

test("runs are ordered by what is chosen; those without a value come last", () => {
  assert.deepEqual(wanted({ order: "newest" }), ["c", "b", "a"]);
  assert.deepEqual(wanted({ order: "loss" }), ["a", "c", "b"]);
  assert.deepEqual(wanted({ order: "validation" })[0], "b");
  assert.deepEqual(wanted({ order: "duration" }), ["b", "a", "c"]);
  assert.deepEqual(wanted({ order: "name" }), ["a", "b", "c"]);
  assert.deepEqual(ids(all), ["c", "b", "a"], "the list itself stays");
});

test("tags and notes are searched, queued and timing runs are elsewhere unless asked for", () => {
  const list = [
    run("t", { timing: true }),
    run("q", { state: "queued", over: false }),
    run("n", { tags: ["base"], note: "Best so far" }),
  ];
  const found = (more) => ids(shownRuns(list, { text: "", state: "", order: "newest", ...more }));
  assert.deepEqual(found({}), ["n"]);
  assert.deepEqual(found({ timing: true }), ["t", "n"]);
  assert.deepEqual(found({ state: "queued" }), ["q"]);
  assert.deepEqual(found({ text: "#base" }), ["n"]);
  assert.deepEqual(found({ text: "best SO" }), ["n"]);
  assert.deepEqual(found({ text: "#other" }), []);
});
