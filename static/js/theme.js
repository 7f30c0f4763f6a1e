// Sets the reader's chosen theme before the first paint; page.js makes the switch work.
// A classic script, neither module nor deferred: it must run before the body is drawn.
(() => {
  const root = document.documentElement;
  root.dataset.script = "";
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; the device's own theme is used then.
  }
})();
