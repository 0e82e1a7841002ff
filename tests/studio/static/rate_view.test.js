import assert from "node:assert/strict";
import test from "node:test";
import { percentOf, placeOf, rateAt, written } from "../../../studio/static/rate_view.js";

test("the middle of the scale is 1e-4", () => {
  assert.equal(percentOf(1e-4), 50);
  assert.equal(rateAt(-4), 1e-4);
});

test("rates beyond the scale are at its ends", () => {
  assert.equal(placeOf(1), -2);
  assert.equal(placeOf(1e-9), -6);
});

test("a rate has two digits and is written as people do", () => {
  assert.equal(rateAt(-3.3), 5e-4);
  assert.equal(written(5e-4), "5e-4");
  assert.equal(written(0.00021), "2.1e-4");
});
