// The live parts of the pages. They poll small JSON answers, write texts (never HTML), and keep zoom and focus.
"use strict";
window.FinetuneStudio = (() => {
  const POLL_MS = 1000;

  // ---- small helpers -------------------------------------------------------------------------------------------
  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }
  const spoken = () => (document.documentElement.lang.startsWith("zh") ? "zh" : "en"); // the page's, whatever a cookie says
  async function ask(path, options = {}) {
    const headers = { Accept: "application/json", "X-Finetune-Language": spoken(), ...options.headers };
    const answer = await fetch(path, { ...options, headers });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error(body.detail || answer.statusText), { status: answer.status, problems: body.problems || [] });
    return body;
  }
  const post = (path, body, method = "POST") =>
    ask(path, { method, headers: { "Content-Type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body) });
  const size = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : bytes >= 1e5 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e3).toFixed(1)} kB`);
  const figure = (value) => (value === null || value === undefined || value === "NaN" ? "–" : Number(value).toFixed(4));
  function clock(seconds) {
    if (seconds === null || seconds === undefined) return "–";
    const whole = Math.max(0, Math.round(seconds)), two = (n) => String(n).padStart(2, "0");
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  }
  function setText(node, text) { if (node.textContent !== text) node.textContent = text; }
  function poll(element, work, every = POLL_MS, inBackground = () => false) {
    let busy = false;
    const tick = async () => {
      if (!element.isConnected) return clearInterval(timer);
      if (busy || (document.hidden && !inBackground())) return;
      busy = true;
      try { await work(); } finally { busy = false; }
    };
    const timer = setInterval(tick, every);
    document.addEventListener("visibilitychange", tick);
    tick();
    return () => clearInterval(timer);
  }
  // A file that is being read, or anything else the studio does in the background, until it has ended.
  async function followJob(job, tell = () => {}, every = 300) {
    for (;;) {
      const told = await ask(`/api/datasets/jobs/${job}?language=${spoken()}`);
      if (told.done && told.result) return told.result;
      if (told.done) throw Object.assign(new Error(told.detail), { problems: told.problems });
      tell(told);
      await new Promise((go) => setTimeout(go, every));
    }
  }
  const button = (text, onclick, extra = "") => make("button", { type: "button", class: `fs-button ${extra}`, onclick }, text);
  const dark = () => document.body.classList.contains("dark");
  // A text with several forms is the list of them: `count` chooses, by the rules of the page's language.
  const form = (text, count) => (Array.isArray(text) ? text[new Intl.PluralRules(spoken()).select(Number(count)) === "one" ? 0 : text.length - 1] : text);
  const fill = (text, values) => form(text, values.count).replace(/\{(\w+)\}/g, (_, name) => values[name]);
  // A text that is missing shows its key and is reported: the word "undefined" would tell nobody what is wrong.
  const checked = (texts) => new Proxy(texts, { get(all, key) {
    if (!(key in all)) console.error(`There is no text '${String(key)}'.`);
    return key in all ? all[key] : String(key);
  } });
  // All parts of a page share one answer; one that failed is asked for again.
  let texts = null;
  const textsOf = (language) => (texts ??= ask(`/api/texts/${language}`).catch((error) => { texts = null; throw error; }));
  /** Make an element the live part of this kind; every script registers its own kind. */
  async function start(kind, root, settings, gradio) {
    for (;;) {
      try { return FinetuneStudio[kind](root, { ...settings, texts: checked(await textsOf(settings.language)) }, gradio); } catch (error) {
        if (texts) throw error;
        await new Promise((go) => setTimeout(go, POLL_MS));
      }
    }
  }

  // ---- the head of every page: the other language, light and dark ------------------------------------------------
  function head(texts, language) {
    if (document.querySelector(".fs-head")) return;
    const other = language === "en" ? "zh" : "en";
    const there = () => location.pathname.replace(/^\/(en|zh)/, `/${other}`) + location.search;
    const toOther = make("a", { href: there(), lang: other, class: "fs-button", onclick: (event) => {
      document.cookie = `finetune-language=${other}; path=/; max-age=31536000; samesite=strict`;
      event.currentTarget.href = there();
    } }, texts.other_language);
    const toggle = make("button", { class: "fs-button", type: "button", onclick: () => {
      localStorage.setItem("finetune-theme", dark() ? "light" : "dark");
      applyTheme();
      dispatchEvent(new Event("finetune-theme"));
    } }, texts.theme);
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.body.prepend(make("div", { class: "fs-head" }, make("strong", {}, "Finetune Studio"), make("span", { class: "fs-spring" }), toggle, toOther));
  }
  function applyTheme() {
    const chosen = localStorage.getItem("finetune-theme");
    if (chosen) document.body.classList.toggle("dark", chosen === "dark");
  }

  // ---- one run ---------------------------------------------------------------------------------------------------
  function run(root, settings) {
    const { texts, language } = settings;
    head(texts, language); applyTheme();
    const id = new URLSearchParams(location.search).get("run");
    if (!id) { root.append(make("p", { role: "status" }, texts.no_run, " ", make("a", { href: "runs" }, texts.runs))); return; }
    const base = `/api/runs/${encodeURIComponent(id)}`;
    const state = make("span", { class: "fs-state", role: "status", "aria-live": "polite" });
    const phase = make("span", { class: "fs-phase" });
    const bar = make("progress", { max: 1, value: 0, "aria-label": texts.step });
    const problem = make("p", { class: "fs-problem", role: "alert" });
    const facts = {};
    const tiles = ["step", "epoch", "loss", "validation_loss", "eta", "speed", "memory", "peak_memory", "device", "saved_step"].map((name) => {
      facts[name] = make("dd", { id: `fact-${name}` }, "–");
      return make("div", {}, make("dt", {}, texts[name]), facts[name]);
    });
    const act = (path, body) => post(path, body).then(refresh, (error) => setText(problem, error.message));
    const stop = make("button", { type: "button", class: "fs-button", onclick: () => act(`${base}/stop`, { discard: false }) }, texts.stop);
    const discard = make("button", { type: "button", class: "fs-button fs-danger", onclick: () => confirm(texts.discard_sure) && act(`${base}/stop`, { discard: true }) }, texts.discard);
    const resume = make("button", { type: "button", class: "fs-button", onclick: () => act(`${base}/resume`) }, texts.resume);
    const retry = make("button", { type: "button", class: "fs-button", title: texts.retry_help, onclick: () => {
      retry.disabled = true;
      post(`${base}/retry`).then((told) => { location.href = `run?run=${encodeURIComponent(told.run)}`; }, (error) => { retry.disabled = false; setText(problem, error.message); });
    } }, texts.retry);
    const goOn = make("a", { class: "fs-button", title: texts.go_on_help, href: `./?from=${encodeURIComponent(id)}` }, texts.go_on);
    const download = make("a", { class: "fs-button fs-primary", href: `${base}/adapter.zip`, download: true }, texts.download_adapter);
    const next = make("p", { class: "fs-hint", hidden: true }, texts.next_adapter, " ", make("a", { href: "./" }, texts.next_own));
    let cure = {}; // the change that is shown is the one that is asked for
    const cured = make("button", { type: "button", class: "fs-button fs-primary", hidden: true, onclick: () => {
      cured.disabled = true;
      post(`${base}/retry`, { change: cure }).then((told) => { location.href = `run?run=${encodeURIComponent(told.run)}`; }, (error) => { cured.disabled = false; setText(problem, error.message); });
    } });
    const evidenceText = make("pre", { class: "fs-log", tabindex: 0 });
    const evidence = make("details", { hidden: true }, make("summary", {}, texts.evidence), evidenceText);
    const chart = make("div", { class: "fs-chart", role: "group", "aria-label": texts.curve });
    const waiting = make("p", { class: "fs-hint" }, texts.waiting_for_points);
    const scale = make("button", { type: "button", class: "fs-button fs-small" }, texts.logarithmic);
    const notes = make("ul", { class: "fs-notes" });
    const answers = make("div", { class: "fs-answers" });
    const log = make("pre", { class: "fs-log", tabindex: 0 });
    const logBox = make("details", { ontoggle: () => logBox.open && readLog() }, make("summary", {}, texts.log), log);
    const notify = make("button", { type: "button", class: "fs-button", hidden: true, onclick: async () => { await Notification.requestPermission(); notify.hidden = Notification.permission !== "default"; } }, texts.notify_me);
    const title = make("h1", {}, id), below = make("p", { class: "fs-hint" });
    root.append(title, below, make("div", { class: "fs-row" }, state, phase, bar, make("span", { class: "fs-spring" }), notify, stop, discard, resume, retry, goOn, download),
      problem, next, make("p", { class: "fs-row" }, cured), evidence, make("dl", { class: "fs-facts" }, ...tiles), make("div", { class: "fs-row" }, make("h2", {}, texts.curve), make("span", { class: "fs-spring" }), scale),
      waiting, chart, notes, answers, logBox);

    for (const control of [stop, discard, resume, retry, goOn, download]) control.hidden = true; // until it is known which ones make sense
    let wentOn = false, last = 0, drawn = false, logarithmic = false, over = false, points = 0;
    const colors = () => ({ paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: dark() ? "#e2e8f0" : "#1e293b" },
      xaxis: { title: { text: texts.step }, gridcolor: dark() ? "#334155" : "#e2e8f0", zeroline: false },
      yaxis: { title: { text: texts.loss }, gridcolor: dark() ? "#334155" : "#e2e8f0", zeroline: false, type: logarithmic ? "log" : "linear" },
      margin: { l: 60, r: 10, t: 10, b: 45 }, legend: { orientation: "h", y: 1.12 }, hovermode: "x", uirevision: id, autosize: true });
    function draw() {
      drawn = true; waiting.hidden = true;
      return Plotly.newPlot(chart, [
        { name: texts.train_loss, x: [], y: [], mode: "lines+markers", marker: { size: 4 }, line: { color: "#0d9488" } },
        { name: texts.validation_loss, x: [], y: [], mode: "lines+markers", marker: { size: 8, symbol: "diamond" }, line: { color: "#ea580c", dash: "dot" } },
      ], colors(), { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] });
    }
    const restyle = () => drawn && Plotly.relayout(chart, { font: colors().font, "xaxis.gridcolor": colors().xaxis.gridcolor, "yaxis.gridcolor": colors().yaxis.gridcolor, "yaxis.type": logarithmic ? "log" : "linear" });
    addEventListener("finetune-theme", restyle);
    scale.addEventListener("click", () => { logarithmic = !logarithmic; setText(scale, logarithmic ? texts.linear : texts.logarithmic); restyle(); });

    async function refresh() {
      let told;
      try { told = await ask(`${base}/events?since=${last}&language=${language}`); }
      catch (error) {
        if (error.status === 404) { // no such run: say so, and ask no more
          endPolling();
          root.replaceChildren(make("h1", {}, texts.run), make("p", { class: "fs-problem", role: "alert" }, `${id}: ${texts.no_run} `), make("a", { href: "runs" }, texts.runs));
        } else setText(phase, error instanceof TypeError ? texts.no_connection : error.message);
        return;
      }
      last = told.last;
      if (told.train.x.length || told.validation.x.length) {
        if (!drawn) await draw();
        if (told.reset) { points = 0; await Plotly.restyle(chart, { x: [[], []], y: [[], []] }); }
        points += told.train.x.length;
        await Plotly.extendTraces(chart, { x: [told.train.x, told.validation.x], y: [told.train.y, told.validation.y] }, [0, 1]);
        chart.dataset.points = String(points);
        if (points > 4000) last = 0; // thinned anew by the server
      }
      show(told.status);
    }
    function show(status) {
      const again = status.resumed_from_step === null ? "" : fill(texts.resumed_from, { attempt: status.attempt, step: status.resumed_from_step });
      setText(title, status.name || id); setText(below, [status.name ? id : "", again].filter(Boolean).join(" · "));
      setText(state, texts[`state_${status.state}`]); state.dataset.state = status.state;
      const done = status.total_steps ? status.step / status.total_steps : status.total ? status.done / status.total : 0;
      const amount = status.unit === "bytes" && status.total ? ` ${size(status.done)} / ${size(status.total)}` : "";
      const within = status.stop_seconds === null ? "" : fill(texts.stop_within, { seconds: Math.ceil(status.stop_seconds) });
      setText(phase, within || status.phase + amount); bar.value = done;
      over = status.over;
      const seenGoing = wentOn; wentOn = !over;
      if (over && seenGoing && mayTell() && document.hidden) new Notification(`${status.name || id}: ${texts[`state_${status.state}`]}`, { body: status.problem || (status.loss === null ? "" : `${texts.loss} ${figure(status.loss)}`), tag: id });
      notify.hidden = over || !("Notification" in window) || Notification.permission !== "default";
      bar.hidden = over || status.state === "queued";
      setText(facts.step, status.total_steps ? `${status.step} / ${status.total_steps}` : "–");
      setText(facts.epoch, status.epoch ? status.epoch.toFixed(2) : "–");
      setText(facts.loss, figure(status.loss)); setText(facts.validation_loss, figure(status.validation_loss));
      setText(facts.eta, clock(status.eta_seconds));
      setText(facts.speed, status.tokens_per_second ? fill(texts.tokens_per_second, { n: Math.round(status.tokens_per_second) }) : "–");
      setText(facts.saved_step, status.saved_step ?? "–");
      setText(facts.memory, status.memory_bytes ? size(status.memory_bytes) : "–");
      const peak = status.peak_memory_bytes ? size(status.peak_memory_bytes) : "–";
      setText(facts.peak_memory, status.estimated_bytes ? fill(texts.peak_estimated, { measured: peak, estimated: size(status.estimated_bytes) }) : peak);
      setText(problem, status.problem);
      cure = status.cure; cured.hidden = !Object.keys(cure).length;
      setText(cured, fill(texts.try_again, { changes: Object.entries(cure).map(([name, value]) => `${name}: ${value}`).join(", ") }));
      evidence.hidden = !status.evidence.length; setText(evidenceText, status.evidence.join("\n"));
      const waits = status.state === "queued", unbegun = status.attempt === 0 && status.state !== "failed";
      stop.hidden = over || status.state === "stopping"; discard.hidden = over || waits; setText(stop, waits ? texts.queue_leave : texts.stop);
      resume.hidden = !over || status.state === "finished" || (status.saved_step === null && !unbegun); setText(resume, unbegun ? texts.begin : texts.resume);
      retry.hidden = !over || (unbegun && status.state === "stopped"); goOn.hidden = !over || !(status.adapter || status.saved_step !== null); download.hidden = !status.adapter;
      next.hidden = status.state !== "finished";
      if (notes.childElementCount !== status.warnings.length) notes.replaceChildren(...status.warnings.map((text) => make("li", {}, text)));
      const shown = JSON.stringify(status.samples);
      if (answers.dataset.shown !== shown) { answers.dataset.shown = shown; showAnswers(status.samples); }
    }
    function earlier(pair) { // what it said on the way, newest first
      if (pair.answers.length < 2) return null;
      const said = pair.answers.slice(0, -1).reverse().map((one) => make("li", {}, make("small", {}, fill(texts.at_step, { step: one.step })), " ", one.answer));
      return make("details", {}, make("summary", {}, fill(texts.on_the_way, { count: said.length })), make("ul", {}, ...said));
    }
    function showAnswers(samples) {
      if (!samples.length) return answers.replaceChildren();
      const rows = samples.map((pair) => make("tr", {}, make("th", { scope: "row" }, pair.prompt), make("td", {}, pair.before), make("td", {}, pair.after, earlier(pair))));
      const header = make("tr", {}, ...["prompt", "before", "after"].map((name) => make("th", { scope: "col" }, texts[name])));
      answers.replaceChildren(make("h2", {}, texts.answers), make("div", { class: "fs-scroll", tabindex: 0, role: "region", "aria-label": texts.answers }, make("table", {}, make("thead", {}, header), make("tbody", {}, ...rows))));
    }
    async function readLog() {
      try { const told = await ask(`${base}/log`); const end = log.scrollHeight - log.scrollTop - log.clientHeight < 40; setText(log, told.text); if (end) log.scrollTop = log.scrollHeight; } catch { /* the next poll tries again */ }
    }
    async function showDevice() {
      if (over) return setText(facts.device, "–");
      try {
        const used = (await ask("/api/devices")).find((device) => device.used);
        setText(facts.device, fill(texts.device_now, { busy: used.busy_percent === null ? "–" : Math.round(used.busy_percent), held: size(used.total_bytes - used.free_bytes), total: size(used.total_bytes) }));
      } catch { /* the next poll tries again */ }
    }
    const mayTell = () => "Notification" in window && Notification.permission === "granted";
    const endPolling = poll(root, async () => { await refresh(); await showDevice(); if (logBox.open) await readLog(); }, POLL_MS, () => mayTell() && !over);
  }

  // ---- all runs --------------------------------------------------------------------------------------------------
  function runs(root, settings) {
    const { texts, language } = settings;
    head(texts, language); applyTheme();
    const said = make("p", { class: "fs-said", role: "status", "aria-live": "polite" });
    const body = make("tbody", {});
    const columns = ["name", "state", "model_column", "data_column", "step", "loss", "time"];
    const table = make("table", {}, make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, texts[name])), make("th", {}, ""))), body);
    const scroll = make("div", { class: "fs-scroll", tabindex: 0, role: "region", "aria-label": texts.runs }, table);
    root.append(make("h1", {}, texts.runs), said, scroll);
    let shown = "";
    function spark(losses) {
      const ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg"), line = document.createElementNS(ns, "polyline");
      const real = losses.filter((loss) => typeof loss === "number");
      const [low, high] = [Math.min(...real), Math.max(...real)];
      line.setAttribute("points", real.map((loss, index) => `${(index / Math.max(real.length - 1, 1)) * 80},${20 - ((loss - low) / (high - low || 1)) * 18}`).join(" "));
      svg.setAttribute("viewBox", "0 0 80 22"); svg.setAttribute("class", "fs-spark"); svg.setAttribute("aria-hidden", "true"); svg.append(line);
      return real.length > 1 ? svg : null;
    }
    function row(item) {
      const name = item.name || item.id, path = `/api/runs/${encodeURIComponent(item.id)}`;
      const { over } = item;
      const fail = (error) => setText(said, error.message);
      const stop = make("button", { type: "button", class: "fs-button fs-small", "data-key": `${item.id}-stop`, onclick: () => post(`${path}/stop`, { discard: false }).then(refresh, fail) }, item.state === "queued" ? texts.queue_leave : texts.stop);
      const resume = make("button", { type: "button", class: "fs-button fs-small", "data-key": `${item.id}-resume`, onclick: () => post(`${path}/resume`).then(refresh, fail) }, item.attempts ? texts.resume : texts.begin);
      const canResume = over && item.state !== "finished" && (item.resumable || !item.attempts);
      const remove = make("button", { type: "button", class: "fs-button fs-small", "data-key": `${item.id}-delete`, onclick: () => post(path, undefined, "DELETE").then(() => {
        const undo = make("button", { type: "button", class: "fs-button fs-small", onclick: () => post(`${path}/restore`).then(() => { said.replaceChildren(); refresh(); }, fail) }, texts.undo);
        said.replaceChildren(fill(texts.deleted, { name }), " ", undo);
        refresh();
      }, fail) }, texts.delete);
      return make("tr", {}, make("td", {}, make("a", { href: `run?run=${encodeURIComponent(item.id)}`, "data-key": `${item.id}-open` }, name), name === item.id ? null : make("small", {}, item.id)),
        make("td", {}, make("span", { class: "fs-state", "data-state": item.state }, texts[`state_${item.state}`])), make("td", {}, item.model.split("/").pop()), make("td", {}, item.dataset),
        make("td", {}, `${item.step} / ${item.total_steps}`), make("td", {}, figure(item.train_loss_last), " ", spark(item.sparkline)), make("td", {}, clock(item.seconds)),
        make("td", {}, make("div", { class: "fs-actions" }, canResume ? resume : null, over ? remove : stop)));
    }
    async function refresh() {
      let list;
      try { list = await ask("/api/runs"); } catch (error) { setText(said, error instanceof TypeError ? texts.no_connection : error.message); return; }
      const now = JSON.stringify(list);
      if (now === shown) return;
      shown = now;
      const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      body.replaceChildren(...list.map(row));
      if (focused) body.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
      scroll.hidden = !list.length;
      if (!list.length && !said.childElementCount) setText(said, texts.no_runs);
      else if (said.textContent === texts.no_runs) setText(said, "");
    }
    poll(root, refresh, 2 * POLL_MS);
  }

  return { start, run, runs, parts: { make, button, ask, post, followJob, size, clock, setText, fill, poll, head, applyTheme, dark } };
})();
