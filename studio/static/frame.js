// The header of every page: language and theme.
// @ts-check
import { make } from "./dom.js";

export const dark = () => document.body.classList.contains("dark");

function applyTheme() {
  const chosen = localStorage.getItem("finetune-theme");
  if (chosen) document.body.classList.toggle("dark", chosen === "dark");
}

/** @param {Record<string, any>} texts @param {string} language */
function toOther(texts, language) {
  const other = language === "en" ? "zh" : "en";
  const there = () => location.pathname.replace(/^\/(en|zh)/, `/${other}`) + location.search;
  const link = make("a", { href: there(), lang: other, class: "fs-button" }, texts.other_language);
  link.addEventListener("click", () => {
    document.cookie = `finetune-language=${other}; path=/; max-age=31536000; samesite=strict`;
    link.href = there();
  });
  return link;
}

/** Add the header to the page once. @param {Record<string, any>} texts @param {string} language */
export function head(texts, language) {
  applyTheme();
  if (document.querySelector(".fs-head")) return;
  const switchTheme = () => {
    localStorage.setItem("finetune-theme", dark() ? "light" : "dark");
    applyTheme();
    dispatchEvent(new Event("finetune-theme"));
  };
  const toggle = make("button", { class: "fs-button", type: "button", onclick: switchTheme }, texts.theme);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  const title = make("strong", {}, "Finetune Studio");
  const spring = make("span", { class: "fs-spring" });
  document.body.prepend(make("div", { class: "fs-head" }, title, spring, toggle, toOther(texts, language)));
}
