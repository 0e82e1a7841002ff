import assert from "node:assert/strict";
import test from "node:test";
import { amount, range, shareOf, titleOf } from "../../../studio/static/evaluate_view.js";

test("shares are percentages, losses are themselves", () => {
  assert.equal(amount("exact_match", 0.8), "80.0 %");
  assert.equal(amount("exact_match", -0.183, true), "−18.3");
  assert.equal(amount("rouge_l", 0.378, true), "+37.8");
  assert.equal(amount("loss", 1.2345), "1.234");
  assert.equal(amount("perplexity", 739.957), "740.0");
  assert.equal(range("exact_match", { low: 0.49, high: 0.943 }), "49.0 … 94.3");
  assert.equal(range("loss", { low: -0.2, high: 0.1 }, true), "−0.200 … +0.100");
  assert.equal(range("loss", null), "");
});

test("the title says what was evaluated", () => {
  const texts = { held_out: "Held out", general_questions: "general" };
  const step = (at) => `step ${at}`;
  const spec = { dataset: "held_out", dataset_name: "", probe: true, step: null };
  assert.equal(titleOf(spec, texts, step), "Held out + general");
  assert.equal(titleOf({ ...spec, dataset: "d", dataset_name: "t.jsonl", probe: false, step: 4 }, texts, step), "t.jsonl · step 4"); // prettier-ignore
});

test("progress is a share", () => {
  assert.equal(shareOf({ progress: [3, 12] }), 0.25);
  assert.equal(shareOf({ progress: null }), 0);
});
