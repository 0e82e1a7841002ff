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

export function switchTheme() {
  localStorage.setItem(KEY, dark() ? "light" : "dark");
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
