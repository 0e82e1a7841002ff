// The Try it page: a prompt, and the answers of the base model and of fine-tuned ones side by side.
// @ts-check
import { ask, inWords, post } from "./api.js";
import { button, fill, make, number, setText, statusLine } from "./dom.js";
import { Speakers } from "./try_speakers.js";
import { samplingOf } from "./try_settings.js";
import { childrenInWords, figuresOf, sidesOf } from "./try_view.js";

/**
 * @typedef {import("./try_view.js").Chat} Chat
 * @typedef {import("./try_view.js").Turn} Turn
 * @typedef {import("./try_view.js").Answer} Answer
 */

const MOST_CHARACTERS = 100_000; // as in interfaces/chats.py
const LONG = 500; // characters of a prompt that may have to be scrolled
const WRITING_MS = 150;
const WAITING_MS = 1000;
const IDLE_MS = 5000;

class TryPage {
  #chat = "";
  #busy = false;
  /** @type {number[]} the turns that are over, which aren't asked for again */
  #over = [];
  /** @type {string[]} prompts that are asked one after the other */
  #next = [];
  #timer = 0;
  #turn = 0;
  #asking = false;
  #lost = false;

  /** @param {HTMLElement} root @param {import("./start.js").Settings} settings */
  constructor(root, settings) {
    this.texts = settings.texts;
    this.language = settings.language;
    const { texts } = this;
    this.said = statusLine({ class: "fs-problem", hidden: true });
    this.speakers = new Speakers(
      texts,
      (run) => this.choose(run),
      (error) => this.fail(error),
    );
    this.heads = make("div", { class: "fs-sides fs-sides-head" });
    this.turns = make("div", { class: "fs-turns", role: "log", "aria-label": texts.conversation });
    this.prompt = make("textarea", { id: "fs-prompt", rows: 3, placeholder: texts.prompt_help });
    this.prompt.addEventListener("keydown", (event) => this.onKey(event));
    this.send = button(texts.send, () => this.ask([this.prompt.value.trim()]), "fs-primary");
    this.stop = button(texts.stop_answer, () => this.leave(), "", { hidden: true });
    this.tests = button("", () => this.ask(this.speakers.questions, true), "", { hidden: true });
    this.another = button(texts.new_chat, () => this.begin(), "");
    this.sampling = samplingOf(texts);
    this.children = make("p", { class: "fs-hint", role: "status" });
    this.free = button(texts.free_memory, () => post("/api/chats/free").then(() => this.refresh()), "fs-small", { hidden: true }); // prettier-ignore
    const label = make("label", { for: this.prompt.id, class: "fs-hidden" }, texts.prompt);
    root.append(
      make("h1", {}, texts.try_it),
      this.speakers.element,
      this.said,
      this.heads,
      this.turns,
      make("div", { class: "fs-ask" }, label, this.prompt, make("div", { class: "fs-row" }, this.send, this.stop, this.tests, make("span", { class: "fs-spring" }), this.another)), // prettier-ignore
      this.sampling.element,
      make("div", { class: "fs-row" }, this.children, this.free),
    );
    this.ready = this.load();
  }

  async load() {
    const asked = new URLSearchParams(location.search);
    try {
      const known = asked.get("chat");
      if (known) await this.open(known);
      else if (!(await this.speakers.load(asked.get("run") ?? "")))
        this.say(`${asked.get("run")}: ${this.texts.run_gone}`);
    } catch (error) {
      this.#chat = "";
      this.fail(error);
      await this.speakers.load("").catch(() => {}); // so that a new chat can begin
      this.say(inWords(error, this.texts));
    }
  }

  /** Read a chat on, after a reload. @param {string} id */
  async open(id) {
    this.#chat = id;
    const chat = await this.read(1);
    await this.speakers.load(chat.speakers[0].speaker.run, chat.speakers.map(({ speaker }) => speaker)); // prettier-ignore
    this.offerTests();
    this.show(chat);
    this.again();
  }

