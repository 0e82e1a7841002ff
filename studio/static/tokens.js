// What the model sees: every token of a row, whether it is trained on, and statistics of the lengths of all rows.
// @ts-check
import { followJob, inWords, post, refusedFor } from "./api.js";
import { button, choice, fill, make, number, onEnter, setText, statusLine } from "./dom.js";
import { formNow, setField } from "./form.js";
import { seen } from "./format.js";
import { LengthBars } from "./lengths.js";

/**
 * @typedef {{ id: number, text: string, trained: boolean, special: boolean }} Token
 * @typedef {{
 *   rows: number, row: number, line: number | null, length: number, trained: number, cut: number, max_length: number,
 *   tokens: Token[], stop: { token: string, fate: string }, remarks: string[], rejected: Row | null, label: boolean | null,
 * }} Row
 * @typedef {import("./lengths.js").Lengths & {
 *   tokens: number, trained_tokens: number, steps_per_epoch: number, batch: number, accumulation: number,
 *   padding_share: number, sampled: boolean, counted: number, rows: number, remarks: string[], refused: number,
 *   first_refused: { reason: string }[], nothing_to_learn: number,
 * }} Stats
 * @typedef {{
 *   train: number, validation: number, leaked: number, leaked_rows: number[],
 *   sources: { name: string, train: number, validation: number }[],
 * }} Split
 */

const SHOWN_TOKENS = 3000;
const WAIT_MS = 250;

export class TokenPreview {
  #position = 0;
  #online = false;
  #asked = 0;
  /** @type {Stats | null} */
  #stats = null;
  #counting = false;
  /** @type {number | null} the max_length set by dragging on a page without a form */
  #dragged = null;
  #waiting = 0;
  #last = "";

