// More models: what is here, a search on the Hub, a download with its progress, and the way to the Hub. Texts, never HTML.
"use strict";
(() => {
  const { make, button, ask, post, followJob, size, setText, fill } = FinetuneStudio.parts;

  function hub(root, settings) {
    const { texts } = settings;
    const inWords = (error) => (error instanceof TypeError ? texts.no_connection : error.message || texts.no_connection);
    let model = "", asked = 0, running = "", online = false, halted = false;

    // ---- the chosen model: here, or to be fetched ----------------------------------------------------------------
    const said = make("span", { role: "status", "aria-live": "polite" });
    const bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": texts.downloading });
    const fetchIt = button(texts.download_now, start);
    const look = button(texts.look_up, () => { online = true; refresh(); });
    const stop = button(texts.download_stop, () => { halted = true; post("/api/models/download/stop", { model: running }); }, "fs-small");
    const place = make("p", { class: "fs-row", id: "fs-chosen-model" }, said, bar, fetchIt, look, stop);
    for (const control of [fetchIt, look, stop]) control.hidden = true;
    async function refresh() {
      if (!model || running) return;
      const mine = ++asked;
      try {
        const told = await ask(`/api/models/facts?model=${encodeURIComponent(model)}&online=${online}`);
        if (mine !== asked) return;
        look.hidden = true; fetchIt.hidden = told.here;
        if (told.job) return follow(told.job); // begun before this page was loaded
        setText(said, told.here ? fill(texts.model_here, { model }) : fill(texts.model_away, { model, size: size(told.download_bytes) }));
        if (online) dispatchEvent(new Event("finetune-lengths")); // its shape is known now
      } catch (error) {
        if (mine !== asked) return;
        const unknown = (error.problems || []).some((problem) => problem.code === "model_not_known");
        look.hidden = !unknown; fetchIt.hidden = true;
        setText(said, unknown ? fill(texts.model_unknown, { model }) : inWords(error));
        offerToken(error);
      }
    }
    async function start() {
      try { await follow((await post("/api/models/download", { model, revision: "main" })).job); } catch (error) { setText(said, inWords(error)); offerToken(error); }
    }
    async function follow(job) {
      running = model; halted = false; fetchIt.hidden = true; bar.hidden = stop.hidden = false; bar.removeAttribute("value");
      let failed = "";
      try {
        await followJob(job, (told) => {
          const [done, total] = told.progress;
          if (!total) return;
          bar.value = done / total;
          setText(said, `${fill(texts.downloading_model, { model: running })} ${size(done)} / ${size(total)}`);
        });
      } catch (error) { failed = halted ? "" : inWords(error); offerToken(error); }
      running = ""; bar.hidden = stop.hidden = true;
      await refresh();
      if (failed) setText(said, failed);
      readHere();
    }

    // ---- search ----------------------------------------------------------------------------------------------------
    const text = make("input", { type: "search", id: "fs-hub-search", placeholder: "Qwen3", "aria-label": texts.hub_search, onkeydown: (event) => { if (event.key === "Enter") { event.preventDefault(); search(); } } });
    const found = make("div", {}), note = make("p", { class: "fs-hint", role: "status", "aria-live": "polite" });
    function choose(name) {
      const input = document.querySelector("#train-own-model input, #train-own-model textarea");
      input.value = name;
      for (const kind of ["input", "change", "blur"]) input.dispatchEvent(new Event(kind, { bubbles: true }));
      input.scrollIntoView({ block: "center" });
    }
    const numbers = (count) => (!count ? "–" : count >= 999.5e6 ? `${(count / 1e9).toFixed(1)}B` : `${Math.round(count / 1e6)}M`);
    function table(models) {
      const rows = models.map((one) => make("tr", {}, make("th", { scope: "row" }, one.id), make("td", {}, numbers(one.parameters)), make("td", {}, one.path ? texts.here : one.download_bytes ? size(one.download_bytes) : "–"),
        make("td", {}, one.license || "–"), make("td", {}, one.gated ? texts.access_gated : texts.access_open), make("td", {}, one.downloads === undefined ? "" : Number(one.downloads || 0).toLocaleString()), make("td", {}, button(texts.choose, () => choose(one.id), "fs-small"))));
      const header = ["model_column", "size_column", "download_column", "license_column", "access_column", "downloads_column"].map((name) => make("th", { scope: "col" }, texts[name]));
      return make("div", { class: "fs-scroll", tabindex: 0, role: "region", "aria-label": texts.hub_heading }, make("table", {}, make("thead", {}, make("tr", {}, ...header, make("th", {}, make("span", { class: "fs-hidden" }, texts.choose)))), make("tbody", {}, ...rows)));
    }
    async function search() {
      setText(note, texts.searching);
      try {
        const models = await ask(`/api/models/search?text=${encodeURIComponent(text.value)}`);
        found.replaceChildren(...(models.length ? [table(models)] : []));
        setText(note, models.length ? "" : texts.none_on_hub);
      } catch (error) { setText(note, inWords(error)); offerToken(error); }
    }
    const here = make("div", {});
    async function readHere() {
      try { const models = await ask("/api/models/here"); here.replaceChildren(...(models.length ? [make("h4", {}, texts.models_here), table(models)] : [])); } catch { /* the list stays as it was */ }
    }

    // ---- the way to the Hub ------------------------------------------------------------------------------------------
    const mirror = make("select", { id: "fs-mirror", onchange: () => change(post("/api/models/access", { endpoint: mirror.value })) });
    const token = make("input", { type: "password", id: "fs-token", autocomplete: "off", placeholder: "hf_…" });
    const keep = button(texts.token_keep, () => change(post("/api/models/token", { token: token.value })), "fs-small");
    const forget = button(texts.token_forget, () => change(ask("/api/models/token", { method: "DELETE" })), "fs-small");
    const kept = make("span", { role: "status", "aria-live": "polite" });
    const access = make("details", { id: "fs-access" }, make("summary", {}, texts.access_heading),
      make("div", { class: "fs-row" }, make("label", { for: "fs-mirror" }, texts.access_endpoint), mirror),
      make("div", { class: "fs-row" }, make("label", { for: "fs-token" }, texts.access_token), token, keep, forget, kept), make("p", { class: "fs-hint" }, texts.access_help));
    async function change(answer) {
      try { showAccess(await answer); refresh(); } catch (error) { setText(kept, inWords(error)); }
      token.value = ""; // never shown again, and not left lying in the page
    }
    function showAccess(told) {
      const known = told.mirrors.includes(told.endpoint) ? told.mirrors : [told.endpoint, ...told.mirrors];
      mirror.replaceChildren(...known.map((url) => make("option", { value: url, selected: url === told.endpoint }, url)));
      mirror.disabled = told.fixed; token.disabled = keep.disabled = told.token_fixed; forget.hidden = !told.token || told.token_fixed;
      setText(kept, told.token_fixed ? texts.token_fixed : told.token ? fill(texts.token_kept, { host: told.host }) : "");
    }
    function offerToken(error) {
      if ((error.problems || []).some((problem) => ["model_gated", "model_unauthorized"].includes(problem.code))) access.open = true;
    }

    const more = make("details", { id: "fs-hub", ontoggle: () => more.open && readHere() }, make("summary", {}, texts.hub_heading),
      make("div", { class: "fs-row" }, text, button(texts.hub_search, search)), note, found, here);
    root.append(place, more, access);
    ask("/api/models/access").then(showAccess, () => {});
    const told = (form) => { if (form.model && form.model !== model) { model = form.model; online = false; refresh(); } };
    addEventListener("finetune-config", (event) => told(event.detail || {}));
    told(FinetuneStudio.parts.formNow());
  }
  FinetuneStudio.hub = hub;
})();
