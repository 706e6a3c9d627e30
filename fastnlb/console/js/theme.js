// Light, dark, or as the system has it.  This choice is all that is ever stored in the browser.

const KEY = "fastnlb-theme";

export const THEMES = [
  ["", "System theme"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function startTheme() {
  apply(chosenTheme());
}

export function chosenTheme() {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return ""; // storage may be forbidden
  }
}

export function chooseTheme(theme) {
  apply(theme);
  try {
    theme ? localStorage.setItem(KEY, theme) : localStorage.removeItem(KEY);
  } catch {
    // then it holds for this page only
  }
}

function apply(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
