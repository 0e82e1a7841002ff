// A dialog that takes an adapter from elsewhere as a run.
// @ts-check
import { runPage } from "./api.js";
import { button, fill, labelled, make, pageLanguage, setText, statusLine } from "./dom.js";
import { upload } from "./upload.js";

export class ImportAdapter {
  /** @param {Record<string, any>} texts @param {() => void} changed there is a new run */
  constructor(texts, changed) {
    this.texts = texts;
    this.changed = changed;
    this.open = button(texts.import_adapter, () => this.show(), "fs-small", { "aria-haspopup": "dialog" });
    this.file = make("input", { type: "file", accept: ".zip", id: "fs-import-file" });
    this.model = make("input", { type: "text", id: "fs-import-model", autocomplete: "off", spellcheck: false });
    this.said = statusLine({ class: "fs-hint" });
    this.start = button(texts.import_start, () => this.send(), "fs-primary");
    const close = button(texts.close, () => this.element.close(), "fs-small");
    this.element = make(
      "dialog",
      { class: "fs-sheet fs-narrow", "aria-label": texts.import_adapter },
      make(
        "div",
        { class: "fs-row" },
        make("h2", {}, texts.import_adapter),
        make("span", { class: "fs-spring" }),
        close,
      ),
      make("p", { class: "fs-hint" }, texts.import_help),
      labelled(texts.import_file, this.file),
      labelled(texts.import_model, this.model),
      make("div", { class: "fs-row" }, this.start),
      this.said,
    );
  }

  show() {
    this.said.replaceChildren();
    this.element.showModal();
  }

  async send() {
    const { texts } = this;
    const file = this.file.files?.[0];
    if (!file) return setText(this.said, texts.import_no_file);
    this.start.disabled = true;
    const asked = new URLSearchParams({ name: file.name, model: this.model.value, language: pageLanguage() });
    try {
      const { run, warnings } = await upload(`/api/runs/import?${asked}`, file, texts, (percent) =>
        setText(this.said, percent < 100 ? fill(texts.uploading, { percent }) : texts.checking),
      );
      this.said.replaceChildren(texts.imported, " ", make("a", { href: runPage(run) }, file.name), " ", warnings.join(" ")); // prettier-ignore
      this.file.value = "";
      this.changed();
    } catch (error) {
      setText(this.said, /** @type {Error} */ (error).message);
    } finally {
      this.start.disabled = false;
    }
  }
}
