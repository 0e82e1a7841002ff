// Below the curves of a run: its checkpoints, its settings, and its log.
// @ts-check
import { ask, inWords } from "./api.js";
import { fill, heads, make, scrolling, setText } from "./dom.js";
import { figure, size, written } from "./format.js";

/** @typedef {{ step: number, size_bytes: number, validation_loss: number | null }} Checkpoint */
/** @typedef {{ model: string, dataset: string, imported: boolean, header: Record<string, unknown>, preset: string, differences: { name: string, value: unknown, preset: unknown }[], yaml: string }} RunSettings */

const NEAR_END = 40;
const SETTLED_MS = 300;

/** The kept checkpoints, each with its adapter to download. @param {Record<string, any>} texts @param {string} path */
export function checkpointList(texts, path) {
  const body = make("tbody");
  const hidden = make("th", { scope: "col" }, make("span", { class: "fs-hidden" }, texts.download_adapter));
  const head = heads(texts.step, texts.validation_loss, texts.on_disk);
  head.append(hidden);
  const element = make("div", {}, scrolling(texts.checkpoints, make("table", {}, make("thead", {}, head), body)));
  let shown = "";
  const show = (/** @type {Checkpoint[]} */ list) => {
    if (shown === JSON.stringify(list)) return;
    shown = JSON.stringify(list);
    const best = Math.min(...list.map((one) => one.validation_loss ?? Infinity));
    const row = (/** @type {Checkpoint} */ one) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, String(one.step)),
        make("td", {}, figure(one.validation_loss), one.validation_loss === best ? ` · ${texts.best}` : ""),
        make("td", {}, size(one.size_bytes)),
        make("td", {}, download(one.step), " ", exported(one.step)),
      );
    body.replaceChildren(...list.map(row));
  };
  const download = (/** @type {number} */ step) =>
    make(
      "a",
      {
        class: "fs-button fs-small",
        href: `${path}/checkpoints/${step}.zip`,
        download: true,
        "aria-label": `${texts.download_adapter}: ${fill(texts.at_step, { step })}`,
      },
      texts.download_adapter,
    );
  const exported = (/** @type {number} */ step) =>
    make(
      "a",
      {
        class: "fs-button fs-small",
        href: `export?run=${path.split("/").pop()}&step=${step}`,
        "aria-label": `${texts.export_page}: ${fill(texts.at_step, { step })}`,
      },
      texts.export_page,
    );
  return { element, show };
}

/** What a run sets other than its preset, and all settings as YAML. @param {Record<string, any>} texts @param {Promise<RunSettings>} asked */
export function settingsOf(texts, asked) {
  const element = make("div");
  asked.then(
    ({ preset, differences, yaml }) => {
      const row = (/** @type {RunSettings["differences"][0]} */ one) =>
        make("tr", {}, make("th", { scope: "row" }, one.name), make("td", {}, written(one.value)), make("td", {}, written(one.preset))); // prettier-ignore
      const head = make("thead", {}, heads(texts.setting, texts.this_run, fill(texts.preset_named, { preset })));
      const table = make("table", {}, head, make("tbody", {}, ...differences.map(row)));
      const same = make("p", {}, fill(texts.same_as_preset, { preset }));
      const text = make("pre", { class: "fs-log", tabindex: 0 }, yaml);
      element.append(
        differences.length ? scrolling(texts.settings_of_run, table) : same,
        make("details", {}, make("summary", {}, texts.yaml_heading), text),
      );
    },
    (error) => element.append(make("p", { class: "fs-problem", role: "alert" }, inWords(error, texts))),
  );
  return element;
}

/** The end of the log, or its lines with a text. @param {Record<string, any>} texts @param {string} path */
export function logOf(texts, path) {
  const log = make("pre", { class: "fs-log", tabindex: 0 });
  const search = make("input", { type: "search", placeholder: texts.search_log, "aria-label": texts.search_log });
  const element = make("div", {}, make("p", { class: "fs-row" }, search), log);
  const read = async () => {
    const find = search.value.trim();
    try {
      const { text } = await ask(`${path}/log${find ? `?find=${encodeURIComponent(find)}` : ""}`);
      if (find !== search.value.trim()) return; // there is a newer search
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END;
      setText(log, text || (find ? texts.none_found_here : ""));
      if (atEnd) log.scrollTop = log.scrollHeight;
    } catch {
      /* the next poll tries again */
    }
  };
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = window.setTimeout(read, SETTLED_MS);
  });
  /** The end of the log grows; what was found in the whole of it is not searched for again. */
  const follow = () => (search.value.trim() ? Promise.resolve() : read());
  return { element, read, follow };
}
