// The report of a dataset: its detected format, its invalid rows with reasons, and its first conversations.
// @ts-check
import { ask } from "./api.js";
import { button, fill, heads, make, number, scrolling, setText } from "./dom.js";
import { seen } from "./format.js";

/**
 * @typedef {{ row: number | null, line: number | null, field: string | null, reason: string, text: string | null,
 *   whole: string | null, severity: string }} Fault
 * @typedef {{ role: string, content: string, reasoning?: string, train: boolean,
 *   tool_calls?: { name: string, arguments: unknown }[] }} Message
 * @typedef {{ role: string, text: string, train: boolean, side?: string, rejected?: boolean }} Shown a turn
 * @typedef {{ text?: string | null, messages: Message[], rejected?: Message[], label?: boolean | null, tools?: { function: { name: string } }[] }} Example
 * @typedef {{
 *   id: string, name: string, format: string, rows: number, usable: number, valid: number, invalid: number, suspicious: number,
 *   kinds: Record<string, number>, first_problems: Fault[], columns: Record<string, string>, known_columns: string[],
 *   unused_columns: string[], unused_keys: Record<string, number>, parts: unknown, editable: boolean, sample_by: string,
 *   examples: Example[], origin: import("./dataset_difference.js").Origin | null,
 * }} Dataset
 */

const SHOWN_TALKS = 3;
const SHOWN_TEXT = 2000;
const SHOWN_TURN = 4000;
const MOST_FIXED = 50;

/** The detected format of the file. @param {Dataset} found @param {Record<string, any>} texts */
export function detection(found, texts) {
  const used = Object.entries(found.columns).map(([use, column]) => `${texts[`use_${use}`]}: ${column}`);
  const keys = Object.entries(found.unused_keys).map(([key, count]) => `${key} (${number(count)})`);
  const hint = (/** @type {string} */ text) => make("p", { class: "fs-hint" }, text);
  return [
    make("p", {}, fill(texts.read_as, { format: found.format || "–", used: used.join(" · ") || "–" })),
    found.unused_columns.length ? hint(fill(texts.unused_columns, { columns: found.unused_columns.join(", ") })) : null,
    keys.length ? hint(fill(texts.unused_keys, { keys: keys.join(", ") })) : null,
  ];
}

/** How many rows are valid, and how many have problems. @param {Dataset} found @param {Record<string, any>} texts */
export function counts(found, texts) {
  const part = (/** @type {string} */ kind, /** @type {number} */ count, /** @type {string | string[]} */ text) =>
    count ? make("span", { class: kind }, ` ${fill(text, { count: number(count) })}`) : null;
  const valid = make("strong", {}, fill(texts.counts, { valid: number(found.valid), rows: number(found.rows) }));
  const fault = part("fs-fault", found.invalid, texts.invalid_rows);
  return make("p", { class: "fs-counts" }, valid, fault, part("fs-warning", found.suspicious, texts.suspicious_rows));
}

/** @param {Fault} record */
function faultRow(record) {
  const raw = make("code", { class: "fs-raw" }, seen((record.text || "").replace(/\s+/g, " ")));
  const cells = [
    String(record.row ?? "–"),
    String(record.line ?? "–"),
    seen(record.field ?? "–"),
    seen(record.reason),
    raw,
  ];
  const kind = record.severity === "error" ? "fs-fault-row" : "";
  return make("tr", { class: kind }, ...cells.map((cell) => make("td", {}, cell)));
}

/**
 * The problems of the rows, with ways to fix, skip, or download them.
 * @param {Dataset} found
 * @param {{ texts: Record<string, any>, language: string, chooses: boolean, save: (changes: Map<number, string | null>) => void }} options
 */
export function report(found, { texts, language, chooses, save }) {
  const download = (/** @type {string} */ path, /** @type {string} */ text) =>
    make("a", { class: "fs-button fs-small", href: `/api/datasets/${found.id}/${path}`, download: true }, text);
  const rows = download("examples.jsonl", texts.download_rows);
  if (!found.first_problems.length)
    return make(
      "div",
      { class: "fs-report" },
      make("p", {}, texts.no_problems),
      make("div", { class: "fs-row" }, rows),
    );
  const kinds = Object.entries(found.kinds).map(([kind, count]) => `${texts[`kind_${kind}`]} ${number(count)}`);
  const columns = ["row", "line", "field", "what", "row_itself"].map((name) => texts[`column_${name}`]);
  const caption = make("caption", { class: "fs-hidden" }, texts.problems);
  const table = make(
    "table",
    {},
    caption,
    make("thead", {}, heads(...columns)),
    make("tbody", {}, ...found.first_problems.map(faultRow)),
  );
  const problems = download(`problems.csv?language=${language}`, texts.download_report);
  const actions = make("div", { class: "fs-row" }, problems, rows);
  const editor = make("div", { class: "fs-editor" });
  if (found.editable)
    actions.append(button(texts.fix_rows, () => fixRows(found, editor, texts, language, save), "fs-small"));
  if (found.invalid && chooses) actions.append(make("span", { class: "fs-hint" }, texts.choose_bad_rows));
  const total = Object.values(found.kinds).reduce((sum, count) => sum + count, 0);
  const first = fill(texts.first_problems, { shown: found.first_problems.length, total: number(total) });
  const more = total > found.first_problems.length ? make("p", { class: "fs-hint" }, first) : null;
  const kindLine = make("p", { class: "fs-hint" }, kinds.join(" · "));
  return make("div", { class: "fs-report" }, kindLine, scrolling(texts.problems, table), more, actions, editor);
}

