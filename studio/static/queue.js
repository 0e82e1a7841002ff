// The queue: the order of queued runs, and pause. It is hidden while no run is queued.
// @ts-check
import { Latest, ask, inWords, jobOf, post } from "./api.js";
import { button, fill, heads, make, poll, replaceRows, scrolling, setText, statusLine } from "./dom.js";

const POLL_MS = 2000;

/**
 * @typedef {{
 *   run: string, kind: string, name: string, position: number, device: string, sweep: { id: string, name: string } | null,
 * }} Waiting
 */

class Queue {
  /** @type {{ paused: boolean, waiting: Waiting[], running: Record<string, string> }} */
  #now = { paused: false, waiting: [], running: {} };
  #shown = "";
  /** @type {Waiting | null} */
  #dragged = null;
  #latest = new Latest();

  /** @param {HTMLElement} root @param {Record<string, any>} texts */
  constructor(root, texts) {
    this.texts = texts;
    this.said = statusLine({ class: "fs-hint" });
    this.reported = statusLine({ class: "fs-said" });
    this.rows = make("tbody");
    const head = make("thead", {}, heads(texts.queue_number, texts.name, "", texts.device_column));
    this.scroll = scrolling(texts.queue, make("table", {}, head, this.rows));
    this.pause = button("", () => this.act(`/api/queue/${this.#now.paused ? "resume" : "pause"}`));
    const title = make(
      "div",
      { class: "fs-row" },
      make("h2", {}, texts.queue),
      make("span", { class: "fs-spring" }),
      this.pause,
    );
    this.box = make("section", { hidden: true }, title, this.said, this.reported, this.scroll);
    root.append(this.box);
  }

  /** @param {string} path @param {unknown} [body] @param {string} [words] what is said once it is done */
  async act(path, body, words = "") {
    try {
      await post(path, body);
    } catch (error) {
      words = inWords(error, this.texts);
    }
    await this.refresh(); // show the new order before announcing the move
    setText(this.reported, words);
    if (words) this.box.hidden = false;
  }

  /** @param {Waiting} one */
  async leave(one) {
    const { path } = jobOf(one.run);
    try {
      await post(`${path}/stop`, { discard: false });
    } catch (error) {
      return setText(this.reported, inWords(error, this.texts));
    }
    const back = async () => {
      this.reported.replaceChildren();
      await this.act(`${path}/resume`);
      await this.act(`/api/queue/${encodeURIComponent(one.run)}/move`, { position: one.position });
      /** @type {HTMLElement | null} */ (this.rows.querySelector(`[data-key="${CSS.escape(one.run)}-leave"]`))?.focus();
    };
    const undo = button(this.texts.undo, back, "fs-small");
    this.reported.replaceChildren(fill(this.texts.queue_left, { name: one.name || one.run }), " ", undo);
    undo.focus();
    await this.refresh();
  }

  /** @param {Waiting} one @param {number} position */
  move(one, position) {
    const said = fill(this.texts.queue_moved, { name: one.name || one.run, position });
    return this.act(`/api/queue/${encodeURIComponent(one.run)}/move`, { position }, said);
  }

  /** @param {Waiting} one */
  row(one) {
    const { texts } = this;
    const plain = one.name || one.run;
    const name = one.kind === "run" ? plain : fill(this.texts[`${one.kind}_of`], { name: plain });
    const small = (
      /** @type {string} */ key,
      /** @type {string} */ text,
      /** @type {() => void} */ work,
      off = false,
    ) =>
      button(text, work, "fs-small", {
        disabled: off,
        "data-key": `${one.run}-${key}`,
        "aria-label": `${text}: ${name}`,
      });
    const move = (/** @type {number} */ position) => this.move(one, position);
    const actions = make(
      "div",
      { class: "fs-actions" },
      small("up", texts.queue_up, () => move(one.position - 1), one.position === 1),
      small("down", texts.queue_down, () => move(one.position + 1), one.position === this.#now.waiting.length),
      small("leave", texts.queue_leave, () => this.leave(one)),
    );
    const named = make(
      "td",
      {},
      make("a", { href: jobOf(one.run).page }, name),
      plain === one.run ? null : make("small", {}, one.run),
    );
    const row = make(
      "tr",
      { draggable: "true" },
      make("td", {}, make("span", { class: "fs-grip", "aria-hidden": "true" }, "⠿"), String(one.position)),
      named,
      make("td", {}, actions),
      make("td", {}, one.device),
    );
    row.addEventListener("dragstart", (event) => {
      this.#dragged = one;
      event.dataTransfer?.setData("text/plain", one.run); // a browser drags only what has data
    });
    row.addEventListener("dragend", () => (this.#dragged = null));
    row.addEventListener("dragover", (event) => this.#dragged && event.preventDefault());
    row.addEventListener("drop", (event) => {
      event.preventDefault();
      const dragged = this.#dragged;
      if (dragged && dragged.run !== one.run) this.move(dragged, one.position);
    });
    return row;
  }

  /** The waiting runs of a sweep as one. @param {Waiting[]} runs */
  sweepRow(runs) {
    const [{ position, device, sweep }] = runs;
    if (!sweep) return this.row(runs[0]);
    const stop = button(this.texts.sweep_stop, () => this.act(`/api/sweeps/${sweep.id}/stop`), "fs-small", {
      "aria-label": `${this.texts.sweep_stop}: ${sweep.name}`,
      "data-key": `${sweep.id}-stop`,
    });
    const link = make("a", { href: `sweep?sweep=${sweep.id}` }, sweep.name);
    const count = make("small", {}, fill(this.texts.sweep_waiting, { count: runs.length }));
    const cells = [[String(position)], [link, count], [make("div", { class: "fs-actions" }, stop)], [device]];
    return make("tr", {}, ...cells.map((parts) => make("td", {}, ...parts)));
  }

  async refresh() {
    let answer;
    try {
      answer = await this.#latest.ask(() => ask("/api/queue"));
    } catch {
      return; // the list below reports that the studio doesn't respond
    }
    if (!answer) return;
    this.#now = answer;
    const text = JSON.stringify(answer);
    if (text === this.#shown) return;
    this.#shown = text;
    this.show();
  }

  show() {
    const { texts } = this;
    const { paused, waiting, running } = this.#now;
    const [device, run] = Object.entries(running)[0] ?? [];
    this.box.hidden = !waiting.length && !paused && !this.reported.childNodes.length;
    this.scroll.hidden = !waiting.length;
    setText(this.pause, paused ? texts.queue_resume : texts.queue_pause);
    const free = paused ? "" : texts.queue_free;
    const held = run ? fill(paused ? texts.queue_behind : texts.queue_running, { run, device }) : free;
    setText(this.said, `${paused ? texts.queue_paused : ""} ${held}`.trim());
    replaceRows(
      this.rows,
      waiting.flatMap((one, place) => {
        const { sweep } = one;
        if (!sweep) return [this.row(one)];
        const first = waiting.findIndex((other) => other.sweep?.id === sweep.id) === place;
        return first ? [this.sweepRow(waiting.filter((other) => other.sweep?.id === sweep.id))] : [];
      }),
    );
  }
}

/** @type {import("./start.js").Part} */
export function start(root, { texts }) {
  const queue = new Queue(root, texts);
  poll(root, () => queue.refresh(), POLL_MS);
}
