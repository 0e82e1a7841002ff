// What the list of runs shows: the runs after an update, and those that match a search, in order.
// @ts-check

/**
 * @typedef {{
 *   id: string, name: string, state: string, over: boolean, model: string, dataset: string, step: number,
 *   total_steps: number, train_loss_last: number | null, eval_loss: number | null, started: number | null,
 *   seconds: number, attempts: number, resumable: boolean, sparkline: number[], timing: boolean, tags: string[], note: string,
 *   gate: string, sweep: { id: string, name: string, number: number, runs: number, values: Record<string, unknown> } | null,
 * }} Run
 * @typedef {"newest" | "name" | "loss" | "validation" | "duration"} Order
 */

/** The runs after an update, newest first. @param {Run[]} runs @param {{ whole: boolean, runs: Run[] }} update */
export function updated(runs, update) {
  if (update.whole) return update.runs;
  const changed = new Map(update.runs.map((run) => [run.id, run]));
  return runs.map((run) => changed.get(run.id) ?? run);
}

/** @type {Record<Order, (a: Run, b: Run) => number>} */
const ORDERS = {
  newest: () => 0,
  name: (a, b) => (a.name || a.id).localeCompare(b.name || b.id, undefined, { numeric: true }),
  loss: (a, b) => (a.train_loss_last ?? Infinity) - (b.train_loss_last ?? Infinity),
  validation: (a, b) => (a.eval_loss ?? Infinity) - (b.eval_loss ?? Infinity),
  duration: (a, b) => b.seconds - a.seconds,
};

/**
 * The runs that have all words of `text` in their name, model, dataset, id, tags or note (`#word` in a tag), and the
 * state if one is chosen. Queued runs are in the queue above (those of a sweep are listed with it), and timing runs are hidden, unless they are asked for.
 * @param {Run[]} runs
 * @param {{ text: string, state: string, order: Order, timing?: boolean }} wanted
 */
export function shownRuns(runs, { text, state, order, timing = false }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (/** @type {Run} */ run) => {
    const tags = run.tags.map((tag) => `#${tag}`).join(" ");
    const all = `${run.name} ${run.id} ${run.model} ${run.dataset} ${tags} ${run.note}`.toLowerCase();
    return (
      (state ? run.state === state : run.state !== "queued" || run.sweep) && words.every((word) => all.includes(word))
    );
  };
  return runs.filter((run) => (timing || !run.timing) && has(run)).sort(ORDERS[order]);
}
