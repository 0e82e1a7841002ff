import assert from "node:assert/strict";
import { test } from "node:test";

import { barPlace, effectOf, nearest, stepped } from "../../../studio/static/lengths.js";

const LENGTHS = {
  histogram: { edges: [0, 16, 32, 64], counts: [1, 4, 0], cut: [4, 2, 0], lost: [3, 1, 0] },
  max_length: 50, cut: 1, lost: 0, median: 20, longest: 60,
}; // prettier-ignore

test("a line that is dragged snaps to the nearest edge", () => {
  assert.equal(nearest([16, 32, 64], 47), 32);
  assert.equal(nearest([16, 32, 64], 49), 64);
});

test("a key moves by one bar and stays within them", () => {
  assert.deepEqual(
    [stepped([16, 32, 64], 33, 1), stepped([16, 32, 64], 64, 1), stepped([16, 32, 64], 16, -1)],
    [64, 64, 16],
  );
});

test("the effect is exact on edges and at the setting itself, and asked for elsewhere", () => {
  assert.deepEqual(effectOf(LENGTHS, 32), { cut: 2, lost: 1 });
  assert.deepEqual(effectOf(LENGTHS, 50), { cut: 1, lost: 0 });
  assert.deepEqual(effectOf(LENGTHS, 64), { cut: 0, lost: 0 });
  assert.equal(effectOf(LENGTHS, 40), null);
});

test("bars stand side by side, the highest near the top, and an empty one has no height", () => {
  const bars = LENGTHS.histogram;
  assert.deepEqual(barPlace(bars, 1), { x: 180.5, y: 12, width: 179, height: 138 });
  assert.equal(barPlace(bars, 2).height, 0);
});
