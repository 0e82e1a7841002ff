// The whole config as YAML beside the form: it follows the form, and an edited text fills the form.
// @ts-check
import { button, copied, make, setText, statusLine } from "./dom.js";
import { formNow } from "./form.js";

const SAID_MS = 3000;

/** A hidden file input; `work` gets the text of the chosen file. @param {(text: string) => void} work */
function fileInput(work) {
  const input = make("input", {
    type: "file",
    accept: ".yaml,.yml,.json",
    class: "fs-hidden",
    id: "fs-yaml-file",
    tabindex: -1,
  });
  input.addEventListener("change", async () => {
    const chosen = input.files?.[0];
    input.value = "";
    if (chosen) work(await chosen.text());
  });
  return input;
}

/** @param {string} text */
function download(text) {
  const href = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  make("a", { href, download: "finetune.yaml" }).click();
  URL.revokeObjectURL(href);
}

/** @type {import("./start.js").Part} */
export function start(root, { texts }, gradio) {
  const text = make("textarea", { class: "fs-yaml", rows: 14, spellcheck: "false", "aria-label": texts.yaml_heading });
  const said = statusLine({ class: "fs-hint" });
  const copy = async (/** @type {string} */ value) => {
    setText(said, await copied(texts, value));
    setTimeout(() => setText(said, ""), SAID_MS);
  };
  const apply = button(texts.yaml_apply, () => send(text.value), "fs-small", { disabled: true });
  let [shown, sent] = ["", 0];
  const send = (/** @type {string} */ value) => {
    text.value = value;
    apply.disabled = false;
    sent = Date.now();
    gradio.props.value = JSON.stringify({ text: value, turn: sent });
    gradio.trigger("change");
  };
  const file = fileInput(send);
  text.addEventListener("input", () => (apply.disabled = false));
  const row = make(
    "p",
    { class: "fs-row" },
    apply,
    button(texts.copy, () => copy(text.value), "fs-small"),
    button(texts.copy_command, () => copy("finetune train finetune.yaml"), "fs-small"),
    button(texts.copy_python, () => copy(formNow().python ?? ""), "fs-small"),
    button(texts.yaml_download, () => download(text.value), "fs-small"),
    button(texts.yaml_open, () => file.click(), "fs-small"),
    file,
  );
  root.append(make("details", { id: "fs-yaml" }, make("summary", {}, texts.yaml_heading), text, row, said));
  const show = () => {
    const now = formNow().yaml;
    if (now === undefined || now === shown) return;
    shown = now;
    // An edited text stays, unless the form has just taken it over: it may be one that was refused.
    if (!apply.disabled && Date.now() - sent > SAID_MS) return;
    text.value = now;
    apply.disabled = true;
  };
  addEventListener("finetune-config", show);
  show();
}
