// The page of one run: state, figures, curves, answers, log, and actions.
// @ts-check
import { ask, inWords, post, runPage, runPath } from "./api.js";
import { answerTable } from "./answers.js";
import { RunChart } from "./chart.js";
import { chartTools, storedView } from "./chart_tools.js";
import { button, fill, make, poll, setText } from "./dom.js";
import { clock, figure, size } from "./format.js";
import { checkpointList, logOf, settingsOf } from "./run_details.js";
import { FACTS, changesOf, factsOf, named, offered, phaseOf, progressOf, titleOf } from "./run_view.js";
import { notesOf } from "./notes.js";
import { Tabs } from "./tabs.js";

/**
 * @typedef {import("./run_view.js").Status} Status
 * @typedef {{ last: number, reset: boolean, train: any, validation: any, status: Status }} Update
 */

const POLL_MS = 1000;
const SELDOM = 5;
const MOST_POINTS = 4000;

const canTell = () => "Notification" in window;
const mayTell = () => canTell() && Notification.permission === "granted";

/** The elements that each update fills. @param {Record<string, any>} texts @param {string} id */
function makeParts(texts, id) {
  const title = make("h1", {}, id);
  const below = make("p", { class: "fs-hint" });
  const state = make("span", { class: "fs-state", role: "status", "aria-live": "polite" });
  const phase = make("span", { class: "fs-phase" });
  const bar = make("progress", { max: 1, value: 0, "aria-label": texts.step });
  const problem = make("p", { class: "fs-problem", role: "alert" });
  const facts = Object.fromEntries(FACTS.map((name) => [name, make("dd", { id: `fact-${name}` }, "–")]));
  const next = make(
    "p",
    { class: "fs-hint", hidden: true },
    texts.next_adapter,
    " ",
    make("a", { href: "./" }, texts.next_own),
  );
  const evidenceText = make("pre", { class: "fs-log", tabindex: 0 });
  const evidence = make("details", { hidden: true }, make("summary", {}, texts.evidence), evidenceText);
  const waiting = make("p", { class: "fs-hint" }, texts.waiting_for_points);
  const reading = make("p", { class: "fs-reading", role: "status" });
  const notes = make("ul", { class: "fs-notes" });
  const phases = make("ol", { class: "fs-phases" });
  const settings = make("p", { class: "fs-hint fs-key-settings" });
  return {
    title,
    below,
    state,
    phase,
    bar,
    problem,
    facts,
    next,
    evidenceText,
    evidence,
    waiting,
    reading,
    notes,
    phases,
    settings,
  };
}

class RunPage {
  #last = 0;
  #going = false;
  over = false;
  /** @type {Record<string, unknown>} the change that is shown is the one that is asked for */
  #fix = {};

  /** @param {HTMLElement} root @param {import("./start.js").Settings} settings @param {string} id */
  constructor(root, settings, id) {
    this.root = root;
    this.texts = settings.texts;
    this.language = settings.language;
    this.id = id;
    this.base = runPath(id);
    this.say = (/** @type {string} */ key, /** @type {Record<string, unknown>} */ values) =>
      fill(this.texts[key], values);
    const detail = async (/** @type {number} */ first, /** @type {number} */ last) =>
      (await ask(`${this.base}/curves?first=${first}&last=${last}`).catch(() => ({ train: null }))).train;
    this.chart = new RunChart(this.texts, id, storedView(), detail);
    this.checkpoints = checkpointList(this.texts, this.base);
    this.answers = answerTable(this.texts);
    this.log = logOf(this.texts, this.base);
    this.said = notesOf(this.texts, this.base);
    this.asked = ask(`${this.base}/config`);
    this.controls = this.makeControls();
    this.parts = makeParts(this.texts, id);
    this.facts = make("dl", { class: "fs-facts", hidden: true });
    this.tools = chartTools(this.chart, this.texts, `${this.base}/curves.csv`, `curve-${id}`);
    this.tabs = this.makeTabs();
    this.whole = make("div", { hidden: true }, ...this.layout()); // until there is something to show
    root.append(this.whole);
    this.asked.then(
      (settings) => this.showSettings(settings),
      () => {}, // the tab says why
    );
    for (const control of Object.values(this.controls)) control.hidden = true; // until the status is known
  }

