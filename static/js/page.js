// On every page: copy buttons, a form is sent once, and a word when the server does not answer or refuses.
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

document.addEventListener("submit", (event) => {  // a second click while the first is on its way
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => { for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent; });

document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  const why = { 403: "you may not, or no longer", 404: "it is not there any more", 429: "too much was asked at once" }[status];
  const toast = document.getElementById("refused");
  toast.textContent = `That was not done: ${why || `the server answered ${status}`}. Load the page anew to see how things are.`;
  toast.hidden = false;
});
document.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.successful) document.getElementById("refused").hidden = true;
});
document.addEventListener("htmx:sendError", (event) => {
  const toast = document.getElementById("connection");
  toast.textContent = event.detail.requestConfig.verb === "get"
    ? "The server does not answer. This page goes on by itself when it is back."
    : "The server does not answer, so that was not done. Try again.";
  toast.hidden = false;
});
document.addEventListener("htmx:afterOnLoad", () => { document.getElementById("connection").hidden = true; });
