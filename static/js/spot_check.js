// A spot check by keyboard: a key for each class, or a field that finds one by its name.
"use strict";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const field = event.target.closest("#find-class");
  if (field) {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const first = field.value.trim() && field.form.querySelector(".classes button:not([hidden])");
    if (first) first.click();
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
  if (!field) return;
  const wanted = field.value.trim().toLowerCase();
  const buttons = [...field.form.querySelectorAll(".classes button")];
  const names = buttons.map((button) => button.title.toLowerCase());
  buttons.forEach((button, place) => { button.hidden = !names[place].includes(wanted); });
});

document.addEventListener("htmx:afterSwap", () => {  // the button that was pressed is gone: keep the keyboard's place
  const place = document.getElementById("find-class") || document.querySelector("#spot-check h1");
  if (place) place.focus({ preventScroll: true });
});
