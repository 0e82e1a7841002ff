// A tour of the studio in five steps: offered once, while there is no run yet, and repeated from the Settings page.
// @ts-check
import { button, fill, make, setText } from "./dom.js";

const KEY = "finetune-tour";
const ASKED = "tour";
/** What each step points at, on New fine-tune. */
const TARGETS = ["#train-model", "#train-data", "#train-summary", '.fs-rail a[href$="/runs"]', '.fs-rail a[href$="/try"]']; // prettier-ignore
const MARK = "fs-tour-target";

/** Whether this page is New fine-tune. */
const isForm = () => /^\/(en|zh)\/?$/.test(location.pathname);

class Tour {
  #step = 0;

  /** @param {Record<string, any>} texts */
  constructor(texts) {
    this.texts = texts;
    this.title = make("h2", { id: "fs-tour-title", tabindex: -1 });
    this.text = make("p", {});
    this.count = make("small", { class: "fs-hint" });
    this.back = button(texts.tour_back, () => this.show(this.#step - 1), "fs-small");
    this.next = button(texts.tour_next, () => this.show(this.#step + 1), "fs-primary fs-small");
    const skip = button(texts.tour_skip, () => this.end(), "fs-small");
    const foot = make("div", { class: "fs-row" }, this.count, make("span", { class: "fs-spring" }), skip, this.back, this.next); // prettier-ignore
    this.element = make("div", { class: "fs-tour", role: "dialog", "aria-labelledby": "fs-tour-title" }, this.title, this.text, foot); // prettier-ignore
    this.onKey = (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.end();
    addEventListener("keydown", this.onKey);
    document.body.append(this.element);
    this.show(0);
  }

  /** @param {number} step */
  show(step) {
    if (step >= TARGETS.length) return this.end();
    this.#step = step;
    const { texts } = this;
    setText(this.title, texts[`tour_${step + 1}`]);
    setText(this.text, texts[`tour_${step + 1}_text`]);
    setText(this.count, fill(texts.tour_step, { step: step + 1, steps: TARGETS.length }));
    this.back.hidden = step === 0;
    setText(this.next, step + 1 === TARGETS.length ? texts.tour_end : texts.tour_next);
    this.unmark();
    const target = document.querySelector(TARGETS[step]);
    target?.classList.add(MARK);
    target?.scrollIntoView({ block: "center" });
    this.title.focus({ preventScroll: true });
  }

  unmark() {
    for (const marked of document.querySelectorAll(`.${MARK}`)) marked.classList.remove(MARK);
  }

  end() {
    this.unmark();
    removeEventListener("keydown", this.onKey);
    this.element.remove();
  }
}

/** Start the tour, on New fine-tune. @param {Record<string, any>} texts */
export function startTour(texts) {
  localStorage.setItem(KEY, "seen");
  if (!isForm()) location.href = `./?${ASKED}`;
  else if (!document.querySelector(".fs-tour")) new Tour(texts);
}

/** Offer the tour to whoever opens New fine-tune for the first time; start it if the address asks for it. @param {Record<string, any>} texts */
export function offerTour(texts) {
  if (!isForm()) return;
  const address = new URL(location.href);
  if (address.searchParams.has(ASKED)) {
    address.searchParams.delete(ASKED);
    history.replaceState(history.state, "", address);
    return startTour(texts);
  }
  if (localStorage.getItem(KEY)) return;
  const leave = () => {
    localStorage.setItem(KEY, "seen");
    offer.remove();
  };
  const go = button(texts.tour_start, () => [leave(), startTour(texts)], "fs-small");
  const skip = button(texts.tour_skip, leave, "fs-small");
  const offer = make("div", { class: "fs-tour-offer", role: "region", "aria-label": texts.tour }, make("span", {}, texts.tour_offer), go, skip); // prettier-ignore
  offer.hidden = true; // until it is known that there is no run yet
  document.body.append(offer); // at the end: nothing that is needed for a run is further away by keyboard
  addEventListener("finetune-runs", (event) => (offer.hidden = /** @type {CustomEvent} */ (event).detail > 0));
}
