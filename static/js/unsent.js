// What of a drop is not sent yet: two counts for each collection, kept in the browser, so that a page that is opened
// after a tab was closed can say what is missing. Which files those are the server knows once they are dropped again.
"use strict";

window.unsent = (() => {
  const ALIVE_MS = 5000;
  const GONE_MS = 60000;  // a tab that wrote nothing for so long is gone, though it could not say so
  const drops = new Map();
  let alive = 0;

  const key = (collection) => `unsent-${collection}`;

  // A browser may keep nothing, or refuse to say so: then nothing is told.
  function read(collection) {
    try { return JSON.parse(localStorage.getItem(key(collection))); } catch { return null; }
  }

  function write(collection, isLeft = false) {
    try {
      localStorage.setItem(key(collection), JSON.stringify({ ...drops.get(collection), at: Date.now(), isLeft }));
    } catch { /* as above */ }
  }

  function remove(collection) {
    try { localStorage.removeItem(key(collection)); } catch { /* as above */ }
  }

  const writeAll = (isLeft) => [...drops.keys()].forEach((collection) => write(collection, isLeft));

  function change(collection, total, done) {
    const before = drops.get(collection) || { total: 0, done: 0 };
    drops.set(collection, { total: before.total + total, done: before.done + done });
    write(collection);
  }

  // Counts files of a drop once, however often they are tried.
  function add(collection, files) {
    const fresh = files.filter((one) => !one.isCounted);
    fresh.forEach((one) => { one.isCounted = true; });
    document.querySelectorAll("[data-unsent]").forEach((notice) => notice.remove());
    change(collection, fresh.length, 0);
    if (!alive) alive = setInterval(() => writeAll(false), ALIVE_MS);
  }

  function forget() {
    drops.forEach((_, collection) => remove(collection));
    drops.clear();
    clearInterval(alive);
    alive = 0;
  }

  function tell(zone) {
    const { collection } = zone.dataset;
    const drop = read(collection);
    if (!drop || !(drop.isLeft || Date.now() - drop.at > GONE_MS)) return;
    const missing = drop.total - drop.done;
    if (!(missing > 0)) return remove(collection);
    const notice = document.createElement("div");
    notice.className = "notice warning";
    notice.dataset.unsent = "";
    notice.setAttribute("role", "status");
    const words = document.createElement("p");
    words.textContent = `${missing.toLocaleString("en")} of ${drop.total.toLocaleString("en")} files of your last drop ${missing === 1 ? "was" : "were"} not sent. Drop the same folder again.`;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = "Forget it";
    button.onclick = () => { remove(collection); notice.remove(); };
    notice.append(words, button);
    zone.before(notice);
  }

  addEventListener("pagehide", () => writeAll(true));
  const zone = document.querySelector("[data-uploads][data-collection]");
  if (zone) tell(zone);

  return {
    add, forget,
    done: (one) => change(one.collection, 0, 1),
    leaveOut: (one) => change(one.collection, -1, 0),
  };
})();
