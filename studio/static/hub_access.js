// Access to the Hub: its endpoint or a mirror, and the token.
// @ts-check
import { ask, inWords, post, refusedFor } from "./api.js";
import { button, fill, make, setText } from "./dom.js";

/**
 * @typedef {{
 *   endpoint: string, mirrors: string[], fixed: boolean, token: boolean, token_fixed: boolean, host: string,
 * }} Access
 */

export class HubAccess {
  /** @param {Record<string, any>} texts @param {() => void} changed */
  constructor(texts, changed) {
    this.onOffer = () => {};
    this.texts = texts;
    this.changed = changed;
    this.mirror = make("select", { id: "fs-mirror" });
    this.mirror.addEventListener("change", () =>
      this.change(post("/api/models/access", { endpoint: this.mirror.value })),
    );
    this.token = make("input", { type: "password", id: "fs-token", autocomplete: "off", placeholder: "hf_…" });
    const keep = () => this.change(post("/api/models/token", { token: this.token.value }));
    const forget = () => this.change(ask("/api/models/token", { method: "DELETE" }));
    this.keep = button(texts.token_keep, keep, "fs-small");
    this.forget = button(texts.token_forget, forget, "fs-small");
    this.kept = make("span", { role: "status", "aria-live": "polite" });
    const row = (/** @type {HTMLElement[]} */ ...parts) => make("div", { class: "fs-row" }, ...parts);
    this.element = make(
      "details",
      { id: "fs-access" },
      make("summary", {}, texts.access_heading),
      row(make("label", { for: "fs-mirror" }, texts.access_endpoint), this.mirror),
      row(make("label", { for: "fs-token" }, texts.access_token), this.token, this.keep, this.forget, this.kept),
      make("p", { class: "fs-hint" }, texts.access_help),
    );
    ask("/api/models/access").then(
      (access) => this.show(access),
      () => {},
    );
  }

  /** @param {Promise<Access>} answer */
  async change(answer) {
    try {
      this.show(await answer);
      this.changed();
    } catch (error) {
      setText(this.kept, inWords(error, this.texts));
    }
    this.token.value = ""; // don't keep the token in the page
  }

  /** @param {Access} access */
  show(access) {
    const known = access.mirrors.includes(access.endpoint) ? access.mirrors : [access.endpoint, ...access.mirrors];
    const options = known.map((url) => make("option", { value: url, selected: url === access.endpoint }, url));
    this.mirror.replaceChildren(...options);
    this.mirror.disabled = access.fixed;
    this.token.disabled = this.keep.disabled = access.token_fixed;
    this.forget.hidden = !access.token || access.token_fixed;
    const kept = access.token ? fill(this.texts.token_kept, { host: access.host }) : "";
    setText(this.kept, access.token_fixed ? this.texts.token_fixed : kept);
  }

  /** Open if an error asks for a token. @param {unknown} error */
  offer(error) {
    if (!refusedFor(error, "model_gated", "model_unauthorized")) return;
    this.element.open = true;
    this.onOffer();
  }
}
