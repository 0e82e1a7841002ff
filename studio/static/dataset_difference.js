// What a changed dataset has from the one before it: how many rows, each before and after, and the way back.
// @ts-check
import { ask, inWords } from "./api.js";
import { conversation } from "./dataset_report.js";
import { button, fill, make, number, setText, statusLine } from "./dom.js";

/** @typedef {import("./dataset_report.js").Example} Example */
/** @typedef {{ dataset: string, changed: number, removed: number, added: number, left_out: number }} Origin */
/** @typedef {{ position: number | null, before: Example | null, after: Example | null }} RowChange */

const PAGE = 10;

/** @param {string} id @param {Origin} origin @param {Record<string, any>} texts @param {(id: string) => void} open */
export function difference(id, origin, texts, open) {
  const { changed, removed, added } = origin;
  if (!changed && !removed && !added) return make("div");
  const said = statusLine({ class: "fs-hint" });
  const undo = button(
    texts.undo,
    async () => {
      undo.disabled = true;
      try {
        await ask(`/api/datasets/${id}?although_used=true`, { method: "DELETE" });
        dispatchEvent(new CustomEvent("finetune-dataset", { detail: origin.dataset }));
        open(origin.dataset);
      } catch (error) {
        undo.disabled = false;
        setText(said, inWords(error, texts));
      }
    },
    "fs-small",
  );
  const counts = { changed: number(changed), removed: number(removed), added: number(added) };
  const left = origin.left_out ? fill(texts.version_left_out, { count: origin.left_out }) : "";
  const words = [fill(texts.version_changed, counts), left].filter(Boolean).join(". ");
  const line = make("p", { class: "fs-row" }, make("span", {}, words), undo);
  const list = make("div", { class: "fs-difference" });
  const more = button(texts.difference_more, () => load(), "fs-small", { hidden: true });
  const box = make("details", {}, make("summary", {}, texts.version_difference), list, more);
  const load = async () => {
    const shown = list.childElementCount;
    try {
      /** @type {RowChange[]} */
      const changes = await ask(`/api/datasets/${id}/difference?start=${shown}&count=${PAGE}`);
      list.append(...changes.map((one) => changeBox(one, texts)));
      more.hidden = changes.length < PAGE;
    } catch (error) {
      setText(said, inWords(error, texts));
    }
  };
  box.addEventListener("toggle", () => box.open && !list.childElementCount && load());
  return make("div", { class: "fs-origin" }, line, said, box);
}

/** @param {RowChange} change @param {Record<string, any>} texts */
function changeBox({ before, after }, texts) {
  const side = (/** @type {string} */ title, /** @type {Example | null} */ example, /** @type {string} */ kind) =>
    make("div", { class: `fs-side ${kind}` }, make("small", {}, title), example ? conversation(example, texts) : make("p", {}, "–")); // prettier-ignore
  return make("div", { class: "fs-change" }, side(texts.difference_before, before, "fs-before"), side(texts.difference_after, after, "fs-after")); // prettier-ignore
}
