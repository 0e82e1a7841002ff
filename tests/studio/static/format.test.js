import assert from "node:assert/strict";
import { test } from "node:test";

import { ago, clock, figure, fillIn, parameters, seen, size } from "../../../studio/static/format.js";

test("sizes have the unit that a person reads", () => {
  assert.deepEqual([0, 42, 4200, 420_000, 4_200_000, 4_200_000_000].map(size), [
    "0 B",
    "42 B",
    "4.2 kB",
    "0.4 MB",
    "4.2 MB",
    "4.2 GB",
  ]);
});

test("a loss that isn't there is a dash, one that is no number too", () => {
  assert.deepEqual([null, undefined, "NaN", 0, 1.23456].map(figure), ["–", "–", "–", "0.0000", "1.2346"]);
});

test("seconds are a clock", () => {
  assert.deepEqual([null, -3, 42, 725.4, 11400].map(clock), ["–", "0:00", "0:42", "12:05", "3:10:00"]);
});

test("parameters are millions until they are billions", () => {
  assert.deepEqual([0, 494e6, 999.6e6, 1.54e9].map(parameters), ["–", "494M", "1.0B", "1.5B"]);
});

test("what can't be seen is written out", () => {
  assert.equal(seen("a\u200bb\u202ec\n"), "a⟨U+200B⟩b⟨U+202E⟩c\n");
});

test("a count chooses the form by the language's rules", () => {
  const forms = ["{count} row is", "{count} rows are"];
  assert.equal(fillIn("en", forms, { count: 1 }), "1 row is");
  assert.equal(fillIn("en", forms, { count: 0 }), "0 rows are");
  assert.equal(fillIn("zh", ["{count} 行"], { count: 1 }), "1 行");
  assert.equal(fillIn("en", "{a} and {b}", { a: "{b}", b: 2 }), "{b} and 2");
});

test("a moment in the past is said as a person would", () => {
  const passed = (seconds, language = "en") => ago(language, 1000, 1000 + seconds);
  assert.deepEqual(
    [0, 59, 60, 7200, 86400, 200_000].map((seconds) => passed(seconds)),
    ["now", "59 seconds ago", "1 minute ago", "2 hours ago", "yesterday", "2 days ago"],
  );
  assert.equal(passed(300, "zh"), "5分钟前");
  assert.equal(passed(-50), "now"); // the clock was set back
});
