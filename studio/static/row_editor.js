// A sheet in which a row is edited: its turns with their roles, and which answers are trained on; or a plain text.
// @ts-check
import { button, make, setText, statusLine } from "./dom.js";

/** @typedef {import("./dataset_report.js").Example} Example */
/** @typedef {import("./dataset_report.js").Message} Message */
/** @typedef {{ element: HTMLElement, role: HTMLSelectElement, content: HTMLTextAreaElement, train: HTMLInputElement, rest: Partial<Message>, was: string, rejected: boolean }} Turn */

const ROLES = ["system", "user", "assistant", "tool"];

export class RowEditor {
  /** @type {Turn[]} */
  #turns = [];
  /** @type {HTMLTextAreaElement | null} */
  #text = null;
  /** @type {(example: any) => void} */
  #save = () => {};
  #changed = false;
  #pair = false;

  /** @param {Record<string, any>} texts */
  constructor(texts) {
    this.texts = texts;
    this.title = make("h2");
    this.list = make("div", { class: "fs-turn-list" });
    this.more = button(texts.turn_add, () => this.addTurn({ role: this.nextRole(), content: "", train: true }), "fs-small"); // prettier-ignore
    this.said = statusLine({ class: "fs-problem", hidden: true });
    const save = button(texts.row_save, () => this.finish(), "fs-primary");
    const cancel = button(texts.cancel, () => this.element.close(), "fs-small");
    const foot = make("div", { class: "fs-row" }, this.more, make("span", { class: "fs-spring" }), cancel, save);
    this.element = make("dialog", { class: "fs-sheet fs-narrow" }, this.title, this.list, this.said, foot);
    this.element.addEventListener("cancel", (event) => {
      if (this.#changed && !confirm(texts.row_discard)) event.preventDefault();
    });
    this.list.addEventListener("input", () => (this.#changed = true));
  }

  /** @param {string} title @param {Example} example @param {(example: any) => void} save */
  open(title, example, save) {
    this.#save = save;
    this.#turns = [];
    this.#text = null;
    this.#changed = false;
    setText(this.title, title);
    this.element.setAttribute("aria-label", title);
    this.said.hidden = true;
    this.list.replaceChildren();
    const isText = example.text !== undefined && example.text !== null;
    this.more.hidden = isText;
    if (isText) {
      this.#text = make("textarea", { rows: 10, "aria-label": this.texts.role_text });
      this.#text.value = example.text ?? "";
      this.list.append(this.#text);
    } else {
      for (const turn of example.messages) this.addTurn(turn);
      this.#pair = Boolean(example.rejected?.length);
      if (this.#pair) this.list.append(make("h3", {}, this.texts.side_rejected));
      for (const turn of example.rejected ?? []) this.addTurn(turn, true);
      this.more.hidden = this.#pair; // it would be a turn of the rejected answer
    }
    this.element.showModal();
    this.list.querySelector("textarea")?.focus();
  }

  nextRole() {
    return this.#turns[this.#turns.length - 1]?.role.value === "user" ? "assistant" : "user";
  }

  /** @param {Message} turn @param {boolean} [rejected] */
  addTurn({ role, content, train, ...rest }, rejected = false) {
    const { texts } = this;
    const options = ROLES.map((value) => make("option", { value, selected: value === role }, texts[`role_${value}`]));
    const select = make("select", { "aria-label": texts.turn_role }, ...options);
    const tick = make("input", { type: "checkbox" });
    tick.checked = train && role === "assistant";
    const trained = make(
      "label",
      { class: "fs-check", hidden: rejected || role !== "assistant" },
      tick,
      texts.trained_on,
    );
    const area = make("textarea", { rows: Math.min(8, 2 + content.split("\n").length), "aria-label": texts.turn_content, spellcheck: "true" }); // prettier-ignore
    area.value = content;
    select.addEventListener("change", () => {
      trained.hidden = rejected || select.value !== "assistant";
      tick.checked = select.value === "assistant";
    });
    const remove = () => {
      this.#turns = this.#turns.filter((one) => one !== turn);
      turn.element.remove();
    };
    const cross = button("✕", remove, "fs-small", { "aria-label": texts.turn_remove });
    const head = make("div", { class: "fs-row" }, select, trained, make("span", { class: "fs-spring" }), cross);
    /** @type {Turn} */
    const turn = { element: make("div", { class: "fs-turn-edit" }, head, area), role: select, content: area, train: tick, rest, was: role, rejected }; // prettier-ignore
    this.#turns.push(turn);
    this.list.append(turn.element);
  }

  finish() {
    const { texts } = this;
    if (this.#text) {
      if (!this.#text.value.trim()) return this.refuse(texts.row_empty);
      this.element.close();
      return this.#save({ text: this.#text.value });
    }
    const all = this.#turns.map(({ role, content, train, rest, was, rejected }) => ({
      rejected,
      turn: {
        ...(role.value === was ? rest : {}), // calls belong to the role that had them
        role: role.value,
        content: content.value,
        train: role.value === "assistant" && train.checked,
      },
    }));
    const [messages, rejected] = [false, true].map((side) =>
      all.filter((one) => one.rejected === side).map(({ turn }) => turn),
    );
    if (!messages.some((one) => one.train)) return this.refuse(texts.row_no_answer);
    if (all.some(({ turn }) => !turn.content.trim() && !turn.tool_calls?.length)) return this.refuse(texts.row_empty);
    if (this.#pair && !rejected.length) return this.refuse(texts.row_empty);
    const said = (/** @type {Message[]} */ turns) => turns.map(({ content }) => content.trim()).join("\n");
    if (this.#pair && said(messages.slice(-rejected.length)) === said(rejected)) return this.refuse(texts.sides_equal);
    this.element.close();
    return this.#save(this.#pair ? { messages, rejected } : { messages });
  }

  /** @param {string} words */
  refuse(words) {
    this.said.hidden = false;
    setText(this.said, words);
  }
}
