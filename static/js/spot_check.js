// A spot check by keyboard: a key for each class, or a field that finds one by its name.
"use strict";

const AT_LEAST_LOOKED_AT_MS = 400;
let shownAt = 0;

const spelt = (text) => text.normalize("NFKC").trim().replace(/\s+/g, " ").toLowerCase();

function show(field) {  // the classes whose name holds what is typed; mark the one that Enter answers, if it is clear
  const wanted = spelt(field.value);
  const buttons = [...field.form.querySelectorAll(".classes button")];
  buttons.forEach((button) => { button.hidden = !spelt(button.title).includes(wanted); });
  const shown = buttons.filter((button) => !button.hidden);
  const starting = shown.filter((button) => spelt(button.title).startsWith(wanted));
  const exact = shown.find((button) => spelt(button.title) === wanted);
  const meant = wanted && (exact || (starting.length === 1 ? starting : shown.length === 1 ? shown : [])[0]);
  buttons.forEach((button) => { button.classList.toggle("meant", button === meant); });
  document.getElementById("meant-class").textContent = !wanted ? "" : meant ? `Enter answers: ${meant.title}`
    : shown.length ? `${shown.length} classes fit: type on, or choose` : "No class fits";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const field = event.target.closest("#find-class");
  if (field) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const meant = field.form.querySelector(".classes .meant");
    if (meant) meant.click();
    return;
  }
  if (event.target.closest("input, textarea, select")) return;
  const button = document.querySelector(`#spot-check [data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!button) return;
  event.preventDefault();
  button.click();
});

document.addEventListener("input", (event) => {
  const field = event.target.closest("#find-class");
  if (field) show(field);
});

document.addEventListener("click", (event) => {  // the second click of two would answer an image that nobody has seen
  const isByHand = event.detail > 0;
  const tooSoon = event.detail > 1 || performance.now() - shownAt < AT_LEAST_LOOKED_AT_MS;
  if (!isByHand || !tooSoon || !event.target.closest("#spot-check .said button")) return;
  event.preventDefault();
  event.stopPropagation();
}, true);

document.addEventListener("htmx:afterSwap", () => {  // the button that was pressed is gone: keep the keyboard's place
  shownAt = performance.now();
  const place = document.getElementById("find-class") || document.querySelector("#spot-check h1");
  if (place) place.focus({ preventScroll: true });
});