  /**
   * @param {HTMLElement} root the panel of a row's tokens
   * @param {HTMLElement} lengths the panel of all rows' lengths
   * @param {import("./start.js").Settings} settings
   * @param {import("./dataset_report.js").Dataset} found
   */
  constructor(root, lengths, settings, found) {
    this.root = root;
    this.settings = settings;
    this.found = found;
    this.texts = settings.texts;
    const { texts } = this;
    // The model choice, on a page without a form.
    this.models = settings.models ? choice(settings.models, { id: "fs-tokens-model" }) : null;
    this.models?.addEventListener("change", () => this.askAnew(false));
    this.said = statusLine({ class: "fs-hint" });
    this.rowNumber = make("input", { type: "number", min: 1, value: 1, id: "fs-tokens-row" });
    this.rowNumber.addEventListener("change", () => this.go(Math.floor(Number(this.rowNumber.value)) - 1));
    this.previous = button("◀", () => this.go(this.#position - 1), "fs-small", { "aria-label": texts.previous_row });
    this.next = button("▶", () => this.go(this.#position + 1), "fs-small", { "aria-label": texts.next_row });
    this.tokens = make("div", {
      class: "fs-tokens",
      tabindex: 0,
      role: "region",
      "aria-label": texts.token_preview,
      dir: "ltr",
    });
    this.notes = make("ul", { class: "fs-notes" });
    this.numbers = make("div", { class: "fs-numbers" });
    this.offer = make(
      "p",
      { hidden: true },
      button(texts.fetch_tokenizer, () => this.askAnew(true)),
    );
    this.body = make("div", { hidden: true }, this.tools(), this.legend(), this.tokens, this.notes);
    this.notYet = make("p", { class: "fs-hint" }, texts.lengths_not_yet);
    const label = make("label", { for: "fs-tokens-model" }, texts.model_column);
    const which = this.models ? make("div", { class: "fs-row" }, label, this.models) : "";
    root.append(which, this.said, this.offer, this.body);
    lengths.append(this.notYet, this.numbers);
  }

  tools() {
    const { texts } = this;
    const search = make("input", { type: "search", placeholder: texts.search, "aria-label": texts.search });
    search.addEventListener(
      "keydown",
      onEnter(() => this.find("text", { text: search.value })),
    );
    const ids = make("input", { type: "checkbox", id: "fs-tokens-ids" });
    ids.addEventListener("change", () => this.tokens.classList.toggle("fs-with-ids", ids.checked));
    const kinds = ["longest", "cut", "lost", "suspicious"];
    const finds = kinds.map((kind) => button(texts[`find_${kind}`], () => this.find(kind), "fs-small"));
    const check = make("label", { class: "fs-check", for: "fs-tokens-ids" }, ids, texts.token_ids);
    const label = make("label", { for: "fs-tokens-row" }, texts.column_row);
    return make("div", { class: "fs-row" }, label, this.rowNumber, this.previous, this.next, ...finds, search, check);
  }

  legend() {
    const { texts } = this;
    const parts = [
      make("mark", { class: "fs-t" }, texts.legend_trained),
      make("span", { class: "fs-t fs-read" }, texts.legend_read),
      make("span", { class: "fs-t fs-special" }, texts.legend_special),
      make("s", { class: "fs-t" }, texts.legend_cut),
    ];
    return make("p", { class: "fs-legend" }, ...parts.flatMap((part, index) => (index ? [" ", part] : [part])));
  }

  // ---- asking -----------------------------------------------------------------------------------------------------------

  /** The settings that affect what the model sees. */
  facts() {
    const form = formNow();
    return {
      model: this.models ? this.models.value : form.model || "starter",
      max_length: Math.max(16, Math.round(this.#dragged ?? form.max_length ?? 1024)),
      batch: form.batch || 4,
      accumulation: form.accumulation || 4,
      budget: form.budget || 0,
      method: form.config?.method || "sft",
      assistant_only_loss: form.config?.assistant_only_loss ?? true,
      train_on_reasoning: form.config?.train_on_reasoning ?? true,
      share: form.validation_split ?? 0.05,
      seed: form.seed ?? 42,
      bad_rows: form.bad_rows || "stop",
      long_rows: form.long_rows || "truncate",
      validation: form.validation_dataset || "",
    };
  }

  /** @param {Record<string, unknown>} request */
  see(request) {
    const path = `/api/datasets/${this.found.id}/see?language=${this.settings.language}`;
    return post(path, { ...this.facts(), online: this.#online, ...request });
  }

  /** @param {boolean} online whether a tokenizer that isn't here may be fetched */
  askAnew(online) {
    this.#online = online;
    this.refresh();
  }

  /** @param {() => Promise<unknown>} work */
  async guarded(work) {
    const { texts } = this;
    const mine = ++this.#asked;
    setText(this.said, texts.looking);
    this.offer.hidden = true;
    try {
      await work();
      if (mine !== this.#asked) return;
      setText(this.said, "");
      this.body.hidden = false;
    } catch (error) {
      if (mine !== this.#asked) return;
      const away = !this.#online && refusedFor(error, "model_unreachable");
      this.offer.hidden = !away;
      setText(this.said, away ? fill(texts.not_here, { model: this.facts().model }) : inWords(error, texts));
      if (away || !this.#stats) this.body.hidden = true;
    }
  }

  refresh() {
    return this.guarded(async () => {
      await this.showRow(this.#position);
      await this.showNumbers();
    });
  }

  /** @param {number} to */
  go(to) {
    return this.guarded(() => this.showRow(Math.min(Math.max(to, 0), Math.max(this.found.usable - 1, 0))));
  }

  /** @param {string} kind @param {Record<string, unknown>} [more] */
  find(kind, more = {}) {
    return this.guarded(async () => {
      const answer = await this.see({ op: "find", kind, start: this.#position + 1, ...more });
      if (answer.position === null) throw new Error(this.texts.none_found);
      await this.showRow(answer.position);
    });
  }

  // ---- one row ------------------------------------------------------------------------------------------------------------

  /** @param {number} to */
  async showRow(to) {
    /** @type {Row} */
    const row = await this.see({ op: "row", position: to });
    this.#position = Math.floor(to);
    Object.assign(this.rowNumber, { value: String(to + 1), max: String(row.rows) });
    this.previous.disabled = to === 0;
    this.next.disabled = to + 1 >= row.rows;
    const { texts } = this;
    const sides = row.rejected ? [make("h4", {}, texts.side_chosen), ...this.shown(row), make("h4", {}, texts.side_rejected), ...this.shown({ ...row.rejected, label: false })] : this.shown(row); // prettier-ignore
    this.tokens.replaceChildren(...sides);
    this.tokens.scrollTop = 0;
    this.notes.replaceChildren(...this.notesOf(row).map((text) => make("li", {}, text)));
  }

  /** The tokens of a row, or of one of its answers. @param {Row} row @returns {HTMLElement[]} */
  shown(row) {
    const shown = row.tokens.slice(0, SHOWN_TOKENS).map((token, index) => this.token(token, index, row.max_length));
    if (row.label === false) for (const token of shown) token.classList.add("fs-avoided");
    const left = row.tokens.length - SHOWN_TOKENS;
    const more = left > 0 ? [make("em", {}, ` ${fill(this.texts.more_tokens, { count: number(left) })}`)] : [];
    return [...shown, ...more];
  }

  /** @param {Token} token @param {number} index @param {number} cutAt */
  token(token, index, cutAt) {
    const cut = index >= cutAt;
    const kind = cut ? "s" : token.trained ? "mark" : "span";
    const shape = ["fs-t", token.special ? "fs-special" : "", token.trained || cut ? "" : "fs-read"];
    const title = fill(this.texts.token_title, { id: token.id, index: index + 1 });
    const text = seen(token.text).replace(/\n/g, "⏎\n") || "\u200a";
    return make(kind, { class: shape.filter(Boolean).join(" "), title, "data-id": token.id }, text);
  }

  /** @param {Row} row @returns {string[]} */
  notesOf(row) {
    const { texts } = this;
    if (row.rejected) {
      const named = (/** @type {string} */ side, /** @type {Row} */ one) => this.notesOf(one).map((text) => `${side}: ${text}`); // prettier-ignore
      const rejected = { ...row.rejected, label: false };
      return [...named(texts.side_chosen, { ...row, rejected: null }), ...named(texts.side_rejected, rejected)];
    }
    const judged = row.label ? [texts.label_desired] : [];
    const stop = row.stop.token ? fill(texts[`stop_${row.stop.fate}`], { token: row.stop.token }) : texts.stop_none;
    const facts = { row: row.row, line: row.line ?? "–", length: number(row.length), trained: number(row.trained) };
    return [
      ...judged,
      fill(texts.row_facts, facts),
      row.label === false ? texts.learned_away : stop,
      ...(row.cut ? [fill(texts.row_cut, { cut: number(row.cut), max: number(row.max_length) })] : []),
      ...row.remarks,
    ];
  }

  // ---- all rows -----------------------------------------------------------------------------------------------------------

  async showNumbers() {
    /** @type {[Stats, Split]} */
    const [stats, split] = [await this.see({ op: "stats" }), await this.see({ op: "split" })];
    this.#stats = stats;
    this.notYet.hidden = true;
    dispatchEvent(new Event("finetune-lengths")); // the studio has stored the lengths for estimates
    const bars = new LengthBars(stats, this.texts, this.facts().long_rows, (value) => this.setLength(value));
    const lines = make("ul", { class: "fs-notes" }, ...this.remarks(stats, split).map((text) => make("li", {}, text)));
    const held = document.activeElement?.id === "fs-max-length" && this.numbers.contains(document.activeElement);
    this.numbers.replaceChildren(this.sample(stats), this.figures(stats, split), ...bars.elements, lines);
    if (held) bars.slider.focus();
  }

  /** How many rows the statistics cover, and a button to count all of them. @param {Stats} stats */
  sample({ sampled, counted, rows }) {
    const { texts } = this;
    if (!sampled) return make("p", { class: "fs-hint" });
    const words = fill(texts.sampled, { counted: number(counted), rows: number(rows) });
    const all = this.#counting ? texts.counting : texts.count_all;
    const count = button(all, () => this.countAll(), "fs-small", { disabled: this.#counting });
    return make("p", { class: "fs-hint" }, words, " ", count);
  }

  /** @param {Stats} stats @param {Split} split */
  figures(stats, split) {
    const { texts } = this;
    const items = [
      [texts.fact_tokens, number(stats.tokens)],
      [texts.fact_trained, number(stats.trained_tokens)],
      [texts.fact_longest, `${number(stats.median)} / ${number(stats.longest)}`],
      [texts.fact_steps, `${number(stats.steps_per_epoch)} (${stats.batch} × ${stats.accumulation})`],
      [texts.fact_padding, `${Math.round(stats.padding_share * 100)}%`],
      [texts.fact_split, `${number(split.train)} / ${number(split.validation)}`],
    ];
    const tiles = items.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
    return make("dl", { class: "fs-facts" }, ...tiles);
  }

  /** @param {Stats} stats @param {Split} split */
  remarks(stats, split) {
    const { texts } = this;
    const lines = [...stats.remarks];
    const reason = stats.first_refused[0]?.reason ?? "";
    if (stats.refused) lines.push(fill(texts.refused, { count: number(stats.refused), reason }));
    if (stats.nothing_to_learn) lines.push(fill(texts.nothing_trained, { count: number(stats.nothing_to_learn) }));
    const rows = split.leaked_rows.join(", ");
    if (split.leaked) lines.push(fill(texts.leaked, { count: number(split.leaked), rows }));
    if (split.sources.length > 1)
      for (const { name, train, validation } of split.sources)
        lines.push(fill(texts.split_source, { name, train: number(train), validation: number(validation) }));
    return lines;
  }

  /** @param {number} value */
  setLength(value) {
    if (!this.models) return setField("max_length", value);
    this.#dragged = value;
    this.refresh();
  }

  async countAll() {
    if (this.#counting) return;
    this.#counting = true;
    const pressed = this.numbers.querySelector("button");
    if (pressed) pressed.disabled = true;
    try {
      const { job } = await post(`/api/datasets/${this.found.id}/tokenize`, this.facts());
      await followJob(job, ({ progress: [done, total] }) => {
        const now = this.numbers.querySelector("button");
        if (!now) return;
        now.disabled = true;
        const percent = total ? ` ${Math.floor((100 * done) / total)}%` : "";
        setText(now, this.texts.counting + percent);
      });
      if (!this.root.isConnected) return;
    } catch (error) {
      setText(this.said, inWords(error, this.texts));
    } finally {
      this.#counting = false;
    }
    this.refresh();
  }

  // ---- with the form --------------------------------------------------------------------------------------------------------

  begin() {
    if (!this.found.usable) return setText(this.said, this.texts.no_usable_row);
    const changed = () => {
      if (!this.root.isConnected) return removeEventListener("finetune-config", changed);
      const facts = this.facts();
      const now = JSON.stringify(facts);
      if (now === this.#last) return;
      if (this.#last && JSON.parse(this.#last).model !== facts.model) this.#online = false;
      this.#last = now;
      clearTimeout(this.#waiting);
      this.#waiting = window.setTimeout(() => this.refresh(), WAIT_MS);
    };
    addEventListener("finetune-config", changed);
    changed();
  }
}
