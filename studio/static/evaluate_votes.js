// Blind votes: two answers whose order says nothing, and what the votes say so far.
// @ts-check
import { ask, inWords, post } from "./api.js";
import { button, fill, make, setText, statusLine } from "./dom.js";

/**
 * @typedef {{
 *   tuned: number, base: number, ties: number, share: number | null, interval: { low: number, high: number } | null,
 *   difference: { verdict: string }, open: number,
 *   next: { number: number, prompt: string, reference: string, a: string, b: string } | null,
 * }} Votes
 */

/** @param {Record<string, any>} texts @param {string} path @returns {HTMLElement} */
export function voteBox(texts, path) {
  let busy = false;
  const pair = make("div");
  const result = make("p", { class: "fs-hint" });
  const said = statusLine({ class: "fs-problem", hidden: true });
  const show = (/** @type {Votes} */ votes) => {
    const { next } = votes;
    setText(result, resultOf(votes, texts));
    undo.disabled = !(votes.tuned + votes.base + votes.ties);
    if (!next) return pair.replaceChildren(make("p", {}, texts.votes_done));
    const side = (/** @type {string} */ name, /** @type {string} */ answer) =>
      make("div", { class: "fs-answer" }, make("strong", {}, name), make("div", { class: "fs-said-text" }, answer || "–")); // prettier-ignore
    const choose = (/** @type {string} */ choice) => (/** @type {MouseEvent} */ event) => {
      if (event.detail < 2) act(() => post(`${path}/votes`, { question: next.number, choice })); // no double click, which would vote on the next pair too
    };
    pair.replaceChildren(
      make("p", { class: "fs-asked" }, next.prompt),
      make("div", { class: "fs-sides" }, side("A", next.a), side("B", next.b)),
      make("details", {}, make("summary", {}, texts.reference), make("p", { class: "fs-said-text" }, next.reference)),
      make(
        "div",
        { class: "fs-row" },
        button(texts.vote_a, choose("a")),
        button(texts.vote_b, choose("b")),
        button(texts.vote_tie, choose("tie")),
        make("span", { class: "fs-hint" }, fill(texts.votes_open, { count: votes.open })),
      ),
    );
  };
  const act = async (/** @type {() => Promise<Votes>} */ work) => {
    if (busy) return; // a second click would be a vote on the next pair
    busy = true;
    const focused = pair.contains(document.activeElement);
    try {
      show(await work());
      if (focused) pair.querySelector("button")?.focus();
      said.hidden = true;
    } catch (error) {
      said.hidden = false;
      setText(said, inWords(error, texts));
    } finally {
      busy = false;
    }
  };
  const undo = button(texts.vote_undo, () => act(() => post(`${path}/votes`, undefined, "DELETE")), "fs-small", { disabled: true }); // prettier-ignore
  act(() => ask(`${path}/votes`));
  return make("div", { class: "fs-votes" }, said, pair, make("div", { class: "fs-row" }, result, undo));
}

/** The page says whose answers were chosen once there are enough votes: before, it would influence the next ones. @param {Votes} votes @param {Record<string, any>} texts */
function resultOf(votes, texts) {
  const { tuned, base, ties, share, interval, difference } = votes;
  const count = tuned + base + ties;
  if (!count) return "";
  if (difference.verdict === "too_few" || share === null || !interval)
    return `${fill(texts.votes_so_far, { count })} ${texts.votes_few}`;
  const percent = (/** @type {number} */ value) => Math.round(100 * value);
  const values = { tuned, base, ties, share: percent(share), low: percent(interval.low), high: percent(interval.high) };
  return `${fill(texts.votes_result, values)} ${texts[`votes_${difference.verdict}`]}`;
}
