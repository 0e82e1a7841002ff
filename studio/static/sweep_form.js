// The dialog of New fine-tune that starts a sweep: several values for up to three settings, counted and timed.
// @ts-check
import { inWords, post, refusedFor } from "./api.js";
import { button, fill, make, setText, statusLine } from "./dom.js";
import { formNow } from "./form.js";
import { clock } from "./format.js";
import { proposedValues } from "./sweep_view.js";

/** @typedef {{ runs: number, seconds: [number, number] | null, too_big: number }} Plan */
/** @typedef {{ element: HTMLElement, name: HTMLSelectElement, values: HTMLInputElement }} Row */

const PROPOSED = ["learning_rate", "lora.r", "seed"];
const WAIT_MS = 250;

class SweepForm {
  /** @type {Row[]} */
  #rows = [];
  #asked = 0;
  #timer = 0;

  /** @param {HTMLElement} root @param {import("./start.js").Settings} settings */
  constructor(root, settings) {
    const texts = (this.texts = settings.texts);
    /** @type {[string, string][]} */
    this.choices = settings.choices;
    this.opener = button(texts.sweep_open, () => this.open(), "fs-small", {
      "aria-haspopup": "dialog",
      id: "fs-sweep",
    });
    this.list = make("div", { class: "fs-sweep-rows" });
    this.more = button(texts.sweep_add, () => this.add(), "fs-small");
    this.said = statusLine({ class: "fs-sweep-said" });
    this.start = button(texts.sweep_start, () => this.send(), "fs-primary", { disabled: true });
    const close = button(texts.close, () => this.dialog.close(), "fs-small");
    const title = make("div", { class: "fs-row" }, make("h2", {}, texts.sweep_title), make("span", { class: "fs-spring" }), close); // prettier-ignore
    const foot = make("div", { class: "fs-row" }, this.more, make("span", { class: "fs-spring" }), this.start);
    this.dialog = make("dialog", { class: "fs-sheet fs-narrow", "aria-label": texts.sweep_title }, title);
    this.dialog.append(make("p", { class: "fs-hint" }, texts.sweep_help), this.list, this.said, foot);
    root.append(this.opener, this.dialog);
  }

  /** The form's settings by their dotted names. */
  get config() {
    const { config } = formNow();
    return config ?? {};
  }

  open() {
    if (!this.#rows.length) for (const name of PROPOSED.slice(0, 2)) this.add(name);
    this.dialog.showModal();
    this.#rows[0]?.values.focus();
    this.look();
  }

  /** @param {string} [wanted] */
  add(wanted) {
    const { texts } = this;
    const used = new Set(this.#rows.map((row) => row.name.value));
    const first = wanted ?? [...PROPOSED, ...this.choices.map(([name]) => name)].find((name) => !used.has(name)) ?? "";
    const options = this.choices.map(([value, label]) => make("option", { value, selected: value === first }, label));
    const name = make("select", { "aria-label": texts.sweep_setting }, ...options);
    const values = make("input", { type: "text", "aria-label": texts.sweep_values, autocomplete: "off", spellcheck: false }); // prettier-ignore
    const propose = () => (values.value = proposedValues(name.value, this.config));
    const remove = () => {
      this.#rows = this.#rows.filter((one) => one !== row);
      row.element.remove();
      this.look();
    };
    const cross = button("✕", remove, "fs-small", { "aria-label": texts.sweep_remove });
    /** @type {Row} */
    const row = { element: make("div", { class: "fs-row" }, name, values, cross), name, values };
    name.addEventListener("change", () => {
      propose();
      this.look();
    });
    values.addEventListener("input", () => this.look());
    values.addEventListener("keydown", (event) => event.key === "Enter" && !this.start.disabled && this.send());
    propose();
    this.#rows.push(row);
    this.list.append(row.element);
    this.look();
  }

  /** What is asked for. */
  get request() {
    /** @type {Record<string, string>} */
    const values = {};
    for (const row of this.#rows) values[row.name.value] = [values[row.name.value], row.values.value].filter(Boolean).join(", "); // prettier-ignore
    return { config: this.config, values };
  }

  /** Count and time the runs, shortly after the last change. */
  look() {
    this.more.hidden = this.#rows.length >= PROPOSED.length;
    this.start.disabled = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.plan(), WAIT_MS);
  }

  async plan() {
    if (!this.dialog.open) return;
    const { texts } = this;
    const turn = ++this.#asked;
    try {
      /** @type {Plan} */
      const plan = await post("/api/sweeps/plan", this.request);
      if (turn !== this.#asked) return;
      const { runs, seconds, too_big: large } = plan;
      const time = seconds
        ? fill(texts.sweep_time, { count: runs, from: clock(seconds[0]), to: clock(seconds[1]) })
        : fill(texts.sweep_untimed, { count: runs });
      setText(this.said, [time, large ? fill(texts.sweep_too_big, { count: large }) : ""].filter(Boolean).join(" "));
      setText(this.start, fill(texts.sweep_start_runs, { count: runs }));
      this.start.disabled = !this.config.dataset;
      if (!this.config.dataset) setText(this.said, texts.missing_data);
    } catch (error) {
      if (turn !== this.#asked) return;
      setText(this.start, texts.sweep_start);
      const noData = refusedFor(error, "value_missing") && !this.config.dataset;
      setText(this.said, noData ? texts.missing_data : inWords(error, texts));
    }
  }

  async send() {
    if (this.start.disabled) return;
    this.start.disabled = true;
    setText(this.said, this.texts.starting);
    try {
      const { sweep } = await post("/api/sweeps", this.request);
      location.href = `sweep?sweep=${encodeURIComponent(sweep)}`;
    } catch (error) {
      setText(this.said, inWords(error, this.texts));
      this.start.disabled = false;
    }
  }
}

/** @type {import("./start.js").Part} */
export function start(root, settings) {
  new SweepForm(root, settings);
}
