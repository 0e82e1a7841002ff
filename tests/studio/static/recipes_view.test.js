import assert from "node:assert/strict";
import test from "node:test";
import { changesFor, followed, settingsNow } from "../../../studio/static/recipes_view.js";

const quick = { name: "quick", settings: { num_train_epochs: 1, "lora.r": 8 }, built_in: true };
const balanced = { name: "balanced", settings: {}, built_in: true };
const form = { num_train_epochs: 3, learning_rate: 5e-4, lora: { r: 16 } };

test("the form as the preset has it follows the empty recipe", () => {
  assert.equal(followed([quick, balanced], form, {}), balanced);
});

test("a form with all of a recipe's settings follows it, and with one more it follows none", () => {
  const changed = { num_train_epochs: 3, "lora.r": 16 };
  const quickly = { ...form, num_train_epochs: 1, lora: { r: 8 } };
  assert.equal(followed([quick, balanced], quickly, changed), quick);
  assert.equal(
    followed([quick, balanced], { ...quickly, learning_rate: 1 }, { ...changed, learning_rate: 5e-4 }),
    undefined,
  );
});

test("a recipe's setting that the preset has too counts as followed", () => {
  assert.equal(followed([quick], { num_train_epochs: 1, lora: { r: 8 } }, { num_train_epochs: 3 }), quick);
});

test("a recipe is chosen from the preset, whatever was changed before", () => {
  assert.deepEqual(changesFor(quick, { learning_rate: 5e-4, "lora.r": 16 }), {
    learning_rate: 5e-4,
    num_train_epochs: 1,
    "lora.r": 8,
  });
});

test("one's own recipe has what differs from the preset", () => {
  assert.deepEqual(settingsNow({ ...form, lora: { r: 4 } }, { "lora.r": 16 }), { "lora.r": 4 });
});

test("no recipe touches the device or the data", () => {
  const changed = { device: "auto", bad_rows: "stop", "lora.r": 16 };
  assert.deepEqual(changesFor(balanced, changed), { "lora.r": 16 });
  assert.equal(followed([balanced], form, { device: "auto" }), balanced);
  assert.deepEqual(settingsNow({ ...form, device: "cpu" }, { device: "auto" }), {});
});
