// The Settings page: access to the Hub, notifications, and what this studio is.
// @ts-check
import { ask } from "./api.js";
import { button, make, setText } from "./dom.js";
import { size } from "./format.js";
import { HubAccess } from "./hub_access.js";

/** Whether the browser may tell the end of a run. @param {Record<string, any>} texts */
function notifications(texts) {
  const said = make("span", { role: "status" });
  const ask_ = button(texts.notify_me, async () => {
    await Notification.requestPermission();
    show();
  });
  const show = () => {
    const state = "Notification" in window ? Notification.permission : "unsupported";
    setText(said, texts[`notify_${state}`]);
    ask_.hidden = state !== "default";
  };
  show();
  return make("p", { class: "fs-row" }, said, ask_);
}

/** @type {import("./start.js").Part} */
export function start(root, { texts }) {
  const heading = (/** @type {string} */ text) => make("h2", {}, text);
  const access = new HubAccess(texts, () => {});
  access.element.open = true;
  const about = make("dl", { class: "fs-about" });
  root.append(make("h1", {}, texts.studio_settings), heading("Hugging Face Hub"), access.element);
  root.append(heading(texts.notifications), notifications(texts), heading(texts.about), about);
  ask("/api/about").then(
    (found) => {
      const lines = [
        [texts.about_version, found.version],
        [texts.home_folder, found.home],
        [texts.free_space, size(found.free_bytes)],
      ];
      about.append(...lines.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
    },
    () => {},
  );
}
