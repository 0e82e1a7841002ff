// The rows of an evaluation: what was asked, what was expected, both answers and their scores.
// @ts-check
import { ask, inWords } from "./api.js";
import { button, fill, heads, labelled, make, scrolling, setText } from "./dom.js";
import { amount } from "./evaluate_view.js";

/** @typedef {import("./evaluate_view.js").Row} Row */
/** @typedef {import("./evaluate_view.js").Evaluation} Evaluation */

/** @param {Record<string, any>} texts @param {string} path @param {Evaluation} one @returns {HTMLElement} */
export function rowList(texts, path, one) {
  const names = one.table.filter(({ name }) => name !== "perplexity" && !name.includes("."));
  const sortable = one.spec.base ? names : [];
  const order = make("select", { id: `order-${one.number}` }, make("option", { value: "" }, texts.row_order), ...sortable.map(({ name, label }) => make("option", { value: name }, fill(texts.by_difference, { metric: label })))); // prettier-ignore
  const body = make("tbody");
  const said = make("p", { class: "fs-hint", role: "status" });
  const more = button(texts.more_rows, () => read(), "", { hidden: true });
  /** @type {Row[]} */
  let rows = [];
  const scores = (/** @type {Row} */ row, /** @type {"base" | "tuned"} */ side) => {
    const own = row[side];
    const known = names.filter(({ name }) => typeof own?.[name] === "number");
    return known.map(({ name, label }) => `${label} ${amount(name, Number(own?.[name]))}`).join(" · ");
  };
  const answer = (/** @type {Row} */ row, /** @type {"base" | "tuned"} */ side) =>
    make("td", {}, make("div", { class: "fs-long" }, row[side]?.answer ?? "–"), make("small", {}, scores(row, side)));
  const draw = () => {
    body.replaceChildren(
      ...rows.map((row) =>
        make(
          "tr",
          {},
          make("th", { scope: "row" }, make("div", { class: "fs-long" }, row.prompt)),
          make("td", {}, make("div", { class: "fs-long" }, row.reference)),
          ...(one.spec.base ? [answer(row, "base")] : []),
          answer(row, "tuned"),
        ),
      ),
    );
  };
  const read = async () => {
    const by = order.value;
    try {
      const found = await ask(`${path}/rows?start=${rows.length}&by=${by}`);
      if (by !== order.value) return; // another order has been chosen meanwhile
      rows = [...rows, ...found.rows];
      more.hidden = rows.length >= found.total;
      setText(said, fill(texts.rows_shown, { count: rows.length, total: found.total }));
      draw();
    } catch (error) {
      setText(said, inWords(error, texts));
    }
  };
  order.addEventListener("change", () => {
    rows = [];
    read();
  });
  read();
  const columns = [texts.prompt, texts.reference, ...(one.spec.base ? [texts.before] : []), texts.after];
  const table = make("table", { class: "fs-row-table" }, make("thead", {}, heads(...columns)), body);
  return make("div", {}, labelled(texts.evaluation_order, order), scrolling(texts.evaluation_rows, table), said, more);
}
