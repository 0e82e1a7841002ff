// What the model will see: every token of a row and whether it is learned; and what the lengths of all rows mean.
"use strict";
(() => {
  const { make, button, post, followJob, setText, fill } = FinetuneStudio.parts;
  const SHOWN_TOKENS = 3000, WAIT_MS = 250;
  const number = (value) => Number(value).toLocaleString();

  function sight(root, settings, found, { form, setField, seen }) {
    const { texts, language } = settings;
    let position = 0, online = false, asked = 0, figures = null, making = false, dragged = null;
    // ---- which model, when no form says so -------------------------------------------------------------------------
    const models = settings.models ? make("select", { id: "fs-tokens-model", onchange: () => { online = false; refresh(); } }, ...settings.models.map((name) => make("option", { value: name }, name))) : null;
    const facts = () => ({
      model: models ? models.value : form().model || "starter", max_length: Math.max(16, Math.round(dragged ?? form().max_length ?? 1024)),
      batch: form().batch || 4, accumulation: form().accumulation || 4, budget: form().budget || 0, share: form().validation_split ?? 0.05, seed: form().seed ?? 42,
      bad_rows: form().bad_rows || "stop", long_rows: form().long_rows || "truncate", validation: form().validation_dataset || "",
    });
    const see = (request) => post(`/api/datasets/${found.id}/see?language=${language}`, { ...facts(), online, ...request });

    // ---- the frame ---------------------------------------------------------------------------------------------------
    const said = make("p", { class: "fs-hint", role: "status", "aria-live": "polite" });
    const rowNumber = make("input", { type: "number", min: 1, value: 1, id: "fs-tokens-row", onchange: () => go(Math.floor(Number(rowNumber.value)) - 1) });
    const search = make("input", { type: "search", placeholder: texts.search, "aria-label": texts.search, onkeydown: (event) => { if (event.key === "Enter") { event.preventDefault(); find("text", { text: search.value }); } } });
    const ids = make("input", { type: "checkbox", id: "fs-tokens-ids", onchange: () => tokens.classList.toggle("fs-with-ids", ids.checked) });
    const tokens = make("div", { class: "fs-tokens", tabindex: 0, role: "region", "aria-label": texts.sight, dir: "ltr" });
    const notes = make("ul", { class: "fs-notes" });
    const legend = make("p", { class: "fs-legend" }, make("mark", { class: "fs-t" }, texts.legend_trained), " ", make("span", { class: "fs-t fs-read" }, texts.legend_read), " ", make("span", { class: "fs-t fs-special" }, texts.legend_special), " ", make("s", { class: "fs-t" }, texts.legend_cut));
    const tools = make("div", { class: "fs-row" }, make("label", { for: "fs-tokens-row" }, texts.column_row), rowNumber, button("◀", () => go(position - 1), "fs-small"), button("▶", () => go(position + 1), "fs-small"),
      button(texts.find_longest, () => find("longest"), "fs-small"), button(texts.find_cut, () => find("cut"), "fs-small"), button(texts.find_lost, () => find("lost"), "fs-small"), button(texts.find_doubtful, () => find("doubtful"), "fs-small"),
      search, make("label", { class: "fs-check", for: "fs-tokens-ids" }, ids, texts.token_ids));
    const [previous, next] = tools.querySelectorAll("button");
    previous.setAttribute("aria-label", texts.previous_row); next.setAttribute("aria-label", texts.next_row);
    const numbers = make("div", { class: "fs-numbers" });
    const offer = make("p", { hidden: true }, button(texts.fetch_tokenizer, () => { online = true; refresh(); }));
    const body = make("div", {}, tools, legend, tokens, notes, make("h3", {}, texts.numbers), numbers);
    root.append(make("h3", {}, texts.sight), models ? make("div", { class: "fs-row" }, make("label", { for: "fs-tokens-model" }, texts.model_column), models) : "", said, offer, body);
    body.hidden = true;

    // ---- asking ------------------------------------------------------------------------------------------------------
    async function guarded(work) {
      const mine = ++asked;
      setText(said, texts.looking);
      offer.hidden = true;
      try {
        await work();
        if (mine === asked) { setText(said, ""); body.hidden = false; }
      } catch (error) {
        if (mine !== asked) return;
        const away = !online && (error.problems || []).some((problem) => problem.code === "model_unreachable");
        offer.hidden = !away;
        setText(said, away ? fill(texts.not_here, { model: facts().model }) : error instanceof TypeError ? texts.no_connection : error.message || texts.no_connection);
        if (away || !figures) body.hidden = true;
      }
    }
    const refresh = () => guarded(async () => { await showRow(); await showNumbers(); });
    const go = (to) => guarded(() => showRow(Math.min(Math.max(to, 0), Math.max(found.usable - 1, 0))));
    const find = (kind, more = {}) => guarded(async () => {
      const answer = await see({ op: "find", kind, from: position + 1, ...more });
      if (answer.position === null) throw new Error(texts.none_found);
      await showRow(answer.position);
    });
    async function showRow(to = position) {
      const row = await see({ op: "row", position: to });
      position = Math.floor(to);
      rowNumber.value = String(to + 1); rowNumber.max = String(row.rows);
      previous.disabled = to === 0; next.disabled = to + 1 >= row.rows;
      const parts = [], cutAt = row.max_length;
      row.tokens.slice(0, SHOWN_TOKENS).forEach((token, index) => {
        const kind = index >= cutAt ? "s" : token.trained ? "mark" : "span";
        const shape = ["fs-t", token.special ? "fs-special" : "", token.trained || index >= cutAt ? "" : "fs-read"].filter(Boolean).join(" ");
        parts.push(make(kind, { class: shape, title: fill(texts.token_title, { id: token.id, index: index + 1 }), "data-id": token.id }, seen(token.text).replace(/\n/g, "⏎\n") || "\u200a"));
      });
      if (row.tokens.length > SHOWN_TOKENS) parts.push(make("em", {}, ` ${fill(texts.more_tokens, { count: number(row.tokens.length - SHOWN_TOKENS) })}`));
      tokens.replaceChildren(...parts);
      tokens.scrollTop = 0;
      const stop = row.stop.token ? fill(texts[`stop_${row.stop.fate}`], { token: row.stop.token }) : texts.stop_none;
      const place = fill(texts.row_facts, { row: row.row, line: row.line ?? "–", length: number(row.length), trained: number(row.trained) });
      notes.replaceChildren(...[place, stop, ...(row.cut ? [fill(texts.row_cut, { cut: number(row.cut), max: number(cutAt) })] : []), ...row.notes].map((text) => make("li", {}, text)));
    }

    // ---- numbers -------------------------------------------------------------------------------------------------------
    async function showNumbers() {
      const [told, split] = [await see({ op: "stats" }), await see({ op: "split" })];
      figures = told;
      dispatchEvent(new Event("finetune-lengths")); // the studio has kept them: an estimate knows the rows now
      const bars = told.histogram, most = Math.max(...bars.counts, 1), longest = bars.edges[bars.edges.length - 1];
      const ns = "http://www.w3.org/2000/svg", W = 720, H = 150;
      const svg = document.createElementNS(ns, "svg");
      svg.setAttribute("viewBox", `0 0 ${W} ${H}`); svg.setAttribute("role", "img"); svg.setAttribute("preserveAspectRatio", "none");
      svg.setAttribute("aria-label", fill(texts.histogram_label, { median: number(told.median), longest: number(told.longest) }));
      const x = (tokens) => (Math.min(tokens, longest) / longest) * W;
      bars.counts.forEach((count, index) => {
        const rect = document.createElementNS(ns, "rect"), title = document.createElementNS(ns, "title");
        const height = count ? Math.max((count / most) * (H - 12), 2) : 0;
        for (const [name, value] of Object.entries({ x: x(bars.edges[index]) + 0.5, y: H - height, width: Math.max(x(bars.edges[index + 1]) - x(bars.edges[index]) - 1, 1), height })) rect.setAttribute(name, value);
        rect.dataset.end = bars.edges[index + 1];
        title.textContent = fill(texts.bar_title, { from: number(bars.edges[index]), to: number(bars.edges[index + 1]), count: number(count) });
        rect.append(title); svg.append(rect);
      });
      const line = document.createElementNS(ns, "line");
      svg.append(line);
      const effect = make("p", { class: "fs-effect", "aria-live": "polite" });
      const slider = make("input", { type: "range", id: "fs-max-length", min: 0, max: longest, step: 1, class: "fs-slider",
        onkeydown: (event) => { // one key, one bar
          const way = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
          if (!way) return;
          event.preventDefault();
          const now = places.indexOf(snapped(Number(slider.value)));
          const to = places[Math.min(Math.max(now + way, 0), places.length - 1)];
          draw(to); clearTimeout(settling); settling = setTimeout(() => setLength(to), WAIT_MS);
        },
        oninput: () => draw(snapped(Number(slider.value))), onchange: () => { setLength(snapped(Number(slider.value))); } });
      // On the edges of bars the figures are exact at once; elsewhere they come with the next answer.
      const places = bars.edges.filter((edge) => edge >= 16);
      const snapped = (value) => places.reduce((best, edge) => (Math.abs(edge - value) < Math.abs(best - value) ? edge : best), places[0]);
      function draw(at) {
        for (const [name, value] of Object.entries({ x1: x(at), x2: x(at), y1: 0, y2: H })) line.setAttribute(name, value);
        for (const rect of svg.querySelectorAll("rect")) rect.classList.toggle("fs-over-length", Number(rect.dataset.end) > at);
        const edge = bars.edges.indexOf(at) - 1;
        const cut = at === told.max_length ? told.cut : at >= longest ? 0 : edge >= 0 ? bars.cut[edge] : null;
        const lost = at === told.max_length ? told.lost : edge >= 0 ? bars.lost[edge] : null;
        setText(effect, cut === null ? fill(texts.effect_length, { at: number(at) }) : fill(texts[`effect_${facts().long_rows}`], { at: number(at), cut: number(cut), lost: number(lost ?? 0) }));
        slider.value = at; slider.setAttribute("aria-valuetext", effect.textContent);
      }
      svg.addEventListener("pointerdown", (event) => {
        svg.setPointerCapture(event.pointerId);
        const at = (moved) => snapped(((moved.clientX - svg.getBoundingClientRect().left) / svg.getBoundingClientRect().width) * longest);
        const move = (moved) => draw(at(moved));
        svg.addEventListener("pointermove", move);
        svg.addEventListener("pointerup", (up) => { svg.removeEventListener("pointermove", move); setLength(at(up)); }, { once: true });
        move(event);
      });
      const of = told.sampled ? fill(texts.sampled, { counted: number(told.counted), rows: number(told.rows) }) : "";
      const whole = told.sampled ? button(making ? texts.counting : texts.count_all, countAll, "fs-small") : null;
      if (whole && making) whole.disabled = true;
      const items = [[texts.fact_tokens, number(told.tokens)], [texts.fact_trained, number(told.trained_tokens)], [texts.fact_longest, `${number(told.median)} / ${number(told.longest)}`], [texts.fact_steps, `${number(told.steps_per_epoch)} (${told.batch} × ${told.accumulation})`], [texts.fact_padding, `${Math.round(told.padding_share * 100)} %`],
        [texts.fact_split, `${number(split.train)} / ${number(split.validation)}`]];
      const extra = [...told.warnings, ...(told.refused ? [fill(texts.refused, { count: number(told.refused), reason: told.first_refused[0]?.reason ?? "" })] : []), ...(told.nothing_to_learn ? [fill(texts.nothing_learned, { count: number(told.nothing_to_learn) })] : []),
        ...(split.leaked ? [fill(texts.leaked, { count: number(split.leaked), rows: split.leaked_rows.join(", ") })] : []), ...(split.sources.length > 1 ? split.sources.map((source) => fill(texts.split_source, { name: source.name, train: number(source.train), validation: number(source.validation) })) : [])];
      const held = numbers.contains(document.activeElement) && document.activeElement.id === "fs-max-length";
      numbers.replaceChildren(make("p", { class: "fs-hint" }, of, " ", whole), make("dl", { class: "fs-facts" }, ...items.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
        make("label", { for: "fs-max-length" }, texts.drag_line), svg, slider, make("div", { class: "fs-axis", "aria-hidden": "true" }, make("span", {}, "0"), make("span", {}, fill(texts.axis_end, { longest: number(longest) }))), effect, make("ul", { class: "fs-notes" }, ...extra.map((text) => make("li", {}, text))));
      draw(told.max_length);
      if (held) slider.focus();
    }
    let settling = 0;
    function setLength(value) {
      if (settings.models) { dragged = value; refresh(); } else setField("max_length", value);
    }
    async function countAll() {
      if (making) return;
      making = true;
      const shownIn = numbers.querySelector("button");
      shownIn.disabled = true;
      try {
        const { job } = await post(`/api/datasets/${found.id}/tokenize`, facts());
        await followJob(job, (told) => {
          const [done, total] = told.progress, now = numbers.querySelector("button");
          if (now) { now.disabled = true; setText(now, total ? `${texts.counting} ${Math.floor((100 * done) / total)} %` : texts.counting); }
        });
        if (!root.isConnected) return;
      } catch (error) { setText(said, error.message); }
      finally { making = false; }
      refresh();
    }

    let waiting = 0, last = "";
    const changed = () => {
      const now = JSON.stringify(facts());
      if (!root.isConnected) return removeEventListener("finetune-config", changed);
      if (now === last) return;
      if (last && JSON.parse(last).model !== facts().model) online = false;
      last = now;
      clearTimeout(waiting);
      waiting = setTimeout(refresh, WAIT_MS);
    };
    addEventListener("finetune-config", changed);
    if (found.usable) changed(); else setText(said, texts.no_usable_row);
  }

  FinetuneStudio.tokens = sight;
})();
