// The Models page: the recommended ones, those on this machine, and those of the Hub; downloads with their progress.
// @ts-check
import { ask, inWords } from "./api.js";
import { ChosenModel } from "./chosen_model.js";
import { make } from "./dom.js";
import { HubAccess } from "./hub_access.js";
import { ModelTables } from "./model_tables.js";

/** @type {import("./start.js").Part} */
export function start(root, { texts, language }) {
  const access = new HubAccess(texts, () => {});
  const use = (/** @type {string} */ id) => (location.href = `./?model=${encodeURIComponent(id)}`);
  const tables = new ModelTables(texts, access, use);
  const downloads = make("div", { class: "fs-downloads" });
  root.append(make("h1", {}, texts.models), make("p", { class: "fs-hint" }, texts.models_page_help), downloads, tables.element); // prettier-ignore
  const recommended = () =>
    ask(`/api/models/recommended?language=${language}`).then(
      (found) => tables.show(found),
      (error) => root.append(make("p", { class: "fs-problem", role: "alert" }, inWords(error, texts))),
    );
  /** @type {Map<string, ChosenModel>} */
  const shown = new Map();
  const card = (/** @type {string} */ id) => {
    const known = shown.get(id);
    if (known) return known;
    const made = new ChosenModel(texts, access, () => {});
    made.onDownloaded = () => {
      recommended();
      tables.readHere();
    };
    shown.set(id, made);
    downloads.append(made.element);
    return made;
  };
  tables.onDownload = (id) => {
    const one = card(id);
    one.model = id;
    one.download();
    one.element.scrollIntoView({ block: "nearest" });
  };
  tables.open("");
  recommended();
  ask("/api/models/downloads").then(
    (running) => running.forEach((/** @type {string} */ id) => card(id).choose(id)), // begun before this page was loaded
    () => {},
  );
}