  /** Another run, or other speakers: the next prompt begins a new chat. @param {string} run */
  choose(run) {
    this.forget();
    if (run) post("/api/chats/prepare", { speaker: { run, base: true } }).catch(() => {}); // asking tells what is wrong
    this.again();
  }

  offerTests() {
    const count = this.speakers.questions.length;
    this.tests.hidden = !count || this.#busy;
    setText(this.tests, fill(this.texts.ask_tests, { count }));
  }

  /** Keep a prompt as a test question, or no longer. @param {string} question @param {HTMLElement} star */
  async keep(question, star) {
    const kept = star.getAttribute("aria-pressed") !== "true";
    try {
      this.speakers.kept = (await post("/api/chats/questions", { question, kept })).questions;
      star.setAttribute("aria-pressed", String(kept));
      setText(star, kept ? "★" : "☆");
      this.offerTests();
    } catch (error) {
      this.fail(error);
    }
  }

  /** A prompt, and the button that keeps it. @param {string} prompt */
  asked(prompt) {
    const kept = this.speakers.kept.includes(prompt);
    const name = this.texts.keep_question;
    const star = button(kept ? "★" : "☆", () => this.keep(prompt, star), "fs-small fs-star", { "aria-pressed": String(kept), "aria-label": name, title: name }); // prettier-ignore
    return make(
      "div",
      { class: "fs-row fs-asking" },
      make("p", { class: "fs-asked", tabindex: prompt.length > LONG ? 0 : null }, prompt),
      star,
    );
  }

  begin() {
    this.forget();
    this.prompt.focus();
  }

