// Interrupted runs (by a power loss or a kill), shown on top of the pages, to resume with one click.
// @ts-check
import { ask, inWords, post } from "./api.js";
import { button, fill, make, poll, setText } from "./dom.js";
import { updated } from "./runs_view.js";

const POLL_MS = 5000;

/** @type {import("./start.js").Part} */
export function start(root, { texts }) {
  const said = make("span", { role: "status" });
  const all = button(texts.resume_all, async () => {
    all.disabled = true;
    try {
      await post("/api/runs/resume-interrupted");
      await show();
    } catch (error) {
      setText(said, inWords(error, texts));
    }
    all.disabled = false;
  });
  const box = make("div", { class: "fs-row fs-offer", hidden: true }, said, make("span", { class: "fs-spring" }), all);
  root.replaceChildren(box);

  let cursor = "";
  /** @type {import("./runs_view.js").Run[]} */
  let runs = [];

  async function show() {
    try {
      const answer = await ask(`/api/runs/changes?cursor=${cursor}`);
      cursor = answer.cursor;
      runs = updated(runs, answer);
    } catch {
      return; // the list below reports that the studio doesn't respond
    }
    dispatchEvent(new CustomEvent("finetune-runs", { detail: runs.length }));
    const cut = runs.filter((run) => run.state === "interrupted"); // the queue shows the others
    box.hidden = !cut.length;
    setText(all, cut.length === 1 ? texts.resume : texts.resume_all);
    setText(said, fill(texts.interrupted_list, { names: cut.map((run) => run.name || run.id).join(", ") }));
  }
  poll(root, show, POLL_MS);
}
