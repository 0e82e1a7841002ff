// Formats numbers and texts for display. Nothing here accesses the page.
// @ts-check

/** Bytes with a unit, powers of ten. @param {number} bytes */
export function size(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= 1e5) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes >= 100 ? `${(bytes / 1e3).toFixed(1)} kB` : `${bytes} B`;
}

/** A loss; a dash where there is none. @param {number | string | null | undefined} value */
export const figure = (value) =>
  value === null || value === undefined || value === "NaN" ? "–" : Number(value).toFixed(4);

/** Seconds as 0:42, 12:05 or 3:10:00. @param {number | null | undefined} seconds */
export function clock(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.max(0, Math.round(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]; // prettier-ignore

/** A moment in the past as the language says it: 5 minutes ago. @param {string} language @param {number} then @param {number} now both in seconds */
export function ago(language, then, now) {
  const passed = Math.max(0, now - then);
  const [unit, length] = UNITS.find(([, seconds]) => passed >= seconds) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-Math.floor(passed / length), unit);
}

/** A count of parameters: 494M, 1.5B. @param {number | null | undefined} count */
export function parameters(count) {
  if (!count) return "–";
  return count >= 999.5e6 ? `${(count / 1e9).toFixed(1)}B` : `${Math.round(count / 1e6)}M`;
}

/** A setting's value as people write it. @param {unknown} value */
export const written = (value) => (Array.isArray(value) ? value.join(", ") : String(value));

/** Changes of settings as a list; switched on is ✓, off is –. @param {Record<string, unknown>} changes */
export const changesInWords = (changes) =>
  Object.entries(changes)
    .map(([name, value]) => `${name} ${value === true ? "✓" : value === false ? "–" : value}`)
    .join(", ");

const CODES =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Escape invisible characters and those that change the text direction. @param {string} text */
export const seen = (text) =>
  text.replace(CODES, (one) => `⟨U+${(one.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

/**
 * Fill in a text's values. A text with plural forms is a list; `count` selects one by the language's rules.
 * @param {string} language
 * @param {string | string[]} text
 * @param {Record<string, unknown>} values
 */
export function fillIn(language, text, values) {
  const forms = Array.isArray(text) ? text : [text];
  const one = new Intl.PluralRules(language).select(Number(values.count)) === "one";
  const form = forms[one ? 0 : forms.length - 1];
  return form.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}
