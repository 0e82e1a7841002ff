// The Settings page: appearance, training, the Hub, notifications, the disk, and what this studio is.
// @ts-check
import { ask, inWords, post } from "./api.js";
import {
  button,
  chooseLanguage,
  fill,
  heads,
  make,
  pageLanguage,
  poll,
  scrolling,
  setText,
  statusLine,
} from "./dom.js";
import { size } from "./format.js";
import { HubAccess } from "./hub_access.js";
import { notificationSettings } from "./notification_settings.js";
import { Storage } from "./storage.js";
import { chooseTheme, chosenTheme } from "./theme.js";
import { startTour } from "./tour.js";

const [POLL_MS, TICK_MS] = [5000, 1000];

/** A setting: its name and what it does at the left, its control at the right. @param {string} name @param {string} help @param {...HTMLElement} controls */
function settingRow(name, help, ...controls) {
  const id = `fs-set-${name.replace(/\W+/g, "-")}`;
  const [control] = controls;
  if (!control.id) control.id = id;
  const label =
    control instanceof HTMLButtonElement ? make("span", {}, name) : make("label", { for: control.id }, name);
  return make("div", { class: "fs-setting" }, make("div", {}, label, make("small", {}, help)), make("div", { class: "fs-row" }, ...controls)); // prettier-ignore
}

/** @param {string} title @param {string} id @param {...(HTMLElement | null)} parts */
const section = (title, id, ...parts) =>
  make("section", { class: "fs-section", id, "aria-label": title }, make("h2", {}, title), ...parts);

/** @param {[string, string][]} options value and name @param {string} chosen */
const select = (options, chosen) =>
  make("select", {}, ...options.map(([value, name]) => make("option", { value, selected: value === chosen }, name)));

/** @param {Record<string, any>} texts */
function appearance(texts) {
  const theme = select([["", texts.theme_system], ["light", texts.theme_light], ["dark", texts.theme_dark]], chosenTheme()); // prettier-ignore
  theme.addEventListener("change", () => chooseTheme(theme.value));
  const language = select([["en", "English"], ["zh", "中文"]], pageLanguage()); // prettier-ignore
  language.addEventListener("change", () => {
    chooseLanguage(language.value);
    location.href = `/${language.value}/settings`;
  });
  const tour = button(texts.tour_again, () => startTour(texts));
  return section(
    texts.appearance,
    "appearance",
    settingRow(texts.theme, texts.theme_help, theme),
    settingRow(texts.language, texts.language_help, language),
    settingRow(texts.tour, texts.tour_help, tour),
  );
}

/** @param {Record<string, any>} texts @param {HTMLElement} warm */
function training(texts, warm) {
  const said = statusLine({ class: "fs-hint" });
  const recipe = make("select", {});
  const name = (/** @type {{ name: string, built_in: boolean }} */ one) =>
    one.built_in ? texts[`recipe_${one.name}`] : one.name;
  ask("/api/recipes").then(
    (book) =>
      recipe.append(
        ...book.recipes.map((/** @type {any} */ one) =>
          make("option", { value: one.name, selected: one.name === book.default }, name(one)),
        ),
      ),
    (error) => setText(said, inWords(error, texts)),
  );
  recipe.addEventListener("change", async () => {
    try {
      await post("/api/recipes/default", { name: recipe.value });
      setText(said, texts.saved);
    } catch (error) {
      setText(said, inWords(error, texts));
    }
  });
  return section(
    texts.training_section,
    "training",
    settingRow(texts.default_recipe, texts.default_recipe_help, recipe),
    warm,
    said,
  );
}

/** @param {Record<string, any>} texts */
function warmTrainer(texts) {
  const tick = make("input", { type: "checkbox" });
  const state = make("span", { class: "fs-hint", role: "status" });
  const free = button(texts.warm_trainer_free, async () => show(await ask("/api/warm-trainer", { method: "DELETE" })), "fs-small"); // prettier-ignore
  const show = (/** @type {{ state: string, memory_bytes: number, wanted: boolean, fixed: boolean }} */ now) => {
    tick.checked = now.wanted;
    tick.disabled = now.fixed;
    free.hidden = now.state !== "waiting";
    const holds = fill(texts.warm_trainer, { memory: size(now.memory_bytes) });
    setText(state, now.fixed ? texts.warm_trainer_fixed : now.state === "waiting" ? holds : "");
  };
  tick.addEventListener("change", async () => show(await post("/api/warm-trainer/wanted", { wanted: tick.checked })));
  free.hidden = true;
  const row = settingRow(texts.warm_trainer_setting, texts.warm_trainer_help, tick, state, free);
  return { row, refresh: async () => show(await ask("/api/warm-trainer")) };
}

/** @param {Record<string, any>} texts */
function about(texts) {
  const facts = make("dl", { class: "fs-about" });
  const libraries = make("details", {}, make("summary", {}, texts.about_libraries));
  ask("/api/about").then(
    (found) => {
      const lines = [
        [texts.about_version, found.version],
        [texts.license_column, found.license || "–"],
        [texts.home_folder, found.home],
        [texts.free_space, size(found.free_bytes)],
      ];
      facts.append(...lines.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
      const cells = (/** @type {{ name: string, version: string, license: string }} */ one) =>
        [one.name, one.version, one.license || "–"].map((text) => make("td", {}, text));
      const rows = found.libraries.map((/** @type {any} */ one) => make("tr", {}, ...cells(one)));
      const head = make("thead", {}, heads(texts.library, texts.about_version, texts.license_column));
      libraries.append(scrolling(texts.about_libraries, make("table", {}, head, make("tbody", {}, ...rows))));
    },
    () => {},
  );
  return section(texts.about, "about", facts, libraries);
}

/** @type {import("./start.js").Part} */
export function start(root, { texts }) {
  const access = new HubAccess(texts, () => {});
  access.element.open = true;
  const storage = new Storage(texts);
  const warm = warmTrainer(texts);
  root.append(
    make("h1", {}, texts.studio_settings),
    appearance(texts),
    training(texts, warm.row),
    section("Hugging Face Hub", "hub", access.element),
    section(texts.notifications, "notifications", notificationSettings(texts)),
    section(texts.storage, "storage", storage.element),
    about(texts),
  );
  storage.refresh();
  poll(root, async () => storage.drawPending(), TICK_MS);
  poll(root, () => warm.refresh().catch(() => {}), POLL_MS); // the next look tells more than an error would
}
