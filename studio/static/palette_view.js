// What the palette finds: the places whose names have all words, those that start with the text first.
// @ts-check

/** @typedef {{ name: string, more: string, href: string, text?: string }} Place `text` is found too */

/** After "g": New fine-tune, Runs, Datasets, Models, Try it, Evaluate, Settings, Help. */
export const LETTERS = ["n", "r", "d", "m", "t", "e", "s", "h"];

/** @param {Place[]} places @param {string} text */
export function found(places, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = places.filter((place) =>
    words.every((word) => `${place.name} ${place.text ?? ""}`.toLowerCase().includes(word)),
  );
  const first = (/** @type {Place} */ place) => Number(!place.name.toLowerCase().startsWith(text.trim().toLowerCase()));
  return matching.sort((a, b) => first(a) - first(b));
}
