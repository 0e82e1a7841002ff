// Below the curves of a run: its checkpoints and its settings.
// @ts-check
import { ask, inWords } from "./api.js";
import { heads, make, scrolling, setText } from "./dom.js";
import { figure, size } from "./format.js";

/** @typedef {{ step: number, size_bytes: number, validation_loss: number | null }} Checkpoint */

/** The list of checkpoints; hidden while there is none. @param {Record<string, any>} texts */
export function checkpointList(texts) {
  const body = make("tbody");
  const head = heads(texts.step, texts.validation_loss, texts.size_column);
  const table = scrolling(texts.checkpoints, make("table", {}, make("thead", {}, head), body));
  const element = make("details", { hidden: true }, make("summary", {}, texts.checkpoints), table);
  let shown = "";
  const show = (/** @type {Checkpoint[]} */ list) => {
    const best = Math.min(...list.map((one) => one.validation_loss ?? Infinity));
    const row = (/** @type {Checkpoint} */ one) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, String(one.step)),
        make("td", {}, figure(one.validation_loss), one.validation_loss === best ? ` · ${texts.best}` : ""),
        make("td", {}, size(one.size_bytes)),
      );
    if (shown === JSON.stringify(list)) return;
    shown = JSON.stringify(list);
    element.hidden = !list.length;
    body.replaceChildren(...list.map(row));
  };
  return { element, show };
}

/** The settings of a run as YAML, read when they are opened. @param {Record<string, any>} texts @param {string} path */
export function settingsOf(texts, path) {
  const text = make("pre", { class: "fs-log", tabindex: 0 });
  const element = make("details", {}, make("summary", {}, texts.settings_of_run), text);
  element.addEventListener("toggle", async () => {
    if (!element.open || text.textContent) return;
    try {
      setText(text, (await ask(`${path}/config`)).yaml);
    } catch (error) {
      setText(text, inWords(error, texts));
    }
  });
  return element;
}
