// Which recipe the form follows, and what a recipe sets. No access to the page.
// @ts-check

/**
 * @typedef {Record<string, unknown>} Values settings by their dotted names
 * @typedef {{ name: string, settings: Values, built_in: boolean }} Recipe
 */

/** What says where and with which data a run is, not how it learns: no recipe changes it. */
const OUTSIDE = ["device", "cpu_threads", "model_revision", "bad_rows", "long_rows", "validation_split", "seed"];

/** The settings that a recipe is about. @param {Values} values */
const own = (values) => Object.fromEntries(Object.entries(values).filter(([name]) => !OUTSIDE.includes(name)));

/** A setting of the form. @param {Record<string, any>} config @param {string} name */
export const valueOf = (config, name) => name.split(".").reduce((inner, key) => inner?.[key], config);

/**
 * The recipe that the form follows: all settings it sets are as it says, and all others are the preset's.
 * @param {Recipe[]} recipes
 * @param {Record<string, any>} config the form
 * @param {Values} changed the preset's values where the form differs
 */
export const followed = (recipes, config, changed) =>
  recipes.find(
    ({ settings }) =>
      Object.keys(own(changed)).every((name) => name in settings) &&
      Object.entries(settings).every(([name, value]) => valueOf(config, name) === value),
  );

/** What the form has to change to follow a recipe: back to the preset, then what the recipe sets. @param {Recipe} recipe @param {Values} changed */
export const changesFor = ({ settings }, changed) => ({ ...own(changed), ...settings });

/** A recipe of the form as it is. @param {Record<string, any>} config @param {Values} changed */
export const settingsNow = (config, changed) =>
  Object.fromEntries(Object.keys(own(changed)).map((name) => [name, valueOf(config, name)]));
