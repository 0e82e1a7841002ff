// The model part of the form: the chosen model as one line, and a sheet to choose another.
// @ts-check
import { ask } from "./api.js";
import { ChosenModel } from "./chosen_model.js";
import { button, make, setText } from "./dom.js";
import { HubAccess } from "./hub_access.js";
import { ModelTables } from "./model_tables.js";

/** A model that the address names is chosen once: a later choice survives a reload. @param {string} id */
function forgetAddress(id) {
  const address = new URL(location.href);
  if (address.searchParams.get("model") !== id) return;
  address.searchParams.delete("model");
  history.replaceState(history.state, "", address);
}

/** A sheet over the page, closed by its button, Escape, or a press beside it. @param {Record<string, any>} texts @param {HTMLElement} content */
function sheetOf(texts, content) {
  const close = button(texts.close, () => sheet.close(), "fs-small");
  const head = make("div", { class: "fs-row" }, make("h2", {}, texts.model_choose), make("span", { class: "fs-spring" }), close); // prettier-ignore
  const sheet = make("dialog", { class: "fs-sheet", "aria-label": texts.model_choose }, head, content);
  sheet.addEventListener("pointerdown", (event) => {
    const { left, right, top, bottom } = sheet.getBoundingClientRect();
    const inside = event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
    if (event.target === sheet && !inside) sheet.close();
  });
  return sheet;
}

/** @type {import("./start.js").Part} */
export function start(root, { texts, language }, gradio) {
  const name = make("strong", {});
  const advice = make("span", { class: "fs-hint" });
  /** @type {import("./model_tables.js").Offer[]} */
  let offers = [];
  const show = () => {
    const id = gradio.props.value;
    forgetAddress(id);
    const offer = offers.find((one) => one.id === id);
    setText(name, offer?.name ?? id);
    setText(advice, offer ? `${texts[`tier_${offer.tier}`]} · ${offer.advice}` : "");
    chosen.choose(id);
  };
  const known = () => {
    gradio.trigger("change"); // the review looks again
    dispatchEvent(new Event("finetune-lengths"));
  };
  let early = ""; // chosen before the form was filled in, which would undo it
  addEventListener("finetune-form", () => early && choose(early), { once: true });
  const choose = (/** @type {string} */ id) => {
    early = id;
    if (id === gradio.props.value) return;
    gradio.props.value = id;
    gradio.trigger("change");
    show();
  };
  const access = new HubAccess(texts, () => chosen.refresh());
  const tables = new ModelTables(
    texts,
    access,
    (id) => {
      sheet.close();
      choose(id);
    },
    true,
  );
  const sheet = sheetOf(texts, tables.element);
  const chosen = new ChosenModel(texts, access, known, "fs-chosen-model");
  const open = button(texts.model_change, () => openSheet(), "fs-small", {
    id: "fs-change-model",
    "aria-haspopup": "dialog",
  });
  const openSheet = () => {
    sheet.showModal();
    tables.open(gradio.props.value);
  };
  const line = make("div", { class: "fs-chosen" }, make("div", {}, name, advice), open);
  const offered = make("div");
  access.onOffer = () => sheet.open || offered.append(access.element);
  root.append(line, chosen.element, offered, sheet);
  gradio.watch("value", show);
  show();
  ask(`/api/models/recommended?language=${language}`).then(
    (found) => {
      offers = found;
      tables.show(found);
      show();
    },
    () => {}, // the chosen model keeps its id as its name
  );
}