  forget() {
    if (this.#busy) this.leave();
    this.#turn += 1;
    this.#chat = "";
    this.#over = [];
    this.#next = [];
    this.busy(false);
    this.say("");
    this.turns.replaceChildren();
    this.heads.replaceChildren();
    const run = this.speakers.run;
    this.address(run ? `?run=${encodeURIComponent(run)}` : "");
  }

  /** What a reload opens. @param {string} query */
  address(query) {
    history.replaceState(null, "", location.pathname + query); // the page's base address is another one
  }

  /** @param {string} text */
  say(text) {
    this.said.hidden = !text;
    setText(this.said, text);
  }

  /** @param {unknown} error */
  fail(error) {
    this.#next = [];
    this.busy(false);
    this.say(inWords(error, this.texts));
  }

  /** @param {boolean} now */
  busy(now) {
    this.#busy = now;
    this.turns.setAttribute("aria-busy", String(now)); // a screen reader reads an answer once it is complete
    this.stop.hidden = !now;
    this.send.hidden = now;
    this.offerTests();
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.ask([this.prompt.value.trim()]);
  }

  /** Ask prompts, one after the other. @param {string[]} prompts @param {boolean} alone without what was said before */
  async ask(prompts, alone = false) {
    const [prompt, ...more] = prompts;
    await this.ready; // the choice of who answers may still be on its way
    if (!prompt || this.#busy) return;
    const long = prompt.length > MOST_CHARACTERS;
    const values = { count: number(prompt.length), most: number(MOST_CHARACTERS) };
    const problem = long ? fill(this.texts.prompt_too_long, values) : this.speakers.chosen().length ? this.sampling.problem() : this.texts.choose_speaker; // prettier-ignore
    if (problem) return this.say(problem);
    this.say("");
    this.busy(true);
    const mine = ++this.#turn;
    try {
      const chat = this.#chat || (await post("/api/chats", { speakers: this.speakers.chosen() })).chat;
      if (mine !== this.#turn) return; // another run was chosen, or a new chat begun
      this.#chat = chat;
      this.address(`?chat=${chat}`);
      this.#asking = true;
      await post(`/api/chats/${chat}/ask`, { prompt, alone, ...this.sampling.values() });
      if (mine !== this.#turn) return;
      this.#next = more;
      if (prompt === this.prompt.value.trim()) this.prompt.value = "";
      this.again(0);
    } catch (error) {
      if (mine === this.#turn) this.fail(error);
    } finally {
      this.#asking = false;
    }
  }

  async leave() {
    this.#next = [];
    if (this.#chat) await post(`/api/chats/${this.#chat}/stop`).catch((error) => this.fail(error));
  }

  /** @param {number} start @returns {Promise<Chat>} */
  read(start) {
    return ask(`/api/chats/${this.#chat}?start=${start}&language=${this.language}`);
  }

  async refresh() {
    const mine = this.#chat;
    try {
      if (!mine) return this.showChildren(await ask("/api/chats/children"));
      const chat = await this.read(this.#over.length + 1);
      if (mine !== this.#chat || this.#asking) return; // what was read is from before the question
      if (this.#lost) this.say("");
      this.#lost = false;
      this.show(chat);
    } catch (error) {
      this.#lost = true; // the next look tries again
      this.say(inWords(error, this.texts));
    }
  }

  /** @param {number} [wait] */
  again(wait) {
    clearTimeout(this.#timer);
    const writing = this.#busy && this.turns.querySelector(".fs-answer[data-writing]");
    this.#timer = window.setTimeout(
      async () => {
        if (!document.hidden) await this.refresh();
        this.again();
      },
      wait ?? (writing ? WRITING_MS : this.#busy ? WAITING_MS / 2 : this.free.hidden ? WAITING_MS : IDLE_MS),
    );
  }

  /** @param {Chat} chat */
  show(chat) {
    if (!this.heads.childElementCount)
      this.heads.replaceChildren(...sidesOf(chat.speakers, this.texts).map((text) => make("strong", {}, text)));
    const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 80;
    for (const turn of chat.turns) this.showTurn(turn, chat.busy);
    this.busy(chat.busy);
    this.showChildren(chat.children);
    if (chat.turns.length && atEnd && chat.busy) scrollTo(0, document.documentElement.scrollHeight);
    if (!chat.busy && this.#next.length) this.ask(this.#next, true);
  }

  /** @param {Turn} turn @param {boolean} busy */
  showTurn(turn, busy) {
    const id = `fs-turn-${turn.turn}`;
    let element = this.turns.querySelector(`#${id}`);
    if (!element) {
      const sides = turn.answers.map(() => make("div", { class: "fs-answer" }));
      element = make(
        "section",
        { id, class: "fs-turn" },
        this.asked(turn.prompt),
        make("div", { class: "fs-sides" }, ...sides),
      );
      this.turns.append(element);
    }
    const sides = /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll(".fs-answer"));
    turn.answers.forEach((answer, index) => this.showAnswer(sides[index], answer, busy));
    const over = turn.answers.every((answer) => answer.end) || !busy;
    if (over && turn.turn === this.#over.length + 1) this.#over.push(turn.turn);
  }

  /** @param {HTMLElement} side @param {Answer} answer @param {boolean} busy */
  showAnswer(side, answer, busy) {
    const shown = JSON.stringify([answer, busy]);
    if (side.dataset.shown === shown) return;
    side.dataset.shown = shown;
    const writing = !answer.end && busy;
    side.toggleAttribute("data-writing", writing);
    const text = make("div", { class: "fs-said-text" });
    if (answer.html)
      text.innerHTML = answer.html; // the server's Markdown: without HTML of the model's
    else setText(text, answer.text);
    const problem = answer.problem || (!answer.end && !busy ? this.texts.answer_lost : "");
    const parts = [text, problem ? make("p", { class: "fs-problem" }, problem) : null];
    side.replaceChildren(...parts.filter((part) => part !== null), make("small", {}, figuresOf(answer, this.texts)));
  }

  /** @param {import("./try_view.js").Child[]} children */
  showChildren(children) {
    this.free.hidden = !children.length;
    setText(this.children, childrenInWords(children, this.texts));
  }
}

/** @type {import("./start.js").Part} */
export function start(root, settings) {
  new TryPage(root, settings);
}
