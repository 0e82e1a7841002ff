// Short messages at the bottom right. They stay while the pointer or the focus is on them.
// @ts-check
import { button, make } from "./dom.js";

const SHOWN_MS = 8000;

/** The place of all toasts of a page: announced to screen readers, and above any sheet. */
function place() {
  const there = document.querySelector(".fs-toasts");
  if (there instanceof HTMLElement) return there;
  const made = make("div", { class: "fs-toasts", role: "status", "aria-live": "polite" });
  document.body.append(made);
  return made;
}

/**
 * @param {string} text
 * @param {string} closing what the button to close it is called
 * @param {{ href?: string, title?: string }} [link] where to read more
 */
export function toast(text, closing, { href, title } = {}) {
  const close = button("✕", () => shown.remove(), "fs-toast-close", { "aria-label": closing });
  const link = href ? make("a", { href }, title) : null;
  const shown = make("div", { class: "fs-toast" }, make("span", {}, text), link, close);
  place().append(shown);
  const leave = () => (shown.matches(":hover, :focus-within") ? setTimeout(leave, SHOWN_MS) : shown.remove());
  setTimeout(leave, SHOWN_MS);
}
