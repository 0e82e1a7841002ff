import assert from "node:assert/strict";
import test from "node:test";
import { jobOf } from "../../../studio/static/api.js";

test("what the queue holds leads to its page and its part of the API", () => {
  assert.deepEqual(jobOf("20260101-000000-abcd"), {
    run: "20260101-000000-abcd",
    kind: "run",
    path: "/api/runs/20260101-000000-abcd",
    page: "run?run=20260101-000000-abcd",
  });
  const evaluation = jobOf("a.12");
  assert.deepEqual([evaluation.kind, evaluation.path, evaluation.page], ["evaluation", "/api/runs/a/evaluations/12", "evaluate?run=a"]); // prettier-ignore
  const exported = jobOf("a.export-3");
  assert.deepEqual([exported.kind, exported.path, exported.page], ["export", "/api/runs/a/exports/3", "export?run=a"]);
});
