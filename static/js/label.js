// The labelling page by keyboard, and its two answers as tabs on a phone.
// Listeners sit on the document, so that a form which htmx has replaced goes on working.

const CHOICES = { 1: "a", a: "a", 2: "b", b: "b", 3: "tie", t: "tie", 4: "both_bad", x: "both_bad" };
const KEPT = "label-shortcuts";

const form = () => document.querySelector("[data-label-form]");
const dialog = () => document.querySelector("[data-label-dialog]");
const toggle = () => document.querySelector("[data-label-switch]");

function writes(element) {
  return element.matches?.("textarea, select, [contenteditable], input:not([type=radio], [type=checkbox])");
}

function choose(value) {
  const radio = form().querySelector(`input[name="choice"][value="${value}"]`);
  if (!radio) return;
  radio.checked = true;
  radio.focus();
  radio.dispatchEvent(new Event("change", { bubbles: true }));
}

document.addEventListener("keydown", (event) => {
  if (!form() || event.defaultPrevented || event.repeat || event.isComposing) return;
  if (event.ctrlKey || event.metaKey || event.altKey || dialog()?.open) return;
  if (toggle() && !toggle().checked) return;
  if (writes(event.target)) return;
  const key = event.key.toLowerCase();
  if (key in CHOICES) choose(CHOICES[key]);
  else if (key === "?") dialog()?.showModal();
  else if (key === "s") form().querySelector("[data-label-skip]")?.focus();
  else if (key === "r") form().querySelector("[data-label-note]")?.focus();
  else if (key === "enter" && !event.target.closest("a, button, summary, [role=tab]") && form().querySelector("input[name=choice]:checked")) {
    form().requestSubmit();
  } else return;
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-label-help]")) dialog()?.showModal();
});

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-label-switch]")) return;
  try {
    localStorage.setItem(KEPT, event.target.checked ? "on" : "off");
  } catch {
    // Not kept for the next page, then.
  }
});

// --- tabs A | B on narrow screens ---------------------------------------------------------------

const narrow = matchMedia("(max-width: 47.99rem)");

function show(answers, tabs, wanted) {
  answers.forEach((answer, index) => {
    answer.hidden = narrow.matches && index !== wanted;
    const tab = tabs[index];
    tab.setAttribute("aria-selected", String(index === wanted));
    tab.tabIndex = index === wanted ? 0 : -1;
  });
}

function buildTabs() {
  const list = form()?.querySelector("[data-answer-tabs]");
  const answers = [...(form()?.querySelectorAll("[data-answer]") ?? [])];
  if (!list || answers.length < 2) return;
  list.replaceChildren();
  list.hidden = !narrow.matches;
  const tabs = answers.map((answer, index) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `${answer.id}-tab`;
    tab.textContent = `Answer ${answer.dataset.answer}`;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", answer.id);
    tab.addEventListener("click", () => show(answers, tabs, index));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = (index + step + tabs.length) % tabs.length;
      show(answers, tabs, next);
      tabs[next].focus();
    });
    if (narrow.matches) {
      answer.setAttribute("role", "tabpanel");
      answer.setAttribute("aria-labelledby", tab.id);
    } else {
      answer.removeAttribute("role");
      answer.removeAttribute("aria-labelledby");
    }
    return tab;
  });
  list.append(...tabs);
  show(answers, tabs, 0);
}

function ready() {
  if (!form()) return;
  const hints = document.querySelector("[data-label-keys]");
  if (hints) hints.hidden = matchMedia("(pointer: coarse)").matches;
  if (toggle()) {
    try {
      toggle().checked = localStorage.getItem(KEPT) !== "off";
    } catch {
      toggle().checked = true;
    }
  }
  buildTabs();
}

ready();
narrow.addEventListener("change", buildTabs);
document.addEventListener("htmx:load", ready);
