// A trainer that waits: said under the Start button, with the memory that it holds.
"use strict";
(() => {
  const { make, button, ask, post, poll, size, setText, fill } = FinetuneStudio.parts;
  const POLL_MS = 5000;

  function warmTrainer(root, settings) {
    const { texts } = settings;
    const said = make("span", { class: "fs-hint", role: "status" });
    const free = button(texts.warm_trainer_free, async () => { free.hidden = true; show(await ask("/api/warm-trainer", { method: "DELETE" })); }, "fs-small");
    const line = make("p", { class: "fs-row" }, said, free);
    root.replaceChildren(line);
    const show = (told) => {
      line.hidden = free.hidden = told.state !== "waiting";
      if (told.state === "waiting") setText(said, fill(texts.warm_trainer, { memory: size(told.memory_bytes) }));
    };
    line.hidden = true;
    // Asked for once a visit: whoever frees the memory has it free.
    let wanted = true;
    poll(root, async () => {
      try { show(wanted ? await post("/api/warm-trainer") : await ask("/api/warm-trainer")); wanted = false; } catch { line.hidden = true; }
    }, POLL_MS);
  }

  FinetuneStudio.warm_trainer = warmTrainer;
})();
