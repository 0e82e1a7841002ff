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
  /** Each is sent alone: what is said of one while the other is on its way isn't lost. */
  const fields = {
    tags: {
      control: tags,
      shown: "",
      sent: () =>
        tags.value
          .split(/[,，#]/)
          .map((tag) => tag.trim())
          .filter(Boolean),
    },
    note: { control: note, shown: "", sent: () => note.value },
  };
  /** @param {"tags" | "note"} name */
  const keep = async (name) => {
    const typed = fields[name].control.value;
    if (typed === fields[name].shown) return;
    try {
      const now = { [name]: fields[name].sent() };
      put(name, typed, await post(`${path}/describe`, now, "POST", { keepalive: true })); // also when the page is left
      setText(said, texts.kept);
    } catch (error) {
      setText(said, inWords(error, texts));
    }
  };
  tags.addEventListener("change", () => keep("tags"));
  note.addEventListener("change", () => keep("note"));
  note.addEventListener("input", grow);
  /** The field is as high as its text. */
  function grow() {
    note.style.height = "auto";
    note.style.height = `${note.scrollHeight + 2}px`;
  }
  /** @param {"tags" | "note"} name @param {string} before what was typed on since then stays @param {Said} now */
  function put(name, before, now) {
    const { control } = fields[name];
    fields[name].shown = name === "tags" ? now.tags.join(", ") : now.note;
    if (control.value !== before || before === fields[name].shown) return;
    control.value = fields[name].shown;
    grow();
  }
  /** @param {Said} now */
  function show(now) {
    for (const name of /** @type {const} */ (["tags", "note"])) {
      if (document.activeElement !== fields[name].control) put(name, fields[name].shown, now);
    }
  }
  const field = (/** @type {HTMLElement} */ control, /** @type {string} */ name) =>
    make("div", { class: "fs-use" }, make("label", { for: control.id }, name), control);
  const element = make("div", { class: "fs-notes-of" }, field(tags, texts.tags), field(note, texts.note), said);
  return { element, show };
}