/**
 * Invalid rows as text to edit or remove. They are saved together as a new version.
 * @param {Dataset} found
 * @param {HTMLElement} editor
 * @param {Record<string, any>} texts
 * @param {string} language
 * @param {(changes: Map<number, string | null>) => void} save
 */
async function fixRows(found, editor, texts, language, save) {
  const path = `/api/datasets/${found.id}/problems?count=${MOST_FIXED}&whole=true&language=${language}`;
  /** @type {Fault[]} */
  const records = await ask(path);
  /** @type {Map<number, string | null>} */
  const changes = new Map();
  /** @type {Map<number, Fault>} the first fault of each row that can be shown whole */
  const rows = new Map();
  for (const record of records)
    if (record.whole !== null && record.row !== null && !rows.has(record.row)) rows.set(record.row, record);
  const saving = button(texts.save_rows, () => save(changes), "fs-primary", { disabled: true });
  const changed = (/** @type {number} */ row, /** @type {string | null} */ text) => {
    changes.set(row, text);
    saving.disabled = false;
  };
  const boxes = [...rows].map(([row, record]) => editBox(row, record, texts, changed));
  editor.replaceChildren(...boxes, boxes.length ? saving : make("p", {}, texts.nothing_to_fix));
  editor.querySelector("textarea")?.focus();
}

/** @param {number} row @param {Fault} record @param {Record<string, any>} texts @param {(row: number, text: string | null) => void} changed */
function editBox(row, record, texts, changed) {
  const id = `fs-fix-${row}`;
  const area = make("textarea", { id, rows: 3, spellcheck: "false" });
  area.value = record.whole ?? "";
  area.addEventListener("input", () => changed(row, area.value));
  const remove = button(
    texts.remove_row,
    () => {
      area.disabled = !area.disabled;
      changed(row, area.disabled ? null : area.value);
      setText(remove, area.disabled ? texts.keep_row : texts.remove_row);
    },
    "fs-small",
  );
  const words = `${fill(texts.fix_row, { row, line: record.line ?? "–" })} ${seen(record.reason)}`;
  return make("div", { class: "fs-fix" }, make("label", { for: id }, words), area, remove);
}

/** A conversation, with what is trained on marked. @param {Example} example @param {Record<string, any>} texts */
export function conversation(example, texts) {
  const turn = (/** @type {Shown} */ one) => {
    const words = [texts[`role_${one.role}`], one.side ?? (one.train ? texts.trained_on : "")];
    const role = make("small", {}, words.filter(Boolean).join(" · "));
    return make(
      "p",
      { class: `fs-turn fs-${one.role} ${one.rejected ? "fs-rejected" : ""}` },
      role,
      one.train ? make("mark", {}, one.text) : one.text,
    );
  };
  return make("div", { class: "fs-talk", tabindex: 0 }, ...turnsOf(example, texts).map(turn));
}

/** The first conversations. @param {Example[]} examples @param {Record<string, any>} texts */
export function talks(examples, texts) {
  const boxes = examples.slice(0, SHOWN_TALKS).map((example) => conversation(example, texts));
  return make(
    "div",
    {},
    make("p", { class: "fs-hint" }, texts.conversations),
    make("div", { class: "fs-talks" }, ...boxes),
  );
}

/**
 * The turns of a row, those of a rejected answer last.
 * @param {Example} example
 * @param {Record<string, any>} texts
 * @returns {Shown[]}
 */
function turnsOf(example, texts) {
  if (example.text !== undefined && example.text !== null)
    return [{ role: "text", text: seen(example.text.slice(0, SHOWN_TEXT)), train: true }];
  const names = (example.tools ?? []).map((tool) => seen(tool.function.name)).join(", ");
  const tools = names ? [{ role: "tools", text: names, train: false }] : [];
  const pair = Boolean(example.rejected?.length);
  const label = { true: texts.label_desired, false: texts.label_undesired }[String(example.label ?? "")];
  const turnOf = (/** @type {Message} */ message, /** @type {boolean} */ rejected) => {
    const calls = (message.tool_calls ?? []).map((call) => `${call.name}(${JSON.stringify(call.arguments)})`);
    const text = [message.reasoning, message.content, ...calls].filter(Boolean).join("\n");
    const side = !message.train ? undefined : pair ? (rejected ? texts.side_rejected : texts.side_chosen) : label;
    const avoided = rejected || (message.train && example.label === false);
    return { role: message.role, train: message.train, text: seen(text.slice(0, SHOWN_TURN)), side, rejected: avoided };
  };
  const turns = example.messages.map((message) => turnOf(message, false));
  return [...tools, ...turns, ...(example.rejected ?? []).map((message) => turnOf(message, true))];
}
