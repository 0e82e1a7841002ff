// The whole config as YAML beside the form: it follows the form, and an edited text fills the form.
// @ts-check
import { button, make, setText, statusLine } from "./dom.js";
import { formNow } from "./form.js";

const SAID_MS = 3000;

/** @type {import("./start.js").Part} */
export function start(root, { texts }, gradio) {
  const text = make("textarea", { class: "fs-yaml", rows: 14, spellcheck: "false", "aria-label": texts.yaml_heading });
  const said = statusLine({ class: "fs-hint" });
  const say = (/** @type {string} */ words) => {
    setText(said, words);
    setTimeout(() => setText(said, ""), SAID_MS);
  };
  const apply = button(texts.yaml_apply, () => send(text.value), "fs-small", { disabled: true });
  const send = (/** @type {string} */ value) => {
    apply.disabled = true;
    gradio.props.value = JSON.stringify({ text: value, turn: Date.now() });
    gradio.trigger("change");
  };
  const copy = async (/** @type {string} */ value) => {
    try {
      await navigator.clipboard.writeText(value);
      say(texts.copied);
    } catch {
      say(texts.copy_refused);
    }
  };
  const download = () => {
    const href = URL.createObjectURL(new Blob([text.value], { type: "application/yaml" }));
    make("a", { href, download: "finetune.yaml" }).click();
    URL.revokeObjectURL(href);
  };
  const file = make("input", {
    type: "file",
    accept: ".yaml,.yml,.json",
    class: "fs-hidden",
    id: "fs-yaml-file",
    tabindex: -1,
  });
  file.addEventListener("change", async () => {
    const chosen = file.files?.[0];
    file.value = "";
    if (!chosen) return;
    text.value = await chosen.text();
    send(text.value);
  });
  text.addEventListener("input", () => (apply.disabled = false));
  const row = make(
    "p",
    { class: "fs-row" },
    apply,
    button(texts.copy, () => copy(text.value), "fs-small"),
    button(texts.copy_command, () => copy("finetune train finetune.yaml"), "fs-small"),
    button(texts.yaml_download, download, "fs-small"),
    button(texts.yaml_open, () => file.click(), "fs-small"),
    file,
  );
  root.append(make("details", { id: "fs-yaml" }, make("summary", {}, texts.yaml_heading), text, row, said));
  const show = () => {
    const now = formNow().yaml;
    if (now === undefined || !apply.disabled) return; // an edited text stays until it is applied
    text.value = now;
  };
  addEventListener("finetune-config", show);
  show();
}
