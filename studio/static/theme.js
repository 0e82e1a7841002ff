// Light or dark: as the person has chosen, else as the system prefers. The page's first script has applied it already.
// @ts-check

const KEY = "finetune-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export const dark = () => document.body.classList.contains("dark");

function apply() {
  const chosen = localStorage.getItem(KEY);
  const wanted = chosen ? chosen === "dark" : system.matches;
  document.documentElement.classList.toggle("fs-dark", wanted);
  if (dark() !== wanted) document.body.classList.toggle("dark", wanted);
}

export const switchTheme = () => chooseTheme(dark() ? "light" : "dark");

/** "light" or "dark"; empty for the system's. */
export const chosenTheme = () => localStorage.getItem(KEY) ?? "";

/** @param {string} theme as `chosenTheme` returns it */
export function chooseTheme(theme) {
  if (theme) localStorage.setItem(KEY, theme);
  else localStorage.removeItem(KEY);
  apply();
  dispatchEvent(new Event("finetune-theme"));
}

/** Keep the theme: Gradio sets the system's own when it starts. */
export function keepTheme() {
  apply();
  new MutationObserver(apply).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  system.addEventListener("change", () => {
    apply();
    dispatchEvent(new Event("finetune-theme"));
  });
}
