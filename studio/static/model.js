// The model part of the form: the chosen model as one line, and a sheet to choose another.
// @ts-check
import { ask } from "./api.js";
import { ChosenModel } from "./chosen_model.js";
import { button, make, setText } from "./dom.js";
import { HubAccess } from "./hub_access.js";
import { ModelSheet } from "./model_sheet.js";

/** @type {import("./start.js").Part} */
export function start(root, { texts, language }, gradio) {
  const name = make("strong", {});
  const advice = make("span", { class: "fs-hint" });
  /** @type {import("./model_sheet.js").Offer[]} */
  let offers = [];
  const show = () => {
    const id = gradio.props.value;
    const offer = offers.find((one) => one.id === id);
    setText(name, offer?.name ?? id);
    setText(advice, offer ? `${texts[`tier_${offer.tier}`]} · ${offer.advice}` : "");
    chosen.choose(id);
  };
  const known = () => {
    gradio.trigger("change"); // the review looks again
    dispatchEvent(new Event("finetune-lengths"));
  };
  const choose = (/** @type {string} */ id) => {
    if (id === gradio.props.value) return;
    gradio.props.value = id;
    gradio.trigger("change");
    show();
  };
  const access = new HubAccess(texts, () => chosen.refresh());
  const sheet = new ModelSheet(texts, access, choose);
  const chosen = new ChosenModel(texts, access, known);
  const open = button(texts.model_change, () => sheet.open(gradio.props.value), "fs-small", {
    id: "fs-change-model",
    "aria-haspopup": "dialog",
  });
  const line = make("div", { class: "fs-chosen" }, make("div", {}, name, advice), open);
  const offered = make("div");
  access.onOffer = () => sheet.element.open || offered.append(access.element);
  root.append(line, chosen.element, offered, sheet.element);
  sheet.hub?.append(access.element);
  gradio.watch("value", show);
  show();
  ask(`/api/models/recommended?language=${language}`).then(
    (found) => {
      offers = found;
      sheet.show(found);
      show();
    },
    () => {}, // the chosen model keeps its id as its name
  );
}
