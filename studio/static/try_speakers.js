// Who answers: a run, and up to three of its base model, its result, and its checkpoints.
// @ts-check
import { Latest, ask } from "./api.js";
import { fill, make } from "./dom.js";

/** @typedef {import("./try_view.js").Speaker} Speaker */
/** @typedef {{ run: string, adapter: boolean, steps: number[], questions: string[], kept: string[] }} Choices */

const MOST = 3;

/** @param {Speaker} one */
const keyOf = (one) => (one.base ? "base" : one.step ? String(one.step) : "result");

export class Speakers {
  /** @type {Choices | null} */
  #choices = null;
  #latest = new Latest();

  /** @param {Record<string, any>} texts @param {(run: string) => void} changed @param {(error: unknown) => void} fail */
  constructor(texts, changed, fail) {
    this.texts = texts;
    this.changed = changed;
    this.select = make("select", { id: "fs-try-run" });
    this.list = make("div", { class: "fs-row", role: "group", "aria-label": texts.who_answers });
    this.none = make("p", { hidden: true }, texts.nothing_to_try, " ", make("a", { href: "./" }, texts.train));
    this.pick = make(
      "div",
      { class: "fs-row" },
      make("label", { for: this.select.id }, texts.try_run),
      this.select,
      this.list,
    );
    this.element = make("div", {}, this.pick, this.none);
    this.select.addEventListener("change", async () => {
      this.list.replaceChildren(); // until it is known who can answer for this run
      this.changed(this.run);
      try {
        await this.choose(this.run);
        this.changed(this.run);
      } catch (error) {
        fail(error);
      }
    });
  }

  get run() {
    return this.select.value;
  }

  /** The test questions of the user. @type {string[]} */
  kept = [];

  /** The run's sample prompts, and the user's test questions. */
  get questions() {
    return [...new Set([...(this.#choices?.questions ?? []), ...this.kept])];
  }

  ticked() {
    return this.boxes().filter((box) => box.checked);
  }

  boxes() {
    return /** @type {HTMLInputElement[]} */ ([...this.list.querySelectorAll("input")]);
  }

  limit() {
    for (const box of this.boxes()) box.disabled = !box.checked && this.ticked().length >= MOST;
  }

  /** Those who answer; empty where nobody is chosen. @returns {Speaker[]} */
  chosen() {
    return this.ticked().map(({ value }) => {
      if (value === "base") return { run: this.run, base: true };
      return value === "result" ? { run: this.run } : { run: this.run, step: Number(value) };
    });
  }

  /** Offer the runs that can answer, and choose one. @param {string} wanted @param {Speaker[]} [speakers] those of a chat that is continued @returns {Promise<boolean>} whether the wanted run is there */
  async load(wanted, speakers) {
    /** @type {{ id: string, name: string, state: string, resumable: boolean }[]} */
    const all = await ask("/api/runs");
    const able = all.filter((one) => one.state === "finished" || one.resumable || one.id === wanted);
    this.pick.hidden = !able.length;
    this.none.hidden = able.length > 0;
    const there = !wanted || all.some((one) => one.id === wanted);
    if (!able.length) return there;
    this.select.replaceChildren(...able.map((one) => make("option", { value: one.id }, one.name || one.id)));
    this.select.value = able.some((one) => one.id === wanted) ? wanted : able[0].id;
    await this.choose(this.run, speakers);
    if (!speakers) this.changed(this.run);
    return there;
  }

  /** @param {string} id @param {Speaker[]} [speakers] */
  async choose(id, speakers) {
    const choices = await this.#latest.ask(() => ask(`/api/chats/choices?run=${encodeURIComponent(id)}`));
    if (!choices) return; // another run has been chosen meanwhile
    this.#choices = choices;
    const { adapter, steps, kept } = /** @type {Choices} */ (this.#choices);
    this.kept = kept;
    /** @type {[string, string][]} */
    const options = [["base", this.texts.before]];
    if (adapter) options.push(["result", this.texts.after]);
    for (const step of [...steps].reverse()) options.push([String(step), fill(this.texts.at_step, { step })]);
    const wanted = speakers?.map(keyOf) ?? ["base", adapter ? "result" : String(steps[steps.length - 1])];
    this.list.replaceChildren(...options.map(([value, text]) => this.choice(value, text, wanted.includes(value))));
    this.limit();
  }

  /** @param {string} value @param {string} text @param {boolean} checked */
  choice(value, text, checked) {
    const box = make("input", { type: "checkbox", value, checked });
    box.addEventListener("change", () => {
      this.limit();
      this.changed(this.run);
    });
    return make("label", { class: "fs-check" }, box, text);
  }
}
