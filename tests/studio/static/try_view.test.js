import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = { documentElement: { lang: "en" } };
const { childrenInWords, figuresOf, sidesOf } = await import("../../../studio/static/try_view.js");

const TEXTS = {
  before: "Base model", at_step: "step {step}", end_length: "length limit reached", end_stopped: "stopped",
  answer_tokens: "{count} tokens", tokens_each_second: "{count} tokens/s", chat_loading: "Loading {model} ({size})",
  chat_idle: "{model} is loaded ({device})", chat_moved: "A run uses the GPU.", chat_shared: "A run trains.",
}; // prettier-ignore
const ANSWER = {
  html: "",
  text: "",
  end: "complete",
  tokens: 12,
  first_seconds: 0.1,
  tokens_per_second: 9.5,
  problem: "",
};

test("a column is named by who answers", () => {
  const names = [
    { speaker: { run: "r", base: true }, run_name: "lamp #1", model: "Qwen/Qwen2.5-0.5B" },
    { speaker: { run: "r" }, run_name: "lamp #1", model: "Qwen/Qwen2.5-0.5B" },
    { speaker: { run: "r", step: 20 }, run_name: "lamp #1", model: "Qwen/Qwen2.5-0.5B" },
  ];
  assert.deepEqual(sidesOf(names, TEXTS), ["Base model · Qwen2.5-0.5B", "lamp #1", "lamp #1 · step 20"]);
});

test("an answer says how it ended and its speed, once it has ended", () => {
  assert.equal(figuresOf(ANSWER, TEXTS), "12 tokens · 9.5 tokens/s");
  assert.equal(figuresOf({ ...ANSWER, end: "length" }, TEXTS), "length limit reached · 12 tokens · 9.5 tokens/s");
  assert.equal(figuresOf({ ...ANSWER, end: "stopped", tokens_per_second: null }, TEXTS), "stopped · 12 tokens");
  assert.equal(figuresOf({ ...ANSWER, end: null }, TEXTS), "");
  assert.equal(figuresOf({ ...ANSWER, end: "failed" }, TEXTS), "");
});

test("children say what they hold, how far a download is, and why they aren't on the GPU", () => {
  const child = {
    model: "a/b",
    device: "cpu",
    memory_bytes: 5e8,
    state: "loading",
    progress: [1e6, 4e6],
    moved: false,
  };
  assert.equal(childrenInWords([child], TEXTS), "Loading b (500.0 MB) 1.0 MB / 4.0 MB");
  const moved = { ...child, state: "idle", progress: null, moved: true };
  assert.equal(childrenInWords([moved], TEXTS), "b is loaded (cpu) A run uses the GPU.");
  assert.equal(childrenInWords([{ ...moved, moved: false, shared: true }], TEXTS), "b is loaded (cpu) A run trains.");
  assert.equal(childrenInWords([], TEXTS), "");
});
