// Notifications at the end of a run: by the browser, a webhook, a command; and a test of all of them.
// @ts-check
import { ask, inWords, post } from "./api.js";
import { button, fill, make, setText, statusLine } from "./dom.js";

/**
 * @typedef {{ command: string, file_webhook: string, page_webhook: string, file: string, damaged: boolean }} State
 * @typedef {{ kind: "command" | "webhook", problem: string }} Attempted
 */

const EXAMPLE = '{"command": ["notify-send", "Finetune Studio"]}';

/** Whether the browser may tell the end of a run. @param {Record<string, any>} texts */
function ofBrowser(texts) {
  const said = make("span", { role: "status" });
  const allow = button(texts.notify_me, async () => {
    await Notification.requestPermission();
    show();
  });
  const show = () => {
    const state = "Notification" in window ? Notification.permission : "unsupported";
    setText(said, texts[`notify_${state}`]);
    allow.hidden = state !== "default";
  };
  show();
  return make("p", { class: "fs-row" }, said, allow);
}

/** @param {Record<string, any>} texts */
export function notificationSettings(texts) {
  const said = statusLine({ class: "fs-hint" });
  const address = make("input", { type: "password", id: "fs-webhook", autocomplete: "off" });
  const kept = make("span", { class: "fs-hint" });
  const file = make("p", { class: "fs-hint" });
  const forget = button(texts.webhook_forget, () => keep(""), "fs-small");
  const show = (/** @type {State} */ state) => {
    setText(kept, state.page_webhook ? fill(texts.webhook_kept, { host: state.page_webhook }) : "");
    forget.hidden = !state.page_webhook;
    const command = state.command ? fill(texts.notify_command, { program: state.command }) : "";
    const webhook = state.file_webhook ? fill(texts.notify_file_webhook, { host: state.file_webhook }) : "";
    const damaged = state.damaged ? texts.notify_damaged : "";
    const place = fill(texts.notify_file, { file: state.file });
    file.replaceChildren([command, webhook, damaged, place].filter(Boolean).join(" "), " ", make("code", {}, EXAMPLE));
  };
  const keep = async (/** @type {string} */ value) => {
    try {
      show(await post("/api/notifications/webhook", { address: value }));
      setText(said, "");
    } catch (error) {
      setText(said, inWords(error, texts));
    }
    address.value = ""; // it isn't kept in the page
  };
  const test = button(texts.notify_test, async () => {
    test.disabled = true;
    setText(said, texts.notify_testing);
    try {
      /** @type {Attempted[]} */
      const attempted = await post("/api/notifications/test");
      const words = attempted.map(
        ({ kind, problem }) => `${texts[`notify_kind_${kind}`]}: ${problem || texts.notify_sent}`,
      );
      const allowed = "Notification" in window && Notification.permission === "granted";
      if (allowed) new Notification(texts.title, { body: texts.notify_test_body });
      if (allowed) words.push(`${texts.notify_kind_browser}: ${texts.notify_sent}`);
      setText(said, words.join(" · ") || texts.notify_nobody);
    } catch (error) {
      setText(said, inWords(error, texts));
    }
    test.disabled = false;
  });
  ask("/api/notifications").then(show, (error) => setText(said, inWords(error, texts)));
  const save = button(texts.webhook_keep, () => address.value.trim() && keep(address.value), "fs-small");
  const row = make("div", { class: "fs-row" }, make("label", { for: "fs-webhook" }, texts.webhook), address, save, forget, kept); // prettier-ignore
  return make("div", {}, ofBrowser(texts), row, file, make("p", { class: "fs-row" }, test), said);
}
