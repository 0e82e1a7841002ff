// The two-minute demo as one button: train the starter on the sample, and open its page.
// @ts-check
import { post, runPage } from "./api.js";
import { button } from "./dom.js";

/** @param {Record<string, any>} texts @param {(error: unknown) => void} fail @param {string} [kind] more classes */
export function demoButton(texts, fail, kind = "") {
  const start = button(
    texts.try_demo,
    async () => {
      start.disabled = true;
      try {
        location.href = runPage((await post("/api/runs/demo")).run);
      } catch (error) {
        start.disabled = false;
        fail(error);
      }
    },
    kind,
  );
  return start;
}
