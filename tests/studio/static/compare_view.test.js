import assert from "node:assert/strict";
import { test } from "node:test";
import { MOST, colorOf, comparePage, figureRows, idsIn } from "../../../studio/static/compare_view.js";

const run = (best, more = {}) => ({
  run: { id: "a", name: "", model: "Qwen/Qwen2.5-0.5B", dataset: "", step: 3, total_steps: 1200, seconds: 61, train_loss_last: 1, eval_loss: null, ...more },
  best_validation_loss: best,
  best_step: best === null ? null : 2,
  tokens: 5000,
  peak_memory_bytes: null,
}); // prettier-ignore

test("an address names the runs, and is made of them", () => {
  assert.deepEqual(idsIn("?runs=a,b"), ["a", "b"]);
  assert.deepEqual(idsIn("?runs=a,a"), ["a"]);
  assert.deepEqual(idsIn("?runs=,"), []);
  assert.deepEqual(idsIn(""), []);
  assert.deepEqual(idsIn(`?${comparePage(["20260101-1", "b"]).split("?")[1]}`), ["20260101-1", "b"]);
});

test("the lowest validation loss is the best, where there are several runs and one was measured", () => {
  const best = (runs) => figureRows(runs, String).find((row) => row.key === "best_validation_loss");
  assert.deepEqual(best([run(2), run(1.25), run(null)]).cells, ["2.0000 (2)", "1.2500 (2)", "–"]);
  assert.equal(best([run(2), run(1.25), run(null)]).best, 1);
  assert.equal(best([run(2)]).best, -1);
  assert.equal(best([run(null), run(null)]).best, -1);
});

test("figures are written as people read them", () => {
  const rows = Object.fromEntries(figureRows([run(1)], (count) => `#${count}`).map((row) => [row.key, row.cells[0]]));
  assert.equal(rows.model, "Qwen2.5-0.5B");
  assert.equal(rows.dataset, "–");
  assert.equal(rows.steps, "#3 / #1200");
  assert.equal(rows.time, "1:01");
});

test("each run has a color of its own", () => {
  assert.equal(new Set(Array.from({ length: MOST }, (_, index) => colorOf(index))).size, MOST);
});
