import assert from "node:assert/strict";
import test from "node:test";
import {
  extend,
  indexOfStep,
  joined,
  lowest,
  metricCurves,
  placesOf,
  smoothed,
  stepsBetween,
  unitOf,
  valuesOf,
} from "../../../studio/static/chart_view.js";

const train = {
  x: [1, 2, 3],
  y: [3, null, 1],
  tokens: [10, 20, 30],
  seconds: [60, 120, 180],
  learning_rate: [1, 2, 3],
  grad_norm: [null, 1, 2],
  memory: [1e9, 2e9, 3e9],
  speed: [5, 5, 5],
};

test("smoothing has no bias towards the first value and keeps gaps", () => {
  assert.deepEqual(smoothed([2, null, 2], 0.9)[1], null);
  for (const value of smoothed([2, 2, 2], 0.9)) assert.ok(Math.abs(Number(value) - 2) < 1e-9);
  const [, second] = smoothed([0, 1], 0.5);
  assert.ok(Math.abs(Number(second) - 2 / 3) < 1e-9);
});

test("the x axis is in steps, tokens, or time in a readable unit", () => {
  assert.deepEqual(placesOf(train, "step", 60), [1, 2, 3]);
  assert.deepEqual(placesOf(train, "tokens", 60), [10, 20, 30]);
  assert.deepEqual(placesOf(train, "time", 60), [1, 2, 3]);
  assert.deepEqual(unitOf(180), ["s", 1]);
  assert.deepEqual(unitOf(3000), ["min", 60]);
  assert.deepEqual(unitOf(20000), ["h", 3600]);
});

test("every figure of a step is a curve", () => {
  assert.deepEqual(valuesOf(train, "memory"), [1, 2, 3]);
  assert.deepEqual(valuesOf(train, "grad_norm"), [null, 1, 2]);
});

test("a run's metrics are curves of its method, and new points are appended to each", () => {
  const curve = { ...train, metrics: { "rewards/margins": [0.1, 0.2, null], kl: [0, 1, 2] } };
  assert.deepEqual(metricCurves(curve), ["margin", "kl"]);
  assert.deepEqual(metricCurves(train), []);
  assert.deepEqual(valuesOf(curve, "margin"), [0.1, 0.2, null]);
  const all = { x: [1] };
  extend(all, { x: [2], metrics: { kl: [3] } });
  extend(all, { x: [3], metrics: { kl: [4] } });
  extend(all, { x: [4], metrics: {} });
  assert.deepEqual(all, { x: [1, 2, 3, 4], metrics: { kl: [null, 3, 4, null] } });
});

test("a part in detail has its metrics too", () => {
  const part = { ...train, x: [1, 2], metrics: { kl: [5, 6] } };
  const whole = { ...train, metrics: { kl: [0, 1, 2] } };
  assert.deepEqual(joined(part, whole).metrics, { kl: [5, 6, 2] });
});

test("the best evaluation is the lowest that is a number", () => {
  assert.equal(lowest([null, 0.4, 0.2, 0.3]), 2);
  assert.equal(lowest([null]), -1);
});

test("a zoomed part is known by its steps, whatever the axis", () => {
  assert.deepEqual(stepsBetween(train, [10, 20, 30], 15, 99), [1, 3]);
  assert.deepEqual(stepsBetween(train, [10, 20, 30], 12, 18), [1, 2]);
  assert.equal(stepsBetween(train, [10, 20, 30], 40, 99), null);
  assert.equal(stepsBetween(train, [10, 20, 30], 1, 9), null);
});

test("new points are appended to each column", () => {
  const curve = { x: [1], y: [2] };
  extend(curve, { x: [2], y: [3] });
  assert.deepEqual(curve, { x: [1, 2], y: [2, 3] });
});

test("a mark between two points is at the one before it", () => {
  const curve = { x: [1, 5, 9], y: [], tokens: [], seconds: [] };
  assert.equal(indexOfStep(curve, 6), 1);
  assert.equal(indexOfStep(curve, 0), -1);
});

test("what comes after a zoomed part stays in sight", () => {
  const part = { ...train, x: [1, 2] };
  assert.deepEqual(joined(part, { ...train, x: [1, 2, 3] }).x, [1, 2, 3]);
});
