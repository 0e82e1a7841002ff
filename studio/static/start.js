// Starts every live part of a page: fetches its texts, loads its module, and fills its element.
// @ts-check
import { ask } from "./api.js";

/**
 * @typedef {Record<string, any>} Texts every text of the page by its key; one with plural forms is a list
 * @typedef {{ language: "en" | "zh", texts: Texts } & Record<string, any>} Settings
 * @typedef {{ props: { value: any }, trigger: (event: string) => void, watch: (name: string, work: () => void) => void }} Gradio
 * @typedef {(root: HTMLElement, settings: Settings, gradio: Gradio) => void} Part
 */

const AGAIN_MS = 1000;

/** @type {Record<string, () => Promise<{ start: Part }>>} */
const PARTS = {
  run: () => import("./run.js"),
  compare: () => import("./compare.js"),
  runs: () => import("./runs.js"),
  sweep: () => import("./sweep.js"),
  sweep_form: () => import("./sweep_form.js"),
  queue: () => import("./queue.js"),
  rescue: () => import("./rescue.js"),
  dataset: () => import("./dataset.js"),
  library: () => import("./library.js"),
  config: () => import("./form.js"),
  yaml: () => import("./yaml.js"),
  settings: () => import("./settings.js"),
  recipes: () => import("./recipes.js"),
  rate: () => import("./rate.js"),
  fit: () => import("./fit.js"),
  model: () => import("./model.js"),
  try: () => import("./try.js"),
  evaluate: () => import("./evaluate.js"),
  export: () => import("./export.js"),
  models: () => import("./models.js"),
  studio_settings: () => import("./studio_settings.js"),
  help: () => import("./help.js"),
  warm_trainer: () => import("./warm_trainer.js"),
};

/** @type {Promise<Texts> | null} All parts of a page share one response; a failed request is repeated. */
let texts = null;
/** @param {string} language */
export const textsOf = (language) =>
  (texts ??= ask(`/api/texts/${language}`).catch((error) => {
    texts = null;
    throw error;
  }));

/** Show and report the key of a missing text, because "undefined" would explain nothing. @param {Texts} all */
const checked = (all) =>
  new Proxy(all, {
    get(target, key) {
      if (!(key in target)) console.error(`There is no text '${String(key)}'.`);
      return target[String(key)] ?? String(key);
    },
  });

/** @param {string} kind @param {HTMLElement} root @param {Settings} settings @param {Gradio} gradio */
export async function start(kind, root, settings, gradio) {
  const loading = PARTS[kind]();
  for (;;) {
    try {
      const [module, found] = await Promise.all([loading, textsOf(settings.language)]);
      return module.start(root, { ...settings, texts: checked(found) }, gradio);
    } catch (error) {
      if (texts) throw error;
      await new Promise((go) => setTimeout(go, AGAIN_MS));
    }
  }
}
