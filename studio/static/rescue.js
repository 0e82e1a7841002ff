// Runs that a power cut or a kill has interrupted: offered on top of the pages, to go on with one click.
"use strict";
(() => {
  const { make, button, ask, post, poll, setText, fill } = FinetuneStudio.parts;
  const POLL_MS = 5000;

  function rescue(root, settings) {
    const { texts } = settings;
    const said = make("span", { role: "status" });
    const all = button(texts.resume_all, async () => {
      all.disabled = true;
      try { await post("/api/runs/resume-interrupted"); await show(); }
      catch (error) { setText(said, error.message); }
      all.disabled = false;
    });
    const box = make("div", { class: "fs-row fs-offer" }, said, make("span", { class: "fs-spring" }), all);
    box.hidden = true;
    root.replaceChildren(box);
    async function show() {
      let list;
      try { list = await ask("/api/runs"); } catch { return; } // the list below says that nobody answers
      const cut = list.filter((run) => run.state === "interrupted"); // those that wait for their turn are told of in the queue
      box.hidden = !cut.length;
      setText(all, cut.length === 1 ? texts.resume : texts.resume_all);
      setText(said, fill(texts.interrupted_told, { names: cut.map((run) => run.name || run.id).join(", ") }));
    }
    poll(root, show, POLL_MS);
  }

  FinetuneStudio.rescue = rescue;
})();
