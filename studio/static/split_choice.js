// The configs of a Hub dataset, the splits of one config, and its first rows, to choose from.
// @ts-check
import { button, choice, labelled, make } from "./dom.js";
import { seen, size } from "./format.js";

/** @typedef {{ name: string, configs: string[], config: string, splits: { name: string, bytes: number }[], first: string[] }} HubSplits */

/**
 * @param {HubSplits} found
 * @param {Record<string, any>} texts
 * @param {(name: string) => void} look another config's splits
 * @param {(name: string) => void} fetchSplit
 */
export function splitChoice(found, texts, look, fetchSplit) {
  const config = choice(found.configs, { id: "fs-hub-config" }, found.config);
  config.addEventListener("change", () => look(`${found.name}:${config.value}`));
  const options = found.splits.map(({ name, bytes }) =>
    make("option", { value: name, selected: name === "train" }, `${name} (${size(bytes)})`),
  );
  const split = make("select", { id: "fs-hub-split" }, ...options);
  const read = button(texts.read_it, () => fetchSplit(`${found.name}:${config.value}:${split.value}`));
  const fields = make(
    "div",
    { class: "fs-uses" },
    labelled(texts.hub_config, config),
    labelled(texts.hub_split, split),
    read,
  );
  const rows = found.first.map((row) => make("li", {}, make("code", {}, seen(row))));
  const first = rows.length ? [make("h3", {}, texts.hub_first), make("ol", { class: "fs-rows" }, ...rows)] : [];
  return make("div", {}, fields, ...first);
}
