// The dock: what is being checked, sent and refused, in a corner of the page.
"use strict";

window.dock = (() => {
  let dock = null;
  let told = null;
  let actions = null;

  function text(tag, content, parent, kind) {
    const element = document.createElement(tag);
    element.textContent = content;
    if (kind) element.className = kind;
    parent.append(element);
    return element;
  }

  function open() {
    dock = document.createElement("aside");
    dock.className = "dock";
    dock.setAttribute("aria-label", "Uploads");
    told = document.createElement("div");
    actions = document.createElement("div");
    actions.className = "actions";
    dock.append(told, actions);
    document.body.append(dock);
  }

  const count = (number) => number.toLocaleString("en");

  function headline(state, busy, checked) {
    if (state.problem) return state.problem;
    if (busy) return checked && !state.active.size ? checked : `Sending ${count(state.total)} file${state.total === 1 ? "" : "s"}`;
    if (!state.total) return "Nothing to send";
    return state.failed.length ? `${count(state.failed.length)} of ${count(state.total)} not sent` : "Everything is sent";
  }

  function notes(state, busy, checked) {
    const said = [];
    if (state.here) said.push(`${count(state.here)} ${state.here === 1 ? "was" : "were"} here already`);
    if (state.unpacked) said.push(`${count(state.unpacked)} images of archives among them`);
    if (state.leftOut) said.push(`${count(state.leftOut)} hidden file${state.leftOut === 1 ? "" : "s"} left out`);
    if (checked && state.active.size) said.push(checked);
    if (busy && (state.waiting || state.unanswered)) said.push(state.waiting || state.unanswered);
    if (busy) said.push("keep this tab open; if it closes, drop the same files again");
    return said.join(" · ");
  }

  // Buttons stay the same elements while they say the same: one made anew between press and release is never clicked.
  function offer(buttons) {
    const words = Object.keys(buttons).join();
    if (actions.dataset.words === words) return;
    actions.dataset.words = words;
    actions.replaceChildren();
    Object.entries(buttons).forEach(([label, act]) =>
      text("button", label, actions, label === "Close" ? "secondary small" : "small").onclick = act);
  }

  function draw(state, busy, buttons) {
    if (!dock) open();
    const { asked, done } = state.check;
    const checked = busy && asked ? `Checking what is already here … ${Math.floor(100 * done / asked)} %` : "";
    told.replaceChildren();
    dock.dataset.state = busy ? "sending" : state.failed.length || state.problem ? "failed" : "done";
    const line = text("p", "", told);
    text("strong", headline(state, busy, checked), line);
    text("span", `${count(state.done)} of ${count(state.total)}`, line, "number quiet");
    if (busy) {
      const bar = document.createElement("progress");
      const isChecking = checked && !state.active.size;
      bar.max = Math.max(1, isChecking ? asked : state.totalBytes);
      bar.value = isChecking ? done : [...state.active].reduce((sum, one) => sum + one.sent, state.doneBytes);
      told.append(bar);
    }
    const said = notes(state, busy, checked);
    if (said) text("p", said, told, "quiet");
    if (state.failed.length) {
      const list = text("ul", "", told, "list-plain");
      state.failed.slice(0, 50).forEach((one) => text("li", `${one.path}: ${one.reason}`, list));
    }
    offer(buttons);
  }

  function close() {
    dock.remove();
    dock = null;
  }

  return { draw, close, isOpen: () => dock !== null };
})();
