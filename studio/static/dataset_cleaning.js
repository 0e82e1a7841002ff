// What shouldn't be in a dataset: rows that say nearly the same, and personal data; and dividing it into two.
// @ts-check
import { ask, followJob, inWords, post } from "./api.js";
import { conversation } from "./dataset_report.js";
import { button, fill, make, number, setText, statusLine } from "./dom.js";

/**
 * @typedef {import("./dataset_report.js").Dataset} Dataset
 * @typedef {{ groups: number[][], rows: number, seconds: number }} Duplicates
 * @typedef {{ position: number, kind: string, shown: string }} Finding
 * @typedef {{ counts: Record<string, number>, rows: number, found_rows: number, first: Finding[], seconds: number }} Personal
 * @typedef {(begin: () => Promise<{ job: string }>) => void} Take
 */

const SHOWN_GROUPS = 20;
const SHOWN_MEMBERS = 4;

export class CleaningPanel {
  /** @param {Dataset} found @param {Record<string, any>} texts @param {Take} take starts a job that makes a new version, and opens it */
  constructor(found, texts, take) {
    this.found = found;
    this.texts = texts;
    this.take = take;
    this.path = `/api/datasets/${found.id}`;
    this.duplicates = make("div");
    this.personal = make("div");
    this.element = make(
      "div",
      { class: "fs-cleaning" },
      this.scan("duplicates", (answer) => this.showDuplicates(answer)),
      this.duplicates,
      this.scan("personal", (answer) => this.showPersonal(answer)),
      this.personal,
      this.dividing(),
    );
  }

  /** A search with its progress, which can be canceled. @param {"duplicates" | "personal"} kind @param {(answer: any) => void} show */
  scan(kind, show) {
    const { texts } = this;
    const said = statusLine({ class: "fs-hint" });
    const bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": texts[`find_${kind}`] });
    let job = "";
    const cancel = button(texts.cancel, () => ask(`/api/datasets/jobs/${job}`, { method: "DELETE" }), "fs-small", { hidden: true }); // prettier-ignore
    const start = button(texts[`find_${kind}`], async () => {
      start.disabled = true;
      bar.hidden = cancel.hidden = false;
      setText(said, "");
      try {
        ({ job } = await post(`${this.path}/${kind}`));
        const answer = await followJob(job, ({ progress: [done, total] }) => {
          if (total) bar.value = done / total;
        });
        setText(said, fill(texts.scan_seconds, { seconds: answer.seconds.toFixed(1), rows: number(answer.rows) }));
        show(answer);
      } catch (error) {
        setText(said, inWords(error, texts));
      }
      start.disabled = false;
      bar.hidden = cancel.hidden = true;
    });
    const help = make("p", { class: "fs-hint" }, texts[`find_${kind}_help`]);
    return make("div", {}, make("h3", {}, texts[`heading_${kind}`]), help, make("div", { class: "fs-row" }, start, bar, cancel, said)); // prettier-ignore
  }

  /** @param {Duplicates} answer */
  async showDuplicates({ groups }) {
    const { texts } = this;
    if (!groups.length) return this.duplicates.replaceChildren(make("p", {}, texts.duplicates_none));
    const chosen = new Set(groups);
    const repeated = () => [...chosen].flatMap((group) => group.slice(1));
    const remove = button("", () => {
      const changes = Object.fromEntries(repeated().map((position) => [position, null]));
      this.take(() => post(`${this.path}/change`, { changes }));
    }, "fs-primary fs-small"); // prettier-ignore
    const count = () => {
      setText(remove, fill(texts.duplicates_remove, { count: repeated().length }));
      remove.disabled = !chosen.size;
    };
    count();
    const line = make("p", {}, fill(texts.duplicates_found, { count: groups.length, rows: number(groups.flat().length) })); // prettier-ignore
    const boxes = await Promise.all(groups.slice(0, SHOWN_GROUPS).map((group) => this.group(group, chosen, count)));
    const rest = groups.length > SHOWN_GROUPS ? make("p", { class: "fs-hint" }, fill(texts.duplicates_more, { count: groups.length - SHOWN_GROUPS })) : null; // prettier-ignore
    return this.duplicates.replaceChildren(line, make("div", { class: "fs-row" }, remove), ...boxes, rest ?? "");
  }

