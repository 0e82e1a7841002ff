// Shows the warm trainer and its memory under the Start button.
// @ts-check
import { ask, post } from "./api.js";
import { button, fill, make, poll, setText } from "./dom.js";
import { size } from "./format.js";

const POLL_MS = 5000;

/** @type {import("./start.js").Part} */
export function start(root, { texts }) {
  const said = make("span", { class: "fs-hint", role: "status" });
  const free = button(
    texts.warm_trainer_free,
    async () => {
      free.hidden = true;
      show(await ask("/api/warm-trainer", { method: "DELETE" }));
    },
    "fs-small",
  );
  const line = make("p", { class: "fs-row", hidden: true }, said, free);
  root.replaceChildren(line);

  /** @param {{ state: string, memory_bytes: number }} reported */
  function show(reported) {
    line.hidden = free.hidden = reported.state !== "waiting";
    if (reported.state === "waiting") setText(said, fill(texts.warm_trainer, { memory: size(reported.memory_bytes) }));
  }
  let wanted = true; // start it only once per visit, so that it stays off after the user frees its memory
  const look = async () => {
    try {
      show(wanted ? await post("/api/warm-trainer") : await ask("/api/warm-trainer"));
      wanted = false;
    } catch {
      line.hidden = true;
    }
  };
  poll(root, look, POLL_MS);
}
