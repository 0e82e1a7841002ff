// The runs that wait for their device: their order, a pause. Nothing is shown while nothing waits.
"use strict";
(() => {
  const { make, button, ask, post, poll, setText, fill } = FinetuneStudio.parts;
  const POLL_MS = 2000;

  function queue(root, settings) {
    const { texts } = settings;
    const said = make("p", { class: "fs-hint", role: "status", "aria-live": "polite" });
    const told = make("p", { class: "fs-said", role: "status", "aria-live": "polite" });
    const rows = make("tbody", {});
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...["queue_number", "name"].map((name) => make("th", { scope: "col" }, texts[name])), make("th", {}, ""), make("th", { scope: "col" }, texts.device_column))), rows);
    const scroll = make("div", { class: "fs-scroll", tabindex: 0, role: "region", "aria-label": texts.queue }, table);
    let now = { paused: false, waiting: [], running: {} }, shown = "", asked = 0, answered = 0;
    const pause = button("", () => act(`/api/queue/${now.paused ? "resume" : "pause"}`));
    const box = make("section", { hidden: true }, make("div", { class: "fs-row" }, make("h2", {}, texts.queue), make("span", { class: "fs-spring" }), pause), said, told, scroll);
    root.append(box);

    async function act(path, body, words = "") {
      try { await post(path, body); } catch (error) { words = error.message; }
      await refresh(); // the new order first: who reads that a run has moved must not find the old one
      setText(told, words);
      if (words) box.hidden = false;
    }
    function leave(one) {
      const name = one.name || one.run, path = `/api/runs/${encodeURIComponent(one.run)}`;
      post(`${path}/stop`, { discard: false }).then(() => {
        const undo = button(texts.undo, async () => {
          told.replaceChildren();
          await act(`${path}/resume`);
          await act(`/api/queue/${encodeURIComponent(one.run)}/move`, { position: one.position });
          rows.querySelector(`[data-key="${CSS.escape(one.run)}-leave"]`)?.focus();
        }, "fs-small");
        told.replaceChildren(fill(texts.queue_left, { name }), " ", undo);
        undo.focus();
        refresh();
      }, (error) => setText(told, error.message));
    }
    function row(one) {
      const name = one.name || one.run;
      const move = (position) => act(`/api/queue/${encodeURIComponent(one.run)}/move`, { position }, fill(texts.queue_moved, { name, position }));
      const small = (key, text, work, off) => { const made = button(text, work, "fs-small"); made.dataset.key = `${one.run}-${key}`; made.disabled = off; made.setAttribute("aria-label", `${text}: ${name}`); return made; };
      return make("tr", {}, make("td", {}, String(one.position)), make("td", {}, make("a", { href: `run?run=${encodeURIComponent(one.run)}` }, name), name === one.run ? null : make("small", {}, one.run)),
        make("td", {}, make("div", { class: "fs-actions" }, small("up", texts.queue_up, () => move(one.position - 1), one.position === 1), small("down", texts.queue_down, () => move(one.position + 1), one.position === now.waiting.length), small("leave", texts.queue_leave, () => leave(one), false))), make("td", {}, one.device));
    }
    async function refresh() {
      const number = ++asked;
      let answer;
      try { answer = await ask("/api/queue"); } catch { return; } // the list below says that the studio doesn't answer
      if (number < answered) return; // overtaken by a later answer
      [now, answered] = [answer, number];
      const text = JSON.stringify(now);
      if (text === shown) return;
      shown = text;
      const [device, run] = Object.entries(now.running)[0] ?? [];
      box.hidden = !now.waiting.length && !now.paused && !told.childNodes.length;
      scroll.hidden = !now.waiting.length;
      setText(pause, now.paused ? texts.queue_go_on : texts.queue_pause);
      const held = run ? fill(now.paused ? texts.queue_behind : texts.queue_running, { run, device }) : now.paused ? "" : texts.queue_free;
      setText(said, `${now.paused ? texts.queue_paused : ""} ${held}`.trim());
      const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      rows.replaceChildren(...now.waiting.map(row));
      const again = focused && rows.querySelector(`[data-key="${CSS.escape(focused)}"]`);
      if (again) (again.disabled ? again.parentNode.querySelector("button:enabled") : again).focus(); // at the top there is no Up
    }
    poll(root, refresh, POLL_MS);
  }

  FinetuneStudio.queue = queue;
})();
