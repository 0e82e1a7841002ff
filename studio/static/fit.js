// Will it fit: the verdict on the form's settings, as words, a bar and a badge on each model's card. Texts, never HTML.
"use strict";
(() => {
  const { make, button, ask, post, poll, size, clock, setText, fill } = FinetuneStudio.parts;
  const REFRESH_MS = 10000; // other programs come and go

  function fit(root, settings, gradio) {
    const { texts, language } = settings;
    const said = make("p", { class: "fs-verdict", role: "status", "aria-live": "polite" });
    const bar = make("div", { class: "fs-memory", role: "img", "aria-label": texts.fit_heading, hidden: true });
    const legend = make("dl", { class: "fs-memory-parts" });
    const note = make("p", { class: "fs-hint" });
    const timing = make("p", { class: "fs-row", hidden: true });
    const change = make("p", { class: "fs-row" });
    const undone = make("p", { class: "fs-row", role: "status", hidden: true });
    const rows = make("tbody", {});
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...["change", "memory", "cost"].map((name) => make("th", { scope: "col" }, texts[`fit_${name}`])), make("th", {}, make("span", { class: "fs-hidden" }, texts.fit_apply)))), rows);
    const more = make("details", {}, make("summary", {}, texts.fit_savings), make("div", { class: "fs-scroll", tabindex: 0, role: "region", "aria-label": texts.fit_savings }, table));
    const presetRows = make("tbody", {});
    const presets = make("details", {}, make("summary", {}, texts.fit_presets), make("div", { class: "fs-scroll", tabindex: 0, role: "region", "aria-label": texts.fit_presets }, make("table", {}, make("thead", {}, make("tr", {}, ...[texts.preset, texts.fit_memory, texts.fit_model].map((name) => make("th", { scope: "col" }, name)))), presetRows)));
    root.append(make("h3", {}, texts.fit_heading), said, timing, bar, legend, note, change, undone, more, presets);
    let config = FinetuneStudio.parts.formNow().config ?? null, asked = 0, shown = "", times = "";

    const words = (changes) => Object.entries(changes).map(([name, value]) => `${name} ${value === true ? "✓" : value === false ? "–" : value}`).join(", ");
    const costs = (one) => one.costs.map((name) => texts[`cost_${name}`]).join("; ");
    function set(changes) {
      gradio.props.value = JSON.stringify({ ...changes, turn: Date.now() });
      gradio.trigger("change");
    }
    const valueOf = (name) => name.split(".").reduce((inner, key) => inner[key], config);
    function apply(changes) {
      const before = Object.fromEntries(Object.keys(changes).map((name) => [name, valueOf(name)]));
      set(changes);
      undone.hidden = false;
      undone.replaceChildren(make("span", {}, fill(texts.fit_changed, { changes: words(changes) })), button(texts.undo, () => { set(before); undone.hidden = true; }, "fs-small"));
    }

    const timed = make("span", { role: "status" });
    const timeIt = button(texts.fit_timing, async () => {
      timeIt.disabled = true;
      try {
        times = (await post(`/api/estimate/time?language=${language}`, { config })).run;
        timed.replaceChildren(texts.fit_timing_run, " ", make("a", { href: `run?run=${encodeURIComponent(times)}` }, times));
      } catch (error) { timeIt.disabled = false; setText(timed, error.message); }
    }, "fs-small");
    timing.append(timeIt, timed);
    async function askAfterTiming() {
      if (!times || timing.hidden) return;
      let run = null;
      try { run = await ask(`/api/runs/${encodeURIComponent(times)}`); } catch (error) { if (!error.status) return; } // deleted, or nobody answers
      if (run && !run.over) return;
      times = "";
      timeIt.disabled = false;
      setText(timed, run && run.state !== "finished" ? fill(texts.fit_timing_over, { state: texts[`state_${run.state}`] }) : "");
    }

    async function refresh() {
      if (!config) return;
      const mine = ++asked;
      let told;
      try { told = await post(`/api/estimate?language=${language}`, { config }); } catch { return; }
      if (mine !== asked) return; // a newer setting has been asked for
      badges(told.models);
      presetRows.replaceChildren(...Object.entries(told.presets).map(([name, one]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, make("span", { class: "fs-badge", "data-verdict": one.verdict }, `${size(one.total_bytes)} · ${texts[one.verdict]}`)), make("td", {}, one.model))));
      presets.hidden = !presetRows.children.length;
      const text = JSON.stringify(told);
      if (text !== shown) { shown = text; show(told); }
      askAfterTiming();
    }
    function show(told) {
      const known = told.bytes !== undefined;
      for (const part of [bar, legend, note, change, more]) part.hidden = !known;
      timing.hidden = true;
      if (!known) { root.dataset.verdict = ""; setText(said, told.detail || texts.fit_settings); return; }
      const need = told.total_bytes, free = told.device.free_bytes, whole = Math.max(need, free);
      root.dataset.verdict = told.verdict; root.dataset.total = String(need);
      const time = told.steps === null ? "" : told.seconds === null ? fill(texts.fit_steps, { steps: told.steps }) : fill(texts.fit_time, { steps: told.steps, from: clock(told.seconds[0]), to: clock(told.seconds[1]) });
      setText(said, [fill(texts[`verdict_${told.verdict}`], { need: size(need), free: size(free), device: told.device.name }), time].filter(Boolean).join(" "));
      // What isn't here would be downloaded first, and what doesn't fit would fail.
      timing.hidden = told.steps === null || told.seconds !== null || told.download_bytes > 0 || told.verdict === "too_big";
      const parts = Object.keys(told.bytes).filter((name) => told.bytes[name] > 0);
      bar.replaceChildren(...parts.map((name) => make("span", { class: `fs-part-${name}`, style: `width:${(told.bytes[name] / whole) * 100}%`, title: `${texts[`part_${name}`]}: ${size(told.bytes[name])}` })),
        ...(need > free ? [make("i", { class: "fs-free", style: `left:${(free / whole) * 100}%`, title: fill(texts.fit_free, { free: size(free) }) })] : []));
      bar.setAttribute("aria-label", parts.map((name) => `${texts[`part_${name}`]} ${size(told.bytes[name])}`).join(", "));
      legend.replaceChildren(...parts.map((name) => make("div", {}, make("dt", {}, make("i", { class: `fs-swatch fs-part-${name}` }), texts[`part_${name}`]), make("dd", {}, size(told.bytes[name])))));
      setText(note, [told.lengths_known ? fill(texts.fit_batch, { tokens: told.batch_tokens }) : fill(texts.fit_unknown, { tokens: told.batch_tokens }), told.gradient_checkpointing === true ? texts.fit_recomputed : "", fill(texts.fit_disk, { disk: size(told.disk_bytes + told.download_bytes) })].filter(Boolean).join(" "));
      change.hidden = told.verdict === "fits";
      change.replaceChildren(...(told.fit && !told.fit.practical
        ? [make("span", {}, fill(texts.fit_impractical, { changes: words(told.fit.changes), time: clock(told.fit.step_seconds) }))]
        : told.fit
        ? [make("button", { type: "button", class: "fs-button fs-primary", id: "fs-make-it-fit", onclick: () => apply(told.fit.changes) }, texts.fit_make), make("span", {}, `${words(told.fit.changes)}: ${size(told.fit.total_bytes)} (${costs(told.fit)})`)]
        : told.verdict === "fits" ? [] : [make("span", {}, texts.fit_nothing)]));
      rows.replaceChildren(...told.savings.map((one) => make("tr", {}, make("th", { scope: "row" }, words(one.changes)), make("td", {}, `${size(one.total_bytes)} (−${size(need - one.total_bytes)})`), make("td", {}, costs(one)), make("td", {}, button(texts.fit_apply, () => apply(one.changes), "fs-small")))));
      more.hidden = !told.savings.length;
    }
    function badges(models) {
      for (const input of document.querySelectorAll("#train-model input[type=radio]")) {
        const told = models[input.value], label = input.closest("label");
        if (!told || !label) continue;
        let badge = label.querySelector(".fs-badge");
        if (!badge) { badge = make("span", { class: "fs-badge" }); (label.querySelector("span") ?? label).append(badge); }
        const fits = told.fit && !told.fit.practical ? texts.fit_not : told.fit ? fill(texts.fit_with, { changes: words(told.fit.changes) }) : told.verdict === "fits" ? "" : texts.fit_not;
        badge.dataset.verdict = told.verdict;
        setText(badge, `${size(told.total_bytes)} · ${texts[told.verdict]}${told.slow ? ` · ${texts.slow}` : ""}`); 
        let hint = label.querySelector(".fs-badge-more");
        if (!hint) { hint = make("span", { class: "fs-badge-more" }); badge.after(hint); }
        setText(hint, fits);
      }
    }
    addEventListener("finetune-config", (event) => { config = event.detail?.config ?? null; refresh(); });
    addEventListener("finetune-lengths", refresh);
    poll(root, refresh, REFRESH_MS);
  }
  FinetuneStudio.fit = fit;
})();
