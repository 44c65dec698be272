// On every page: copy buttons, and a word when the server does not answer.
"use strict";

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy).textContent.trim();
  const done = () => { button.textContent = "Copied"; };
  if (navigator.clipboard) {
    navigator.clipboard.writeText(text).then(done);
  } else {  // plain http from another machine: browsers offer no clipboard, so select the text
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
  }
});

document.addEventListener("htmx:sendError", () => { document.getElementById("connection").hidden = false; });
document.addEventListener("htmx:afterOnLoad", () => { document.getElementById("connection").hidden = true; });
