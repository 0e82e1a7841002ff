// Cards of a run's jobs, such as evaluations: what hasn't changed stays as it is, and buttons that stop, resume, and delete.
// @ts-check
import { inWords, post } from "./api.js";
import { button } from "./dom.js";

/** @typedef {{ run: string, number: number, state: string, over: boolean, phase: string, progress: [number, number] | null }} Job */

/** @template {Job} T @typedef {{ element: HTMLElement, progress: (now: T) => void }} Card */

/** A list of cards. Only their progress changes in place; what was opened or focused stays so. @template {Job} T */
export class JobCards {
  /** @type {Map<string, Card<T> & { shown: string }>} */
  #known = new Map();

  /** @param {HTMLElement} list @param {HTMLElement} empty shown without any job @param {(one: T) => Card<T>} make */
  constructor(list, empty, make) {
    this.list = list;
    this.empty = empty;
    this.make = make;
  }

  /** @param {T[]} jobs */
  show(jobs) {
    const cards = jobs.map((one) => {
      const [key, shown] = [`${one.run}.${one.number}`, JSON.stringify({ ...one, phase: "", progress: null })];
      const known = this.#known.get(key);
      const card = known?.shown === shown ? known : this.make(one);
      if (card !== known) known?.element.replaceWith(card.element);
      this.#known.set(key, { ...card, shown });
      card.progress(one);
      return card.element;
    });
    const wanted = cards.length ? cards : [this.empty];
    const there = [...this.list.children];
    if (there.length !== wanted.length || wanted.some((card, index) => card !== there[index]))
      this.list.replaceChildren(...wanted);
  }
}

/**
 * The buttons of a job. `page` shows errors and reads the list again.
 * @param {{ texts: Record<string, any>, refresh: () => Promise<void>, say: (text: string) => void }} page
 * @param {string} path @param {Job} one @param {{ name: string, sure: string, resumable: boolean }} words
 */
export function jobActions(page, path, one, { name, sure, resumable }) {
  const { texts } = page;
  const act = (/** @type {string} */ what, /** @type {string} */ method) => async () => {
    try {
      await post(path + what, undefined, method);
      await page.refresh();
    } catch (error) {
      page.say(inWords(error, texts));
    }
  };
  const remove = async () => confirm(sure) && act("", "DELETE")();
  return {
    stop: one.over || one.state === "stopping" ? null : button(texts.stop, act("/stop", "POST"), "fs-small"),
    resume: one.over && one.state !== "finished" && resumable ? button(texts.resume, act("/resume", "POST"), "fs-small") : null, // prettier-ignore
    remove: one.over ? button(texts.delete, remove, "fs-small", { "aria-label": `${texts.delete}: ${name}` }) : null,
  };
}
