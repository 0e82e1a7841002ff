// The library: all datasets with what is known of them; rename, mix, download, delete with undo.
"use strict";
(() => {
  const { make, ask, post, followJob, size, setText, fill, poll, head, applyTheme } = FinetuneStudio.parts;
  const POLL_MS = 3000;

  function library(root, settings) {
    const { texts, language } = settings;
    head(texts, language); applyTheme();
    const said = make("p", { class: "fs-said", role: "status", "aria-live": "polite" });
    const body = make("tbody", {});
    const columns = ["name", "format", "rows_good", "size", "added", "used_by"];
    const table = make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, texts.mix), ...columns.map((name) => make("th", { scope: "col" }, texts[`library_${name}`])), make("th", {}, ""))), body);
    const scroll = make("div", { class: "fs-scroll", tabindex: 0, role: "region", "aria-label": texts.datasets }, table);
    const weights = new Map();
    const mixButton = make("button", { type: "button", class: "fs-button", disabled: true, onclick: mix }, texts.mix_chosen);
    root.append(make("h1", {}, texts.datasets), said, scroll, make("div", { class: "fs-row" }, mixButton, make("span", { class: "fs-hint" }, texts.mix_help)));
    const fail = (error) => setText(said, error.message || texts.no_connection);
    let shown = "";

    async function mix() {
      mixButton.disabled = true;
      try {
        const { job } = await post("/api/datasets/mix", { parts: Object.fromEntries(weights) });
        await followJob(job);
        weights.clear(); shown = "";
      } catch (error) { fail(error); }
      refresh();
    }
    function remove(item, sure = false) {
      const path = `/api/datasets/${item.id}`;
      ask(`${path}?although_used=${sure}`, { method: "DELETE" }).then(() => {
        weights.delete(item.id);
        const undo = make("button", { type: "button", class: "fs-button fs-small", onclick: () => post(`${path}/restore`).then(() => { line.remove(); refresh(); }, fail) }, texts.undo);
        const line = make("span", { class: "fs-line" }, fill(texts.deleted, { name: item.name }), " ", undo);
        if (!said.querySelector(".fs-line")) said.replaceChildren();
        said.prepend(line); // each can be undone, also after another one
        dispatchEvent(new CustomEvent("finetune-deleted", { detail: item.id }));
        undo.focus();
        refresh();
      }, (error) => {
        const used = (error.problems || []).some((problem) => problem.code === "dataset_in_use");
        if (used && confirm(error.message)) remove(item, true); else if (!used) fail(error);
      });
    }
    function rename(item) {
      const name = prompt(texts.new_name, item.name);
      if (name && name.trim() && name !== item.name) post(`/api/datasets/${item.id}/rename`, { name }).then(refresh, fail);
    }
    function row(item) {
      const small = (key, text, onclick) => make("button", { type: "button", class: "fs-button fs-small", "data-key": `${item.id}-${key}`, onclick }, text);
      const weight = make("input", { type: "number", min: 0.01, max: 100, step: "any", value: weights.get(item.id) ?? 1, class: "fs-weight", "aria-label": fill(texts.weight_of, { name: item.name }), hidden: !weights.has(item.id), oninput: () => weights.set(item.id, Number(weight.value)) });
      const pick = make("input", { type: "checkbox", "data-key": `${item.id}-pick`, "aria-label": fill(texts.pick, { name: item.name }), onchange: () => {
        if (pick.checked) weights.set(item.id, Number(weight.value)); else weights.delete(item.id);
        weight.hidden = !pick.checked; mixButton.disabled = weights.size < 2;
      } });
      pick.checked = weights.has(item.id);
      const version = item.versions > 1 ? make("small", {}, fill(texts.version, { version: item.version, versions: item.versions })) : null;
      const runs = item.runs.slice(-3).map((run) => make("a", { href: `run?run=${encodeURIComponent(run)}` }, run));
      return make("tr", {}, make("td", {}, pick, " ", weight), make("td", {}, make("a", { href: `datasets?dataset=${item.id}`, "data-key": `${item.id}-open` }, item.name), version, make("small", {}, item.id)),
        make("td", {}, item.format), make("td", {}, `${item.good.toLocaleString()} / ${item.rows.toLocaleString()}`), make("td", {}, size(item.bytes)), make("td", {}, new Date(item.added * 1000).toLocaleString(language === "zh" ? "zh-CN" : "en")),
        make("td", {}, ...(runs.length ? runs.flatMap((link, index) => (index ? [", ", link] : [link])) : ["–"]), item.runs.length > 3 ? ` +${item.runs.length - 3}` : null),
        make("td", {}, make("div", { class: "fs-actions" }, make("a", { class: "fs-button fs-small", href: `./?dataset=${item.id}` }, texts.train_with), small("rename", texts.rename, () => rename(item)), small("delete", texts.delete, () => remove(item)))));
    }
    async function refresh() {
      let list;
      try { list = await ask("/api/datasets"); } catch (error) { fail(error instanceof TypeError ? {} : error); return; }
      mixButton.disabled = weights.size < 2;
      const now = JSON.stringify(list);
      if (now === shown) return;
      shown = now;
      const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      body.replaceChildren(...list.map(row));
      if (focused) body.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
      scroll.hidden = !list.length;
      if (!list.length && !said.childElementCount) setText(said, texts.no_datasets);
      else if (said.textContent === texts.no_datasets) setText(said, "");
    }
    addEventListener("finetune-dataset", refresh);
    poll(root, refresh, POLL_MS);
  }

  FinetuneStudio.library = library;
})();
