// Recipes: what most runs change, as one choice of several. One's own are saved by name.
// @ts-check
import { ask, inWords, post } from "./api.js";
import { button, fill, make, onEnter, replaceRows, setText, statusLine } from "./dom.js";
import { formNow } from "./form.js";
import { changesFor, followed, settingsNow, valueOf } from "./recipes_view.js";

/** @typedef {import("./recipes_view.js").Recipe} Recipe */
/** @typedef {{ default: string, recipes: Recipe[] }} Book */

class Recipes {
  /** @type {Book} */
  #book = { default: "", recipes: [] };

  /** @param {HTMLElement} root @param {Record<string, any>} texts @param {import("./start.js").Gradio} gradio */
  constructor(root, texts, gradio) {
    this.texts = texts;
    this.gradio = gradio;
    this.choices = make("div", { class: "fs-recipe-list", role: "radiogroup", "aria-label": texts.recipe });
    this.said = statusLine({ class: "fs-hint" });
    this.name = make("input", { type: "text", maxlength: 60, placeholder: texts.recipe_name, "aria-label": texts.recipe_name }); // prettier-ignore
    this.name.addEventListener(
      "keydown",
      onEnter(() => this.save()),
    );
    this.saving = make("p", { class: "fs-row", hidden: true }, this.name, button(texts.recipe_save, () => this.save(), "fs-small")); // prettier-ignore
    root.append(
      make("p", { class: "fs-legend-line", "aria-hidden": "true" }, texts.recipe),
      this.choices,
      this.saving,
      this.said,
    );
    addEventListener("finetune-config", () => this.show());
    ask("/api/recipes").then(
      (book) => this.draw(book),
      (error) => setText(this.said, inWords(error, texts)),
    );
  }

  /** @param {Recipe} recipe */
  title({ name, built_in }) {
    return built_in ? this.texts[`recipe_${name}`] : name;
  }

  /** @param {Book} book */
  draw(book) {
    this.#book = book;
    replaceRows(
      this.choices,
      book.recipes.map((recipe) => this.choice(recipe)),
    );
    this.show();
  }

  /** @param {Recipe} recipe */
  choice(recipe) {
    const { texts } = this;
    const radio = make("input", { type: "radio", name: "fs-recipe", value: recipe.name, "data-key": recipe.name });
    radio.addEventListener("change", () => this.apply(recipe));
    const sets = Object.entries(recipe.settings).map(([name, value]) => `${name} ${value}`);
    const title = make("strong", {}, this.title(recipe));
    const words = make("small", {}, sets.join(", ") || texts.recipe_preset);
    const label = make("label", {}, radio, make("span", {}, title, words));
    const isDefault = this.#book.default === recipe.name;
    const star = button(isDefault ? "★" : "☆", () => this.change("default", { name: recipe.name }), "fs-small", {
      "aria-label": `${texts.recipe_default}: ${this.title(recipe)}`,
      "aria-pressed": String(isDefault),
      "data-key": `${recipe.name}-default`,
      title: texts.recipe_default,
    });
    const remove = button("✕", () => this.remove(recipe), "fs-small fs-delete", {
      "aria-label": `${texts.delete}: ${recipe.name}`,
      title: texts.delete,
    });
    return make("div", { class: "fs-recipe" }, label, star, recipe.built_in ? null : remove);
  }

  /** Mark the recipe that the form follows; offer to save one where it follows none. */
  show() {
    const { config, changed = {} } = formNow();
    if (!config || !this.#book.recipes.length) return;
    const now = followed(this.#book.recipes, config, changed);
    for (const radio of /** @type {NodeListOf<HTMLInputElement>} */ (this.choices.querySelectorAll("input")))
      radio.checked = radio.value === now?.name;
    this.saving.hidden = Boolean(now);
  }

  /** @param {Recipe} recipe */
  apply(recipe) {
    const { config, changed = {} } = formNow();
    const changes = changesFor(recipe, changed);
    // Settings of one's own come back with Undo, also after the arrow keys have passed several recipes.
    if (!followed(this.#book.recipes, config, changed)) this.offerBack(config, Object.keys(changes));
    this.set(changes);
  }

  /** @param {Record<string, any>} config @param {string[]} names */
  offerBack(config, names) {
    const every = new Set([...names, ...this.#book.recipes.flatMap((one) => Object.keys(one.settings))]);
    const before = Object.fromEntries([...every].map((name) => [name, valueOf(config, name)]));
    const back = () => {
      this.said.replaceChildren();
      this.set(before);
    };
    this.said.replaceChildren(this.texts.recipe_replaced, " ", button(this.texts.undo, back, "fs-small"));
  }

  /** @param {Record<string, unknown>} changes */
  set(changes) {
    this.gradio.props.value = JSON.stringify({ ...changes, turn: Date.now() });
    this.gradio.trigger("change");
  }

  /** @param {string} what @param {unknown} body */
  async change(what, body) {
    try {
      this.draw(await post(`/api/recipes${what && `/${what}`}`, body));
      setText(this.said, "");
      return true;
    } catch (error) {
      setText(this.said, inWords(error, this.texts));
      return false;
    }
  }

  async save() {
    const { config, changed = {} } = formNow();
    const done = await this.change("", { name: this.name.value, settings: settingsNow(config, changed) });
    if (done) this.name.value = "";
  }

  /** @param {Recipe} recipe */
  async remove(recipe) {
    if (!(await this.change("delete", { name: recipe.name }))) return;
    const back = () => this.change("", { name: recipe.name, settings: recipe.settings });
    const undo = button(this.texts.undo, back, "fs-small");
    this.said.replaceChildren(fill(this.texts.deleted, { name: recipe.name }), " ", undo);
    undo.focus();
  }
}

/** @type {import("./start.js").Part} */
export function start(root, { texts }, gradio) {
  new Recipes(root, texts, gradio);
}