  /** @param {number[]} group @param {Set<number[]>} chosen @param {() => void} changed */
  async group(group, chosen, changed) {
    const { texts } = this;
    const tick = make("input", { type: "checkbox" });
    tick.checked = true;
    tick.addEventListener("change", () => {
      if (tick.checked) chosen.add(group);
      else chosen.delete(group);
      changed();
    });
    const rows = await Promise.all(
      group.slice(0, SHOWN_MEMBERS).map((position) => ask(`${this.path}/rows?start=${position}&count=1`)),
    );
    const label = make("label", { class: "fs-check" }, tick, fill(texts.duplicates_group, { count: group.length }));
    return make("div", { class: "fs-group" }, label, make("div", { class: "fs-talks" }, ...rows.flat().map((example) => conversation(example, texts)))); // prettier-ignore
  }

  /** @param {Personal} answer */
  showPersonal({ counts, found_rows: rows, first }) {
    const { texts } = this;
    const kinds = Object.entries(counts).filter(([, count]) => count);
    if (!kinds.length) return this.personal.replaceChildren(make("p", {}, texts.personal_none));
    const ticks = kinds.map(([kind, count]) => {
      const tick = make("input", { type: "checkbox", value: kind });
      tick.checked = true;
      return make("label", { class: "fs-check" }, tick, `${texts[`personal_${kind}`]} (${number(count)})`);
    });
    const chosen = () => ticks.flatMap((label) => [...label.querySelectorAll("input")]).filter((tick) => tick.checked).map((tick) => tick.value); // prettier-ignore
    const mask = button(texts.personal_mask, () => {
      if (chosen().length) this.take(() => post(`${this.path}/mask`, { kinds: chosen() }));
    }, "fs-primary fs-small"); // prettier-ignore
    const line = make("p", {}, fill(texts.personal_found, { count: number(rows) }));
    const items = first.map(
      ({ position, kind, shown }) =>
      make("li", {}, `${fill(texts.row_named, { row: number(position + 1) })}: ${texts[`personal_${kind}`]} `, make("code", {}, shown)), // prettier-ignore
    );
    const list = make("details", {}, make("summary", {}, texts.personal_examples), make("ul", {}, ...items));
    return this.personal.replaceChildren(line, make("div", { class: "fs-row" }, ...ticks, mask), list);
  }

  /** Two datasets from this one, with their sizes before they are made. */
  dividing() {
    const { texts, found } = this;
    const share = make("input", { type: "number", min: 1, max: 99, value: 10, id: "fs-divide-share" });
    const counts = make("span", { class: "fs-hint", role: "status" });
    const said = statusLine({ class: "fs-hint" });
    const show = () => {
      const percent = Number(share.value);
      start.disabled = !(percent >= 1 && percent <= 99);
      if (start.disabled) return setText(counts, texts.divide_range);
      const second = Math.max(Math.round((found.usable * percent) / 100), 1);
      return setText(
        counts,
        fill(texts.divide_counts, { first: number(found.usable - second), second: number(second) }),
      );
    };
    const start = button(texts.divide, async () => {
      start.disabled = true;
      try {
        const { job } = await post(`${this.path}/divide`, { share: Number(share.value) / 100 });
        const { first, second, rows } = await followJob(job);
        const link = (/** @type {string} */ id, /** @type {number} */ count) =>
          make("a", { href: `datasets?dataset=${id}` }, fill(texts.divided_part, { count: number(count) }));
        said.replaceChildren(texts.divided, " ", link(first, rows[0]), " · ", link(second, rows[1]));
        dispatchEvent(new CustomEvent("finetune-dataset", { detail: found.id }));
      } catch (error) {
        setText(said, inWords(error, texts));
      }
      start.disabled = false;
    }, "fs-small"); // prettier-ignore
    show();
    share.addEventListener("input", show);
    const row = make("div", { class: "fs-row" }, make("label", { for: share.id }, texts.divide_share), share, counts, start); // prettier-ignore
    return make("div", {}, make("h3", {}, texts.divide_heading), make("p", { class: "fs-hint" }, texts.divide_help), row, said); // prettier-ignore
  }
}
