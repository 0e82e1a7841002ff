import assert from "node:assert/strict";
import { test } from "node:test";
import { matches } from "../../../studio/static/settings.js";

test("a search finds settings by all words, in any order and case", () => {
  const text = "Learning-rate schedule. · lr_scheduler_type";
  assert.equal(matches(text, "LR_sched learning"), true);
  assert.equal(matches(text, "learning warmup"), false);
  assert.equal(matches(text, ""), true);
  assert.equal(matches("学习率调度", "学习率"), true);
});
