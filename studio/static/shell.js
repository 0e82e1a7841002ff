// The frame of every page: theme, language, what the devices do, and the run that has one. The server sends its HTML.
// @ts-check
import { ask, jobOf, runPage, runPath } from "./api.js";
import { chooseLanguage, fill, make, poll, setText } from "./dom.js";
import { size } from "./format.js";
import { textsOf } from "./start.js";
import { startPalette } from "./palette.js";
import { keepTheme, switchTheme } from "./theme.js";
import { toast } from "./toast.js";
import { offerTour } from "./tour.js";

/** @typedef {{ kind: string, name: string, total_bytes: number, free_bytes: number, busy_percent: number | null, used: boolean }} Device */
/** @typedef {{ id: string, name: string, state: string, step: number, total_steps: number }} Run */

const METER_MS = 5000;

/** @param {number} share from 0 to 1 */
const bar = (share) => make("i", { style: `--fs-share:${Math.round(100 * Math.min(Math.max(share, 0), 1))}%` });

/** @param {Device} device */
function meter(device) {
  const held = device.total_bytes - device.free_bytes;
  const name = device.kind === "cpu" ? "CPU" : device.name.replace(/^NVIDIA (GeForce )?/, "");
  const busy = device.busy_percent === null ? "" : ` ${Math.round(device.busy_percent)}%`;
  const [all, unit] = size(device.total_bytes).split(" ");
  const shown = (held * Number(all)) / device.total_bytes;
  const words = `${name}${busy} · ${shown.toFixed(1)} / ${all} ${unit}`;
  return make("div", { title: device.name }, words, bar(held / device.total_bytes));
}

class Shell {
  /** @type {string[]} the runs that had a device at the last look */
  #running = [];

  /** @param {HTMLElement} rail @param {Record<string, any>} texts */
  constructor(rail, texts) {
    this.rail = rail;
    this.texts = texts;
  }

  /** @param {string} selector @returns {HTMLElement} */
  part(selector) {
    return /** @type {HTMLElement} */ (this.rail.querySelector(selector));
  }

  async refresh() {
    /** @type {[Device[], { running: Record<string, string> }]} */
    const [devices, queue] = await Promise.all([ask("/api/devices"), ask("/api/queue")]);
    const shown = devices.filter((device) => device.used || device.kind !== "cpu");
    this.part(".fs-meter").replaceChildren(...shown.map(meter));
    const runs = Object.values(queue.running);
    const count = this.part(".fs-running");
    count.hidden = !runs.length;
    setText(count, String(runs.length));
    const ended = this.#running.filter((run) => !runs.includes(run));
    this.#running = runs;
    await this.showRun(runs[0]);
    for (const run of ended) await this.tellEnd(run);
  }

  /** A run has left its device; its own page shows that anyway. @param {string} id */
  async tellEnd(id) {
    const { run: of, kind, page } = jobOf(id);
    if (new URLSearchParams(location.search).get("run") === of) return;
    const run = await ask(runPath(of));
    if (kind !== "run") {
      const words = fill(this.texts[`${kind}_of`], { name: run.name || of });
      return toast(words, this.texts.close, { href: page, title: this.texts[`${kind}_page`] });
    }
    const words = `${run.name || id}: ${this.texts[`state_${run.state}`]}`;
    toast(words, this.texts.close, { href: runPage(id), title: this.texts.open_run });
  }

  /** What uses the first device. @param {string | undefined} id */
  async showRun(id) {
    const current = this.part(".fs-current");
    current.hidden = !id;
    if (!id) return;
    const { run: of, kind, page } = jobOf(id);
    /** @type {Run} */
    const run = await ask(runPath(of));
    /** @type {HTMLAnchorElement} */ (current).href = page;
    if (kind !== "run")
      return current.replaceChildren(make("b", {}, run.name || of), make("span", {}, this.texts[`${kind}_page`]));
    const { step, total_steps: total, state } = run;
    const steps = total ? fill(this.texts.rail_steps, { step, total }) : this.texts[`state_${state}`];
    const share = run.total_steps ? run.step / run.total_steps : 0;
    current.replaceChildren(make("b", {}, run.name || run.id), make("span", {}, steps), bar(share));
  }
}

/** Gradio states the browser's language; the page is in its own. @param {string} language */
function keepLanguage(language) {
  const root = document.documentElement;
  const state = () => root.lang === language || (root.lang = language);
  new MutationObserver(state).observe(root, { attributes: true, attributeFilter: ["lang"] });
  state();
}

function start() {
  const rail = /** @type {HTMLElement | null} */ (document.querySelector(".fs-rail"));
  if (!rail) return;
  keepTheme();
  keepLanguage(rail.dataset.language === "zh" ? "zh-CN" : "en");
  rail.querySelector(".fs-theme")?.addEventListener("click", switchTheme);
  const other = /** @type {HTMLAnchorElement} */ (rail.querySelector(".fs-language"));
  const language = rail.dataset.language === "zh" ? "en" : "zh";
  const there = () => location.pathname.replace(/^\/(en|zh)/, `/${language}`) + location.search;
  other.href = there();
  other.addEventListener("click", () => {
    chooseLanguage(language);
    other.href = there();
  });
  document.querySelector(".fs-skip")?.addEventListener("click", (event) => {
    event.preventDefault(); // the page's base address is another one
    const main = /** @type {HTMLElement | null} */ (document.querySelector("gradio-app"));
    main?.setAttribute("tabindex", "-1");
    main?.focus();
  });
  textsOf(rail.dataset.language ?? "en").then((texts) => {
    startPalette(texts);
    offerTour(texts);
    const shell = new Shell(rail, texts);
    poll(rail, () => shell.refresh().catch(() => {}), METER_MS); // the next look tells more than an error would
  });
}

start();
