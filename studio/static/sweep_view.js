// What a sweep's form and page show: proposed values, and how its runs are listed as one. No access to the page.
// @ts-check

/** @typedef {import("./runs_view.js").Run} Run */
/** @typedef {{ id: string, name: string, runs: Run[], wanted: number, best: number | null, seconds: number, started: number | null }} Family */

/** A number as people write it: 0.0002 rather than 0.00020000000000000001. @param {number} value */
const plain = (value) => String(Number(value.toPrecision(3)));

/**
 * Values to begin with: the form's own and one beside it.
 * @param {string} name
 * @param {Record<string, any>} config
 */
export function proposedValues(name, config) {
  /** @type {unknown} */
  const value = name.split(".").reduce((inner, key) => inner?.[key], /** @type {any} */ (config));
  if (typeof value === "boolean" || value === "auto") return "true, false";
  if (name === "seed") return "1, 2, 3";
  if (typeof value !== "number") return value === undefined ? "" : String(value);
  if (value === 0) return "0, 0.1";
  return `${plain(value)}, ${plain(2 * value)}`;
}

/** The runs of each sweep as one entry, in the place of the first; other runs stay. @param {Run[]} shown @param {Run[]} all @returns {(Run | Family)[]} */
export function grouped(shown, all) {
  /** @type {Map<string, Run[]>} */
  const members = new Map();
  for (const run of all) if (run.sweep) members.set(run.sweep.id, [...(members.get(run.sweep.id) ?? []), run]);
  const seen = new Set();
  /** @param {Run} run @returns {(Run | Family)[]} */
  const entry = (run) => {
    if (!run.sweep) return [run];
    if (seen.has(run.sweep.id)) return [];
    seen.add(run.sweep.id);
    return [familyOf(run.sweep, members.get(run.sweep.id) ?? [run])];
  };
  return shown.flatMap(entry);
}

/** @param {NonNullable<Run["sweep"]>} sweep @param {Run[]} runs @returns {Family} */
function familyOf(sweep, runs) {
  const losses = runs.flatMap((run) => (run.eval_loss === null ? [] : [run.eval_loss]));
  const starts = runs.flatMap((run) => (run.started === null ? [] : [run.started]));
  return {
    id: sweep.id,
    name: sweep.name,
    runs,
    wanted: sweep.runs,
    best: losses.length ? Math.min(...losses) : null,
    seconds: runs.reduce((sum, run) => sum + run.seconds, 0),
    started: starts.length ? Math.min(...starts) : null,
  };
}

/** How many runs are in each state, those that aren't over first. @param {Run[]} runs @returns {[string, number][]} */
export function stateCounts(runs) {
  const sorted = runs.toSorted((a, b) => Number(a.over) - Number(b.over) || a.state.localeCompare(b.state));
  const states = [...new Set(sorted.map((run) => run.state))];
  return states.map((state) => [state, runs.filter((run) => run.state === state).length]);
}