  /** @returns {Record<string, HTMLButtonElement | HTMLAnchorElement>} */
  makeControls() {
    const { texts, base, id } = this;
    const discard = () => confirm(texts.discard_sure) && this.act(`${base}/stop`, { discard: true });
    const download = { class: "fs-button fs-primary", href: `${base}/adapter.zip`, download: true };
    const continueTraining = {
      class: "fs-button",
      title: texts.continue_training_help,
      href: `./?from=${encodeURIComponent(id)}`,
    };
    const duplicate = {
      class: "fs-button fs-repeats",
      title: texts.duplicate_help,
      href: `./?copy=${encodeURIComponent(id)}`,
    };
    return {
      notify: button(texts.notify_me, () => this.askToTell()),
      stop: button(texts.stop, () => this.act(`${base}/stop`, { discard: false })),
      discard: button(texts.discard, discard, "fs-danger"),
      resume: button(texts.resume, () => this.act(`${base}/resume`)),
      retry: button(texts.retry, () => this.again(this.controls.retry), "fs-repeats", { title: texts.retry_help }),
      duplicate: make("a", duplicate, texts.duplicate),
      continue_training: make("a", continueTraining, texts.continue_training),
      try_it: make("a", { class: "fs-button", href: `try?run=${encodeURIComponent(id)}` }, texts.try_it),
      evaluate: make("a", { class: "fs-button", href: `evaluate?run=${encodeURIComponent(id)}` }, texts.evaluate),
      export: make("a", { class: "fs-button", href: `export?run=${encodeURIComponent(id)}` }, texts.export_page),
      download: make("a", download, texts.download_adapter),
      fix: button("", () => this.again(this.controls.fix, { change: this.#fix }), "fs-primary"),
    };
  }

  makeTabs() {
    const { texts } = this;
    const tabs = new Tabs(texts.run, "fs-run", [
      { id: "answers", title: texts.answers, panel: this.answers.element },
      { id: "checkpoints", title: texts.checkpoints, panel: this.checkpoints.element },
      { id: "settings", title: texts.settings_of_run, panel: settingsOf(texts, this.asked) },
      { id: "log", title: texts.log, panel: this.log.element, opened: this.log.read },
    ]);
    for (const id of ["answers", "checkpoints"]) tabs.hide(id, true); // until there are any
    return tabs;
  }

  /** @param {import("./run_details.js").RunSettings} settings */
  showSettings({ model, dataset, imported, header }) {
    const values = Object.entries(header).map(([name, value]) => `${name} ${value}`);
    setText(this.parts.settings, [model.split("/").pop(), dataset, ...values].filter(Boolean).join(" · "));
    this.root.toggleAttribute("data-imported", imported); // it can't be repeated
  }

  /** The layout from top to bottom. @returns {HTMLElement[]} */
  layout() {
    const { texts, controls } = this;
    const row = (/** @type {import("./dom.js").Child[]} */ ...parts) => make("div", { class: "fs-row" }, ...parts);
    const spring = () => make("span", { class: "fs-spring" });
    const actions =
      "notify stop discard resume retry try_it evaluate export download duplicate continue_training".split(" ");
    this.facts.append(...FACTS.map((name) => make("div", {}, make("dt", {}, texts[name]), this.parts.facts[name])));
    return /** @type {HTMLElement[]} */ ([
      row(
        this.parts.title,
        button(texts.rename, () => this.editName(), "fs-small"),
      ),
      this.parts.settings,
      this.parts.below,
      row(this.parts.state, this.parts.phase, this.parts.bar, spring(), ...actions.map((name) => controls[name])),
      this.parts.problem,
      this.parts.next,
      make("p", { class: "fs-row" }, controls.fix),
      this.parts.evidence,
      this.facts,
      make("h2", { class: "fs-hidden" }, texts.curve),
      this.parts.waiting,
      this.parts.phases,
      this.parts.reading,
      this.tools.element,
      this.chart.element,
      this.parts.notes,
      this.said.element,
      this.tabs.element,
    ]);
  }

  async askToTell() {
    await Notification.requestPermission();
    this.controls.notify.hidden = Notification.permission !== "default";
  }

  /** @param {string} path @param {unknown} [body] */
  async act(path, body) {
    try {
      await post(path, body);
      await this.refresh();
    } catch (error) {
      if (/** @type {any} */ (error).status === 404) return this.gone(); // deleted while its page was open
      setText(this.parts.problem, inWords(error, this.texts));
    }
  }

  /** Run again and open the new run. @param {HTMLElement} pressed @param {unknown} [body] */
  async again(pressed, body) {
    const control = /** @type {HTMLButtonElement} */ (pressed);
    control.disabled = true;
    try {
      location.href = runPage((await post(`${this.base}/retry`, body)).run);
    } catch (error) {
      control.disabled = false;
      setText(this.parts.problem, inWords(error, this.texts));
    }
  }

  async refresh() {
    /** @type {Update} */
    let update;
    try {
      update = await ask(`${this.base}/events?since=${this.#last}&language=${this.language}`);
    } catch (error) {
      if (/** @type {any} */ (error).status === 404) this.gone();
      else setText(this.parts.phase, inWords(error, this.texts));
      this.whole.hidden = false;
      return;
    }
    this.#last = update.last;
    this.whole.hidden = false;
    this.show(update.status);
    const drawn = this.chart.add(update.train, update.validation, update.reset);
    this.tools.offer(this.chart.metrics);
    this.showChart(update.status);
    await drawn.catch(() => {}); // the next update tries again
    if (this.chart.count > MOST_POINTS) this.#last = 0; // let the server downsample again
  }

  /** The chart, or what happens before its first point. @param {Status} status */
  showChart(status) {
    const there = this.chart.count > 0;
    if (!there && !status.over) this.chart.prepare();
    this.tools.element.hidden = this.chart.element.hidden = !there;
    this.parts.waiting.hidden = there || status.over;
    this.parts.phases.hidden = there || !status.phases.length;
    const line = (/** @type {{ name: string, seconds: number }} */ { name, seconds }) =>
      make("li", {}, make("span", {}, name), make("span", {}, clock(seconds)));
    this.parts.phases.replaceChildren(...status.phases.map(line));
    const steps = status.checkpoints.map(({ step }) => step);
    this.chart.mark(steps, status.resumes);
  }

  /** The run doesn't exist: show that and stop polling. */
  gone() {
    this.end?.();
    const problem = make("p", { class: "fs-problem", role: "alert" }, `${this.id}: ${this.texts.run_gone} `);
    this.root.replaceChildren(make("h1", {}, this.texts.run), problem, make("a", { href: "runs" }, this.texts.runs));
  }

  /** @param {Status} status */
  show(status) {
    const { texts } = this;
    const { attempt, resumed_from_step: step } = status;
    const again = step === null ? "" : fill(texts.resumed_from, { attempt, step });
    setText(this.parts.title, status.name || this.id);
    setText(this.parts.below, [status.name ? this.id : "", again].filter(Boolean).join(" · "));
    setText(this.parts.state, texts[`state_${status.state}`]);
    this.parts.state.dataset.state = status.state;
    setText(this.parts.phase, phaseOf(status, this.say));
    setText(this.parts.reading, status.reading);
    this.parts.reading.hidden = !status.reading;
    this.parts.bar.value = progressOf(status);
    this.parts.bar.hidden = status.over || status.state === "queued";
    document.title = titleOf(status, this.say, this.id);
    this.over = status.over;
    this.tellEnd(status);
    this.showFacts(status);
    this.showProblem(status);
    this.showActions(status);
    if (this.parts.notes.childElementCount !== status.warnings.length)
      this.parts.notes.replaceChildren(...status.warnings.map((text) => make("li", {}, text)));
    this.said.show(status);
    this.answers.show(status.samples);
    this.checkpoints.show(status.checkpoints);
    this.tabs.hide("answers", !status.samples.length);
    this.tabs.hide("checkpoints", !status.checkpoints.length);
  }

  /** Let the name be edited in its place: Enter keeps it, Escape leaves it. */
  editName() {
    const { title } = this.parts;
    const input = make("input", {
      type: "text",
      maxlength: 200,
      "aria-label": this.texts.rename,
      value: title.textContent,
    });
    const leave = () => input.replaceWith(title);
    input.addEventListener("keydown", async (event) => {
      if (event.isComposing) return; // Enter accepts a candidate of the input method
      if (event.key === "Escape") leave();
      if (event.key !== "Enter") return;
      try {
        setText(title, (await post(`${this.base}/rename`, { name: input.value })).name);
        leave();
        await this.refresh();
      } catch (error) {
        setText(this.parts.problem, inWords(error, this.texts));
      }
    });
    title.replaceWith(input);
    input.select();
  }

  /** Fill the tiles; a run that is over has none without a value. @param {Status} status */
  showFacts(status) {
    this.facts.hidden = !status.total_steps;
    for (const [name, text] of Object.entries(factsOf(status, this.say))) setText(this.parts.facts[name], text);
    for (const fact of Object.values(this.parts.facts)) {
      const tile = /** @type {HTMLElement} */ (fact.parentElement);
      tile.hidden = !fact.textContent || (status.over && fact.textContent === "–");
    }
  }

  /** @param {Status} status */
  showProblem(status) {
    setText(this.parts.problem, status.problem);
    this.#fix = status.fix;
    setText(this.controls.fix, fill(this.texts.try_again, { changes: changesOf(status.fix) }));
    this.parts.evidence.hidden = !status.evidence.length;
    setText(this.parts.evidenceText, status.evidence.join("\n"));
  }

  /** @param {Status} status */
  showActions(status) {
    for (const [name, on] of Object.entries(offered(status))) this.controls[name].hidden = !on;
    for (const [name, text] of Object.entries(named(status))) setText(this.controls[name], this.texts[text]);
    this.controls.notify.hidden = status.over || !canTell() || Notification.permission !== "default";
    this.parts.next.hidden = status.state !== "finished";
  }

  /** Notify the user of the run's end if the tab is in the background. @param {Status} status */
  tellEnd(status) {
    const ended = status.over && this.#going;
    this.#going = !status.over;
    if (!ended || !mayTell() || !document.hidden) return;
    const loss = status.loss === null ? "" : `${this.texts.loss} ${figure(status.loss)}`;
    const title = `${status.name || this.id}: ${this.texts[`state_${status.state}`]}`;
    new Notification(title, { body: status.problem || loss, tag: this.id });
  }

  async showDevice() {
    if (this.over) return setText(this.parts.facts.device, "–");
    try {
      const used = (await ask("/api/devices")).find((/** @type {any} */ device) => device.used);
      const busy = used.busy_percent === null ? "–" : Math.round(used.busy_percent);
      const held = size(used.total_bytes - used.free_bytes);
      setText(this.parts.facts.device, fill(this.texts.device_now, { busy, held, total: size(used.total_bytes) }));
    } catch {
      /* the next poll tries again */
    }
  }

  follow() {
    let turn = 0;
    let back = false; // to the page: a run that is over may have been resumed elsewhere
    document.addEventListener("visibilitychange", () => (back = true));
    const look = async () => {
      const tick = turn++;
      if (this.over ? !back : tick % 2 && this.chart.count > 0) return; // the first point is waited for
      back = false;
      await this.refresh();
      if (tick % (2 * SELDOM) === 0) await this.showDevice();
      if (this.tabs.chosen === "log") await this.log.follow();
    };
    this.end = poll(this.root, look, POLL_MS / 2, () => mayTell() && !this.over);
  }
}

/** @type {import("./start.js").Part} */
export function start(root, settings) {
  const { texts } = settings;
  const id = new URLSearchParams(location.search).get("run");
  if (!id)
    return root.append(make("p", { role: "status" }, texts.no_run, " ", make("a", { href: "runs" }, texts.runs)));
  new RunPage(root, settings, id).follow();
}
