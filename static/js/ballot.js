// Ballots of several options: ranking by buttons, arrow keys or dragging, and what is left of credits.
// The number inputs stay the truth: all this does is write numbers into them.
// Listeners sit on the document, so that a panel which htmx has replaced goes on working.

const rows = (list) => [...list.querySelectorAll("[data-rank-row]")];
const input = (row) => row.querySelector("[data-rank]");
const place = (row) => Number.parseInt(input(row).value, 10) || 0;

// --- ranking ------------------------------------------------------------------------------------

// The options in tiers, best first; those without a number are left out.
function tiersOf(list) {
  const tiers = new Map();
  for (const row of rows(list)) {
    if (!place(row)) continue;
    if (!tiers.has(place(row))) tiers.set(place(row), []);
    tiers.get(place(row)).push(row);
  }
  return [...tiers.keys()].sort((a, b) => a - b).map((number) => tiers.get(number));
}

function write(list, tiers) {
  const ranked = tiers.filter((tier) => tier.length);
  ranked.forEach((tier, index) => tier.forEach((row) => { input(row).value = String(index + 1); }));
  const named = new Set(ranked.flat());
  const left = rows(list).filter((row) => !named.has(row));
  left.forEach((row) => { input(row).value = ""; });
  [...ranked.flat(), ...left].forEach((row) => list.append(row));
}

// Sort the rows by what was typed, and leave the numbers as they are.
function sort(list) {
  const ranked = tiersOf(list).flat();
  const left = rows(list).filter((row) => !place(row));
  [...ranked, ...left].forEach((row) => list.append(row));
}

function say(list, row) {
  const said = list.closest("form").querySelector("[data-rank-said]");
  const tiers = tiersOf(list);
  const at = tiers.findIndex((tier) => tier.includes(row));
  const title = row.dataset.title;
  if (at < 0) said.textContent = `${title} is left out, and so last.`;
  else if (tiers[at].length > 1) said.textContent = `${title} shares place ${at + 1} of ${tiers.length}.`;
  else said.textContent = `${title} is now at place ${at + 1} of ${tiers.length}.`;
}

// Move one option: out of a tie into a place of its own, past the tier beside it, or in from outside.
function move(row, way) {
  const list = row.closest("[data-ranking]");
  const focused = document.activeElement;
  const tiers = tiersOf(list);
  const at = tiers.findIndex((tier) => tier.includes(row));
  const rest = tiers.map((tier) => tier.filter((other) => other !== row));
  if (way === "out") write(list, rest);
  else if (way === "first") write(list, [[row], ...rest]);
  else if (at < 0) {
    if (way === "up") write(list, [...tiers, [row]]);
  } else {
    const tied = rest[at].length > 0;
    const before = way === "up" ? (tied ? at : Math.max(at - 1, 0)) : tied ? at + 1 : at + 2;
    if (way === "down" && !tied && at === tiers.length - 1) write(list, rest);
    else write(list, [...rest.slice(0, before), [row], ...rest.slice(before)]);
  }
  if (list.contains(focused)) focused.focus();
  say(list, row);
}

const KEYS = { ArrowUp: "up", ArrowDown: "down", Home: "first", Delete: "out", Backspace: "out" };

document.addEventListener("keydown", (event) => {
  const handle = event.target.closest?.("[data-rank-handle], [data-rank-up], [data-rank-down]");
  if (!handle || !(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  move(handle.closest("[data-rank-row]"), KEYS[event.key]);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-rank-up], [data-rank-down]");
  if (button) move(button.closest("[data-rank-row]"), button.matches("[data-rank-up]") ? "up" : "down");
});

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-rank]")) return;
  const list = event.target.closest("[data-ranking]");
  sort(list);
  say(list, event.target.closest("[data-rank-row]"));
});

// Dragging, by mouse or finger: the row goes where it is let go, and all above it get numbers.
let dragged = null;

document.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest("[data-rank-handle]");
  if (!handle || event.button) return;
  dragged = handle.closest("[data-rank-row]");
  handle.setPointerCapture(event.pointerId);
});

document.addEventListener("pointermove", (event) => {
  if (!dragged) return;
  const list = dragged.closest("[data-ranking]");
  dragged.classList.add("rank-dragged");
  const over = rows(list).find((row) => {
    const box = row.getBoundingClientRect();
    return row !== dragged && event.clientY >= box.top && event.clientY <= box.bottom;
  });
  if (!over) return;
  const box = over.getBoundingClientRect();
  if (event.clientY < box.top + box.height / 2) over.before(dragged);
  else over.after(dragged);
});

function drop() {
  const row = dragged;
  dragged = null;
  if (!row?.classList.contains("rank-dragged")) return;
  row.classList.remove("rank-dragged");
  const list = row.closest("[data-ranking]");
  const all = rows(list);
  const last = Math.max(all.indexOf(row), ...all.map((other, index) => (place(other) ? index : 0)));
  write(list, all.slice(0, last + 1).map((other) => [other]));
  say(list, row);
}

document.addEventListener("pointerup", drop);
document.addEventListener("pointercancel", drop);

// --- amounts ------------------------------------------------------------------------------------

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-amount]")) return;
  const form = event.target.closest("form");
  const given = [...form.querySelectorAll("[data-amount]")];
  const total = given.reduce((sum, field) => sum + (Number.parseInt(field.value, 10) || 0), 0);
  const left = form.querySelector("[data-amounts-left]");
  const budget = Number(left.dataset.budget);
  left.textContent = budget ? `${budget - total} credits are left.` : `${total} parts are given.`;
  left.classList.toggle("over", budget > 0 && total > budget);
});

// --- beginning ----------------------------------------------------------------------------------

function ready() {
  for (const list of document.querySelectorAll("[data-ranking]")) {
    const parts = "[data-rank-handle], [data-rank-buttons], [data-rank-keys]";
    for (const part of list.closest("form").querySelectorAll(parts)) part.hidden = false;
    // Browsers keep what was typed over a reload, and the rows follow it.
    sort(list);
  }
}

ready();
document.addEventListener("htmx:load", ready);
