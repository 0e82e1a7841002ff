// Lets the user choose the roles of columns, how to split a text, and which sheet or table to read.
// @ts-check
import { button, choice, labelled, make } from "./dom.js";

const USES = ["prompt", "completion", "input", "system", "history", "messages", "chosen", "rejected", "tools", "text"];
const SAMPLE_BY = ["paragraph", "line", "document"];

/** @typedef {{ known_columns: string[], columns: Record<string, string>, format?: string, sample_by?: string }} Columns */

/**
 * A select for each column role, or for how to split plain text.
 * @param {Columns} found
 * @param {Record<string, any>} texts
 * @param {(chosen: { columns: Record<string, string>, sample_by: string | undefined }) => void} apply
 */
export function columnChoice(found, texts, apply) {
  const isText = found.format === "text" && found.known_columns.length === 1;
  const by = make("select", { id: "fs-sample-by" });
  by.append(
    ...SAMPLE_BY.map((kind) =>
      make("option", { value: kind, selected: found.sample_by === kind }, texts[`by_${kind}`]),
    ),
  );
  /** @type {[string, HTMLSelectElement][]} */
  const selects = USES.map((use) => {
    const none = make("option", { value: "" }, "–");
    const select = choice(found.known_columns, { id: `fs-use-${use}` }, found.columns[use]);
    select.prepend(none);
    if (!found.columns[use]) select.value = "";
    return [use, select];
  });
  const chosen = () =>
    Object.fromEntries(selects.map(([use, select]) => [use, select.value]).filter(([, column]) => column));
  const send = () => apply({ columns: isText ? {} : chosen(), sample_by: isText ? by.value : found.sample_by });
  const fields = isText
    ? [labelled(texts.sample_by, by)]
    : selects.map(([use, select]) => labelled(texts[`use_${use}`], select));
  return make("div", { class: "fs-uses" }, ...fields, button(texts.apply_columns, send));
}

/**
 * A choice of one sheet in a workbook, or one table in a database.
 * @param {string[]} names
 * @param {Record<string, any>} texts
 * @param {(name: string) => void} apply
 */
export function tableChoice(names, texts, apply) {
  const select = choice(names, { id: "fs-table" });
  return make(
    "div",
    { class: "fs-uses" },
    labelled(texts.table, select),
    button(texts.read_it, () => apply(select.value)),
  );
}
