// The data part of the pages: drop a file, see how it is read and what is wrong with it, mend it. Texts, never HTML.
"use strict";
(() => {
  const { make, button, ask, post, followJob, size, setText, fill, head, applyTheme } = FinetuneStudio.parts;
  const USES = ["prompt", "completion", "input", "system", "history", "messages", "chosen", "rejected", "tools", "text"];
  const CODES = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
  // What can't be seen, or would turn the direction of reading, is written out.
  const seen = (text) => text.replace(CODES, (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

  // What the form of the page says now; the form tells by its own element, and is told through its own inputs.
  let form = {};
  function config(root, _settings, gradio) {
    root.hidden = true;
    const told = () => {
      try { form = JSON.parse(gradio.props.value || "{}"); } catch { return; }
      dispatchEvent(new CustomEvent("finetune-config", { detail: form }));
    };
    gradio.watch("value", told);
    told();
  }
  function setField(name, value) {
    const input = document.querySelector(`#cfg-${name.replace(/_/g, "-")} input, #cfg-${name.replace(/_/g, "-")} textarea`);
    if (!input || input.value === String(value)) return;
    input.value = value;
    for (const kind of ["input", "change", "blur"]) input.dispatchEvent(new Event(kind, { bubbles: true }));
  }

  function dataset(root, settings, gradio) {
    const { texts, language } = settings;
    head(texts, language); applyTheme();
    const said = make("p", { class: "fs-said", role: "status", "aria-live": "polite", tabindex: -1 });
    const inWords = (error) => (error instanceof TypeError ? texts.no_connection : error.message || texts.no_connection);
    const bar = make("progress", { max: 100, value: 0, hidden: true, "aria-label": texts.checking });
    const input = make("input", { type: "file", accept: settings.suffixes.join(","), class: "fs-file", id: "fs-file", "aria-describedby": "fs-drop-help" });
    const zone = make("label", { class: "fs-drop", for: "fs-file" }, make("strong", {}, texts.drop), make("span", { id: "fs-drop-help" }, texts.drop_help), input);
    const sample = button(texts.take_sample, () => take(() => post("/api/datasets/sample")));
    const shown = make("div", { class: "fs-preview" });
    const note = make("p", { class: "fs-hint", role: "status" });
    root.append(zone, make("div", { class: "fs-row" }, sample, otherPlaces(), bar), said, note, shown);
    let turn = 0, opened = "";

    function choose(id) {
      if (gradio.props.value === id) return;
      gradio.props.value = id;
      gradio.trigger("change");
      dispatchEvent(new CustomEvent("finetune-dataset", { detail: id }));
    }

    // ---- from elsewhere: a folder of the home, the Hub --------------------------------------------------------------
    function otherPlaces() {
      const list = make("select", { "aria-label": texts.imports });
      const hub = make("input", { type: "text", placeholder: "owner/name:config:split", "aria-label": texts.hub_dataset, onkeydown: (event) => { if (event.key === "Enter") { event.preventDefault(); takeHub(); } } });
      const takeHub = () => {
        const name = hub.value.trim().replace(/^hub:/, "");
        if (!name) return;
        if (name.split(":").length > 2) fetchSplit(name); else lookOnHub(name);
      };
      const hint = make("p", { class: "fs-hint" });
      const box = make("details", { class: "fs-elsewhere", ontoggle: async () => {
        if (!box.open) return;
        const found = await ask("/api/datasets/imports").catch(() => ({ files: [], folder: "" }));
        setText(hint, fill(texts.imports_help, { folder: found.folder }));
        list.replaceChildren(...found.files.map((file) => make("option", { value: file.name }, `${file.name} (${size(file.bytes)})`)));
        fetchButton.disabled = !found.files.length;
      } }, make("summary", {}, texts.elsewhere));
      const fetchButton = button(texts.read_it, () => list.value && take(() => post("/api/datasets/imports", { name: list.value })), "fs-small");
      box.append(hint, make("div", { class: "fs-row" }, list, fetchButton), make("p", { class: "fs-hint" }, texts.hub_help),
        make("div", { class: "fs-row" }, hub, button(texts.read_it, takeHub, "fs-small")));
      return box;
    }

    // A dataset of the Hub with several configs or splits: a person sees what there is and chooses.
    const fetchSplit = (name) => take(() => post("/api/datasets/imports", { name: `hub:${name}` }));
    async function lookOnHub(name) {
      if (input.disabled) return void setText(note, texts.one_at_a_time);
      const mine = ++turn;
      choose(""); shown.replaceChildren();
      root.classList.remove("fs-bad");
      setText(said, texts.hub_looking); setText(note, "");
      bar.hidden = false; bar.removeAttribute("value");
      try {
        const found = await followJob((await post("/api/datasets/hub", { name })).job);
        if (mine !== turn) return;
        setText(said, fill(texts.hub_found, { name: found.name, count: found.splits.length }));
        if (found.configs.length === 1 && found.splits.length === 1) return void fetchSplit(`${found.name}:${found.config}:${found.splits[0].name}`);
        shown.replaceChildren(splitChoice(found));
        shown.querySelector("select").focus();
      } catch (error) {
        if (mine !== turn) return;
        root.classList.add("fs-bad");
        setText(said, inWords(error));
      } finally { if (mine === turn && !input.disabled) bar.hidden = true; }
    }
    function splitChoice(found) {
      const config = make("select", { id: "fs-hub-config", onchange: () => lookOnHub(`${found.name}:${config.value}`) }, ...found.configs.map((one) => make("option", { value: one, selected: one === found.config }, one)));
      const split = make("select", { id: "fs-hub-split" }, ...found.splits.map((one) => make("option", { value: one.name, selected: one.name === "train" }, `${one.name} (${size(one.bytes)})`)));
      const fields = [[config, texts.hub_config], [split, texts.hub_split]].map(([select, label]) => make("div", { class: "fs-use" }, make("label", { for: select.id }, label), select));
      const rows = found.first.map((row) => make("li", {}, make("code", {}, seen(row))));
      return make("div", {}, make("div", { class: "fs-uses" }, ...fields, button(texts.read_it, () => fetchSplit(`${found.name}:${config.value}:${split.value}`))),
        rows.length ? make("h3", {}, texts.hub_first) : null, rows.length ? make("ol", { class: "fs-rows" }, ...rows) : null);
    }

    // ---- sending, reading -------------------------------------------------------------------------------------------
    let leaving = false; // a page that is left breaks off its requests, which is no end of the reading
    addEventListener("pagehide", () => { leaving = true; });
    async function take(begin, keep = "", again = null, waiting = "", part = "paragraph") {
      if (input.disabled) return void setText(note, texts.one_at_a_time); // what is being read is not overtaken
      setText(note, "");
      root.classList.remove("fs-bad");
      choose(""); shown.replaceChildren(); // nobody starts on the old file while the new one is read
      setText(said, texts.checking);
      sample.disabled = input.disabled = true;
      const mine = ++turn;
      let job = "";
      try {
        ({ job } = await begin());
        sessionStorage.setItem("finetune-reading", job); // a reload in the middle goes on with it
        const found = await follow(job, mine);
        await open(found.dataset);
      } catch (error) {
        root.classList.add("fs-bad");
        setText(said, inWords(error));
        const unknown = (error.problems || []).find((problem) => problem.code === "format_unknown");
        const sheets = (error.problems || []).find((problem) => problem.code === "table_choice");
        if (sheets && (job || waiting)) shown.replaceChildren(choice(sheets.params.known, job || waiting));
        else if (keep) await open(keep, true).catch(() => {}); // what was there before stays usable
        else if (unknown || again) shown.replaceChildren(mapping({ known_columns: unknown ? unknown.params.columns : again, columns: {}, job: job || waiting, sample_by: part }));
      } finally {
        sample.disabled = input.disabled = false; bar.hidden = true; input.value = "";
        if (!leaving) sessionStorage.removeItem("finetune-reading");
        if (document.activeElement === document.body) said.focus(); // what was pressed is gone
      }
    }
    function follow(job, mine) {
      let previewed = false;
      return followJob(job, (told) => {
        if (mine !== turn) throw new Error("");
        if (told.preview && !previewed) { previewed = true; shown.replaceChildren(talks(told.preview.examples)); }
        const [done, total] = told.progress;
        bar.hidden = false;
        if (total && done) bar.value = (100 * done) / total; else bar.removeAttribute("value");
        if (told.rows) setText(said, fill(texts.reading_rows, { rows: told.rows.toLocaleString() }));
      });
    }
    function upload(file) {
      return new Promise((resolve, reject) => {
        // Said before the first byte is sent: the server would refuse it too.
        if (file.size > settings.most_bytes) return reject(new Error(fill(texts.too_large, { name: file.name, size: size(file.size), limit: size(settings.most_bytes) })));
        const request = new XMLHttpRequest();
        request.open("POST", `/api/datasets?name=${encodeURIComponent(file.name)}`);
        request.upload.onprogress = (event) => {
          const percent = Math.round((100 * event.loaded) / event.total);
          bar.hidden = false; bar.value = percent;
          setText(said, percent < 100 ? fill(texts.uploading, { percent }) : texts.checking);
        };
        request.onerror = () => reject(new Error(texts.no_connection));
        request.onload = () => {
          let body = {};
          try { body = JSON.parse(request.responseText); } catch { /* said below */ }
          if (request.status < 300) resolve(body); else reject(new Error(body.detail || request.statusText));
        };
        request.setRequestHeader("X-Finetune-Language", language);
        request.send(file);
      });
    }
    input.addEventListener("change", () => input.files.length && take(() => upload(input.files[0])));
    for (const kind of ["dragover", "dragleave", "drop"]) zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("fs-over", kind === "dragover");
      const files = kind === "drop" ? [...event.dataTransfer.files] : [];
      if (files.length) take(() => upload(files[0]));
      if (files.length > 1) setText(note, texts.one_at_a_time);
    });

    // ---- one dataset ------------------------------------------------------------------------------------------------
    async function open(id, keepMessage = false) {
      opened = id;
      const found = await ask(`/api/datasets/${encodeURIComponent(id)}?language=${language}`);
      if (!keepMessage) setText(said, fill(texts.dataset_line, { name: found.name, rows: found.rows.toLocaleString(), format: found.format || "–" }));
      const sight = make("div", {});
      shown.replaceChildren(detection(found), report(found), talks(found.examples), sight);
      choose(id);
      FinetuneStudio.tokens(sight, settings, found, { form: () => form, setField, seen });
    }
    function detection(found) {
      const used = Object.entries(found.columns).map(([use, column]) => `${texts[`use_${use}`]}: ${column}`).join(" · ");
      const lines = [make("p", {}, fill(texts.read_as, { format: found.format || "–", used: used || "–" }))];
      if (found.unused_columns.length) lines.push(make("p", { class: "fs-hint" }, fill(texts.unused_columns, { columns: found.unused_columns.join(", ") })));
      const keys = Object.entries(found.unused_keys).map(([key, count]) => `${key} (${count.toLocaleString()})`);
      if (keys.length) lines.push(make("p", { class: "fs-hint" }, fill(texts.unused_keys, { keys: keys.join(", ") })));
      if (found.parts || !found.known_columns.length) return make("div", {}, ...lines);
      const box = make("details", { class: "fs-mapping" }, make("summary", {}, texts.change_columns), mapping(found));
      return make("div", {}, ...lines, box);
    }
    // A workbook with several sheets, or a database with several tables: one of them is read.
    function choice(names, job) {
      const select = make("select", { id: "fs-table" }, ...names.map((name) => make("option", { value: name }, name)));
      const apply = button(texts.read_it, () => take(() => post(`/api/datasets/jobs/${job}/columns`, { columns: {}, sample_by: select.value }), "", null, job, select.value));
      return make("div", { class: "fs-uses" }, make("div", { class: "fs-use" }, make("label", { for: "fs-table" }, texts.table), select), apply);
    }
    function mapping(found) {
      const choices = {};
      const rows = USES.map((use) => {
        const select = make("select", { id: `fs-use-${use}` }, make("option", { value: "" }, "–"), ...found.known_columns.map((column) => make("option", { value: column, selected: found.columns[use] === column }, column)));
        choices[use] = select;
        return make("div", { class: "fs-use" }, make("label", { for: `fs-use-${use}` }, texts[`use_${use}`]), select);
      });
      const by = make("select", { id: "fs-sample-by" }, ...["paragraph", "line", "document"].map((kind) => make("option", { value: kind, selected: found.sample_by === kind }, texts[`by_${kind}`])));
      const isText = found.format === "text" && found.known_columns.length === 1;
      const apply = button(texts.apply_columns, () => {
        const columns = Object.fromEntries(Object.entries(choices).map(([use, select]) => [use, select.value]).filter(([, column]) => column));
        const place = found.job ? `/api/datasets/jobs/${found.job}/columns` : `/api/datasets/${found.id}/columns`;
        take(() => post(place, { columns: isText ? {} : columns, sample_by: isText ? by.value : found.sample_by }), found.id, found.known_columns, found.job, found.sample_by);
      });
      return make("div", { class: "fs-uses" }, ...(isText ? [make("div", { class: "fs-use" }, make("label", { for: "fs-sample-by" }, texts.sample_by), by)] : rows), apply);
    }

    // ---- what is wrong ----------------------------------------------------------------------------------------------
    function report(found) {
      const counts = make("p", { class: "fs-counts" }, make("strong", {}, fill(texts.counts, { good: found.good.toLocaleString(), rows: found.rows.toLocaleString() })),
        found.at_fault ? make("span", { class: "fs-fault" }, ` ${fill(texts.at_fault, { count: found.at_fault.toLocaleString() })}`) : null,
        found.doubtful ? make("span", { class: "fs-doubt" }, ` ${fill(texts.doubtful, { count: found.doubtful.toLocaleString() })}`) : null);
      const link = make("a", { class: "fs-button fs-small", href: `/api/datasets/${found.id}/examples.jsonl`, download: true }, texts.download_rows);
      if (!found.first.length) return make("div", { class: "fs-report" }, counts, make("div", { class: "fs-row" }, link));
      const kinds = make("p", { class: "fs-hint" }, Object.entries(found.kinds).map(([kind, count]) => `${texts[`kind_${kind}`]} ${count.toLocaleString()}`).join(" · "));
      const body = make("tbody", {}), table = make("table", {}, make("caption", { class: "fs-hidden" }, texts.problems), make("thead", {}, make("tr", {}, ...["row", "line", "field", "what", "row_itself"].map((name) => make("th", { scope: "col" }, texts[`column_${name}`])))), body);
      body.append(...found.first.map((record) => problemRow(record)));
      const download = make("a", { class: "fs-button fs-small", href: `/api/datasets/${found.id}/problems.csv?language=${language}`, download: true }, texts.download_report);
      const actions = make("div", { class: "fs-row" }, download, link);
      const editor = make("div", { class: "fs-editor" });
      if (found.editable) actions.append(button(texts.mend, () => mend(found, editor), "fs-small"));
      if (found.at_fault && !settings.models) actions.append(make("span", { class: "fs-hint" }, texts.choose_bad_rows));
      const total = Object.values(found.kinds).reduce((sum, count) => sum + count, 0);
      return make("div", { class: "fs-report" }, counts, kinds, make("div", { class: "fs-scroll", tabindex: 0, role: "region", "aria-label": texts.problems }, table),
        total > found.first.length ? make("p", { class: "fs-hint" }, fill(texts.first_problems, { shown: found.first.length, total: total.toLocaleString() })) : null, actions, editor);
    }
    function problemRow(record) {
      return make("tr", { class: record.severity === "error" ? "fs-fault-row" : "" }, make("td", {}, String(record.row ?? "–")), make("td", {}, String(record.line ?? "–")), make("td", {}, seen(record.field ?? "–")),
        make("td", {}, seen(record.reason)), make("td", {}, make("code", { class: "fs-raw" }, seen((record.text || "").replace(/\s+/g, " ")))));
    }
    async function mend(found, editor) {
      const records = await ask(`/api/datasets/${found.id}/problems?count=50&whole=true&language=${language}`);
      const changes = new Map(), once = new Set();
      const boxes = records.filter((record) => record.whole !== null && !once.has(record.row) && once.add(record.row)).map((record) => {
        const id = `fs-mend-${record.row}`;
        const area = make("textarea", { id, rows: 3, spellcheck: "false", oninput: () => { changes.set(record.row, area.value); save.disabled = false; } });
        area.value = record.whole;
        const remove = button(texts.remove_row, () => {
          const gone = changes.get(record.row) !== null;
          changes.set(record.row, gone ? null : area.value); area.disabled = gone; setText(remove, gone ? texts.keep_row : texts.remove_row); save.disabled = false;
        }, "fs-small");
        return make("div", { class: "fs-mend" }, make("label", { for: id }, fill(texts.mend_row, { row: record.row, line: record.line ?? "–" }), ` ${seen(record.reason)}`), area, remove);
      });
      const save = button(texts.save_rows, () => take(() => post(`/api/datasets/${found.id}/edit`, { changes: Object.fromEntries(changes) }), found.id), "fs-primary");
      save.disabled = true;
      editor.replaceChildren(...boxes, boxes.length ? save : make("p", {}, texts.nothing_to_mend));
      editor.querySelector("textarea")?.focus();
    }

    // ---- the rows themselves ----------------------------------------------------------------------------------------
    function talks(examples) {
      const boxes = examples.slice(0, 3).map((example) => make("div", { class: "fs-talk", tabindex: 0 }, ...turnsOf(example).map((turn) =>
        make("p", { class: `fs-turn fs-${turn.role}` }, make("small", {}, texts[`role_${turn.role}`] + (turn.train ? ` · ${texts.learned}` : "")), turn.train ? make("mark", {}, turn.text) : turn.text))));
      return make("div", {}, make("h3", {}, texts.conversations), make("div", { class: "fs-talks" }, ...boxes));
    }
    function turnsOf(example) {
      if (example.text !== undefined && example.text !== null) return [{ role: "text", text: seen(example.text.slice(0, 2000)), train: true }];
      const tools = (example.tools || []).length ? [{ role: "tools", text: (example.tools || []).map((tool) => seen(tool.function.name)).join(", "), train: false }] : [];
      return [...tools, ...example.messages.map((message) => {
        const calls = (message.tool_calls || []).map((call) => `${call.name}(${JSON.stringify(call.arguments)})`);
        return { role: message.role, train: message.train, text: seen([message.reasoning, message.content, ...calls].filter(Boolean).join("\n").slice(0, 4000)) };
      })];
    }

    // A form that was half filled comes back with its dataset; the value is set by Gradio, perhaps a little later.
    let known = new URLSearchParams(location.search).get("dataset") || "";
    const failed = (error) => { root.classList.add("fs-bad"); setText(said, inWords(error)); choose(""); };
    addEventListener("finetune-deleted", (event) => { if (event.detail === opened) { opened = ""; shown.replaceChildren(); setText(said, ""); choose(""); } });
    const reading = sessionStorage.getItem("finetune-reading");
    if (known) open(known).catch(failed);
    else if (reading) ask(`/api/datasets/jobs/${reading}`).then(() => take(async () => ({ job: reading })), () => sessionStorage.removeItem("finetune-reading"));
    const restore = () => {
      const id = gradio.props.value;
      if (id && id !== known && !shown.childElementCount) { known = id; open(id).catch(failed); }
    };
    gradio.watch("value", restore);
    restore();
  }

  FinetuneStudio.parts.formNow = () => form;
  Object.assign(FinetuneStudio, { dataset, config });
})();
