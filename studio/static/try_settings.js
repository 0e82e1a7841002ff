// How answers are generated: temperature, top-p, tokens, seed, and the system prompt. Kept in this browser.
// @ts-check
import { fill, make } from "./dom.js";

const KEY = "finetune-try";
/** @type {[string, Record<string, unknown>, number][]} */
const FIELDS = [
  ["temperature", { min: 0, max: 5, step: "any" }, 0],
  ["top_p", { min: 0.01, max: 1, step: "any" }, 1],
  ["max_new_tokens", { min: 1, max: 8192, step: 1 }, 256],
  ["seed", { min: 0, max: 2 ** 53 - 1, step: 1 }, 0],
];

/** @returns {Record<string, any>} */
function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY) || "{}");
  } catch {
    return {};
  }
}

/** @param {Record<string, any>} texts */
export function samplingOf(texts) {
  const before = stored();
  const fields = FIELDS.map(([name, attributes, usual]) => {
    const input = make("input", { type: "number", id: `fs-try-${name}`, required: true, ...attributes });
    input.value = String(before[name] ?? usual);
    return /** @type {[string, HTMLInputElement]} */ ([name, input]);
  });
  const system = make("textarea", { id: "fs-try-system", rows: 2 });
  system.value = before.system ?? "";
  const plain = make("input", { type: "checkbox" });
  plain.checked = before.plain === true;
  const label = (/** @type {string} */ name, /** @type {HTMLElement} */ control) =>
    make("div", { class: "fs-use" }, make("label", { for: control.id }, texts[`try_${name}`]), control);
  const element = make(
    "details",
    { class: "fs-try-settings" },
    make("summary", {}, texts.try_settings),
    make("div", { class: "fs-try-grid" }, ...fields.map(([name, input]) => label(name, input))),
    label("system", system),
    make("label", { class: "fs-check" }, plain, texts.try_plain),
    make("p", { class: "fs-hint" }, texts.try_settings_help),
  );
  const values = () => ({
    system: system.value.trim(),
    plain: plain.checked,
    sampling: Object.fromEntries(fields.map(([name, input]) => [name, Number(input.value)])),
  });
  element.addEventListener("change", () => {
    const { sampling, ...more } = values();
    localStorage.setItem(KEY, JSON.stringify({ ...sampling, ...more }));
  });
  /** What is wrong with the values; the first wrong one is shown. */
  const problem = () => {
    for (const [, input] of fields) input.setAttribute("aria-invalid", String(!input.checkValidity()));
    const wrong = fields.find(([, input]) => !input.checkValidity());
    if (!wrong) return "";
    const [name, { min, max }] = wrong;
    element.open = true;
    wrong[1].focus();
    return fill(texts.try_between, { name: texts[`try_${name}`], least: min, most: max });
  };
  return { element, values, problem };
}
