// Requests to the studio's API. Its errors are problem details (RFC 9457).
// @ts-check
import { pageLanguage } from "./dom.js";

/** @typedef {{ code: string, params: Record<string, any>, severity: string }} Problem */

const FOLLOW_MS = 300;

/** An error response of the studio, with its sentence and its problems. */
export class Refused extends Error {
  /** @param {string} message @param {number} status @param {Problem[]} problems */
  constructor(message, status, problems) {
    super(message);
    this.status = status;
    this.problems = problems;
  }

  /** The first problem with this code. @param {string} code */
  problem(code) {
    return this.problems.find((one) => one.code === code);
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>}
 * @throws {Refused} for an error response; a TypeError if the studio doesn't respond at all
 */
export async function ask(path, options = {}) {
  const headers = { Accept: "application/json", "X-Finetune-Language": pageLanguage(), ...options.headers };
  const answer = await fetch(path, { ...options, headers });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(body.detail || answer.statusText, answer.status, body.problems || []);
  return body;
}

/** @param {string} path @param {unknown} [body] @param {string} [method] @param {RequestInit} [options] */
export const post = (path, body, method = "POST", options = {}) =>
  ask(path, {
    ...options,
    method,
    headers: { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });

/** The API path of a run. @param {string} id */
export const runPath = (id) => `/api/runs/${encodeURIComponent(id)}`;

/** The page of a run. @param {string} id */
export const runPage = (id) => `run?run=${encodeURIComponent(id)}`;

/**
 * What the queue holds: a run, an evaluation of one as `run.number`, or an export as `run.export-number`.
 * @param {string} id
 */
export function jobOf(id) {
  const [run, job = ""] = id.split(".");
  const number = job.replace("export-", "");
  if (!job) return { run, kind: "run", path: runPath(run), page: runPage(run) };
  const [kind, place, name] = job === number ? ["evaluation", "evaluations", "evaluate"] : ["export", "exports", "export"]; // prettier-ignore
  return { run, kind, path: `${runPath(run)}/${place}/${number}`, page: `${name}?run=${encodeURIComponent(run)}` };
}

/**
 * An error as a sentence.
 * @param {unknown} error
 * @param {Record<string, any>} texts
 * @returns {string}
 */
export const inWords = (error, texts) =>
  error instanceof TypeError || !(error instanceof Error) ? texts.no_connection : error.message || texts.no_connection;

/** Whether an error response has one of these codes. @param {unknown} error @param {...string} codes */
export const refusedFor = (error, ...codes) => error instanceof Refused && codes.some((code) => error.problem(code));

/**
 * Follow a background job of the studio, such as reading a file, until it has ended.
 * @param {string} job
 * @param {(reported: any) => void} [tell]
 */
export async function followJob(job, tell = () => {}) {
  for (;;) {
    const reported = await ask(`/api/datasets/jobs/${job}?language=${pageLanguage()}`);
    if (reported.done && reported.result) return reported.result;
    if (reported.done) throw new Refused(reported.detail, 200, reported.problems);
    tell(reported);
    await new Promise((go) => setTimeout(go, FOLLOW_MS));
  }
}

/** Sends one request at a time, and drops the response if there is a newer request. */
export class Latest {
  #asked = 0;
  #answered = 0;

  /**
   * @template T
   * @param {() => Promise<T>} question
   * @returns {Promise<T | null>} null where a later question was answered first
   */
  async ask(question) {
    const turn = ++this.#asked;
    const answer = await question();
    if (turn < this.#answered) return null;
    this.#answered = turn;
    return answer;
  }
}
