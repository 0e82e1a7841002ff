// Under the learning rate: a logarithmic scale with the range that is usual for the method shaded.
// @ts-check
import { fill, make, setText } from "./dom.js";
import { fieldOf, formNow, setField } from "./form.js";
import { LEAST, MOST, percentOf, placeOf, rateAt, written } from "./rate_view.js";

const STEP = 0.05;

/** @type {import("./start.js").Part} */
export function start(root, { texts }) {
  const attributes = { type: "range", min: LEAST, max: MOST, step: STEP, "aria-label": texts.rate_scale };
  const scale = make("input", { ...attributes, class: "fs-rate", tabindex: -1 }); // the number above takes the keys
  const words = make("small", { class: "fs-hint" });
  const named = (/** @type {number} */ rate) => `${texts.curve_learning_rate} ${written(rate)}`;
  const now = make("small", { class: "fs-hint" });
  const move = () => setField("learning_rate", rateAt(Number(scale.value)));
  scale.addEventListener("change", move);
  scale.addEventListener("input", () => setText(now, named(rateAt(Number(scale.value)))));
  root.append(scale, make("div", { class: "fs-ends" }, now, words));
  const show = () => {
    const { config, usual = [] } = formNow();
    const [least, most] = usual;
    if (least) {
      scale.style.setProperty("--fs-from", `${percentOf(least)}%`);
      scale.style.setProperty("--fs-to", `${percentOf(most)}%`);
      setText(
        words,
        fill(texts.rate_usual, {
          method: config.method,
          tuning: texts[`tuning_${config.tuning}`],
          least: written(least),
          most: written(most),
        }),
      );
    }
    const rate = Number(config?.learning_rate);
    root.hidden = !fieldOf("learning_rate");
    if (!(rate > 0)) return;
    scale.value = String(placeOf(rate));
    setText(now, named(rate));
  };
  addEventListener("finetune-config", show);
  show();
}
