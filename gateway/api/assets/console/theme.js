// Dark and light: as the system has it, until somebody switches.
import { remembered } from "./store.js";

const chosen = remembered("theme", "system");
const dark = matchMedia("(prefers-color-scheme: dark)");

function apply() {
  const theme = chosen.get() === "system" ? (dark.matches ? "dark" : "light") : chosen.get();
  document.documentElement.dataset.theme = theme;
}

export function startTheme() {
  apply();
  dark.addEventListener("change", apply);
}

export const useTheme = chosen.use;

export function setTheme(theme) {
  chosen.set(theme);
  apply();
}
