// What a person says of a run: tags and a note, kept as soon as the field is left.
// @ts-check
import { inWords, post } from "./api.js";
import { make, setText, statusLine } from "./dom.js";

/** @typedef {{ tags: string[], note: string }} Said */

/** @param {Record<string, any>} texts @param {string} path of the run in the API */
export function notesOf(texts, path) {
  const tags = make("input", { type: "text", id: "fs-tags", placeholder: texts.tags_help });
  const note = make("textarea", { id: "fs-note", rows: 1, maxlength: 4000, placeholder: texts.note_help });
  const said = statusLine({ class: "fs-hint" });
  const shown = { tags: "", note: "" };
  const keep = async () => {
    if (tags.value === shown.tags && note.value === shown.note) return;
    const list = tags.value.split(/[,，#]/).map((tag) => tag.trim());
    try {
      const now = { tags: list.filter(Boolean), note: note.value };
      show(await post(`${path}/describe`, now, "POST", { keepalive: true }), true); // also when the page is left
      setText(said, texts.kept);
    } catch (error) {
      setText(said, inWords(error, texts));
    }
  };
  for (const field of [tags, note]) field.addEventListener("change", keep);
  note.addEventListener("input", grow);
  /** The field is as high as its text. */
  function grow() {
    note.style.height = "auto";
    note.style.height = `${note.scrollHeight + 2}px`;
  }
  /** @param {Said} now @param {boolean} [mine] also where the field has the focus */
  function show(now, mine = false) {
    const text = now.tags.join(", ");
    if (shown.tags !== text && (mine || document.activeElement !== tags)) tags.value = shown.tags = text;
    if (shown.note === now.note || (!mine && document.activeElement === note)) return;
    note.value = shown.note = now.note;
    grow();
  }
  const field = (/** @type {HTMLElement} */ control, /** @type {string} */ name) =>
    make("div", { class: "fs-use" }, make("label", { for: control.id }, name), control);
  const element = make("div", { class: "fs-notes-of" }, field(tags, texts.tags), field(note, texts.note), said);
  return { element, show };
}
