// Small comforts of every page: the theme switch, menus that close, and the current tab in view.

const NEXT = { device: "light", light: "dark", dark: "device" };
const WORDS = {
  device: "Theme: as on this device",
  light: "Theme: light",
  dark: "Theme: dark",
};

function chosenTheme() {
  return document.documentElement.dataset.theme || "device";
}

function chooseTheme(theme) {
  const root = document.documentElement;
  if (theme === "device") delete root.dataset.theme;
  else root.dataset.theme = theme;
  try {
    if (theme === "device") localStorage.removeItem("theme");
    else localStorage.setItem("theme", theme);
  } catch {
    // Not kept for the next page, then.
  }
}

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  const tell = () => {
    button.querySelector("[data-theme-words]").textContent = WORDS[chosenTheme()];
    button.title = WORDS[chosenTheme()];
  };
  button.hidden = false;
  tell();
  button.addEventListener("click", () => {
    chooseTheme(NEXT[chosenTheme()]);
    tell();
  });
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Only the strip of tabs scrolls, never the page.
const tabs = document.querySelector(".tabs");
const current = tabs?.querySelector("[aria-current]");
if (current) tabs.scrollLeft = current.offsetLeft - (tabs.clientWidth - current.offsetWidth) / 2;
