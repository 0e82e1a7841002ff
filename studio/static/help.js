// The Help page: what to do when, every setting, the glossary, and the shortcuts; one search over all of them.
// @ts-check
import { ask, inWords } from "./api.js";
import { make, pageLanguage, setText, statusLine } from "./dom.js";
import { found } from "./palette_view.js";
import { shortcutLines } from "./palette.js";

/** @typedef {{ id: string, title: string, text: string, group?: string }} Entry */
/** @typedef {{ advice: Entry[], settings: Entry[], glossary: Entry[] }} Help */

/** Open and show the entry that the address names. @param {HTMLElement} root */
function showNamed(root) {
  const named = root.querySelector(`#${CSS.escape(decodeURIComponent(location.hash.slice(1)) || "fs-none")}`);
  if (!(named instanceof HTMLElement)) return;
  if (named instanceof HTMLDetailsElement) named.open = true;
  named.scrollIntoView({ block: "start" });
  named.setAttribute("tabindex", "-1");
  (named.querySelector("summary") ?? named).focus();
}

/** @param {Entry} one */
const advice = ({ id, title, text }) =>
  make("details", { class: "fs-advice", id, "data-entry": "" }, make("summary", {}, title), make("p", {}, text));

/** @param {Entry} one */
const term = ({ id, title, text }) =>
  make("div", { id, "data-entry": "" }, make("dt", {}, title), make("dd", {}, text));

/** The settings below the headings of their groups. @param {Entry[]} settings */
function grouped(settings) {
  const groups = [...new Set(settings.map(({ group }) => group ?? ""))];
  return groups.map((group) => {
    const terms = settings.filter((one) => one.group === group).map(term);
    return make("div", { class: "fs-help-group" }, make("h3", {}, group), make("dl", { class: "fs-terms" }, ...terms));
  });
}

/** @type {import("./start.js").Part} */
export async function start(root, { texts }) {
  const search = make("input", { type: "search", placeholder: texts.help_search, "aria-label": texts.help_search });
  const said = statusLine({ class: "fs-hint" });
  const body = make("div");
  root.append(make("div", { class: "fs-row" }, search), said, body);
  /** @type {Help} */
  let help;
  try {
    help = await ask(`/api/help?language=${pageLanguage()}`);
  } catch (error) {
    return setText(said, inWords(error, texts));
  }
  const section = (/** @type {string} */ title, /** @type {Node[]} */ ...parts) =>
    make("section", { class: "fs-section" }, make("h2", {}, title), ...parts);
  body.append(
    section(texts.help_advice, ...help.advice.map(advice)),
    section(texts.help_settings, ...grouped(help.settings)),
    section(texts.help_glossary, make("dl", { class: "fs-terms" }, ...help.glossary.map(term))),
    section(texts.shortcuts, make("dl", { class: "fs-keys" }, ...shortcutLines(texts))),
  );
  const all = [...help.advice, ...help.settings, ...help.glossary];
  const look = () => {
    const wanted = search.value.trim();
    const places = all.map(({ id, title, text }) => ({ name: `${title} ${text}`, more: "", href: id }));
    const shown = new Set(found(places, wanted).map(({ href }) => href));
    for (const entry of body.querySelectorAll("[data-entry]"))
      /** @type {HTMLElement} */ (entry).hidden = !shown.has(entry.id);
    for (const group of body.querySelectorAll(".fs-help-group, .fs-section"))
      /** @type {HTMLElement} */ (group).hidden = !!wanted && !group.querySelector("[data-entry]:not([hidden])");
    setText(said, wanted && !shown.size ? texts.none_found_here : "");
  };
  search.addEventListener("input", look);
  addEventListener("hashchange", () => showNamed(body));
  showNamed(body);
}
