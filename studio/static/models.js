// The Models page: the recommended ones, those on this machine, and those of the Hub. One click opens a form with a model.
// @ts-check
import { ask, inWords } from "./api.js";
import { make } from "./dom.js";
import { HubAccess } from "./hub_access.js";
import { ModelTables } from "./model_tables.js";

/** @type {import("./start.js").Part} */
export function start(root, { texts, language }) {
  const access = new HubAccess(texts, () => {});
  const use = (/** @type {string} */ id) => (location.href = `./?model=${encodeURIComponent(id)}`);
  const tables = new ModelTables(texts, access, use);
  root.append(make("h1", {}, texts.models), tables.element);
  tables.open("");
  ask(`/api/models/recommended?language=${language}`).then(
    (found) => tables.show(found),
    (error) => root.append(make("p", { class: "fs-problem", role: "alert" }, inWords(error, texts))),
  );
}
