// The panel's script: what is selected, which tab and page are open, keys. Nothing is kept but in the page:
// every answer is in the database. Gradio's events take `lf.command()` as their first value.
(() => {
  "use strict";
  const state = { view: "answers", pages: {}, selected: new Set(), everything: false, last: null, image: null, once: {} };
  const find = (query) => document.querySelector(query);
  const all = (query) => [...document.querySelectorAll(query)];
  const press = (id, once = {}) => { state.once = once; find(`#${id}`)?.click(); };
  const head = () => find(".lf-head");

  const lf = {
    state,
    head,
    command() {
      const once = state.once;
      state.once = {};
      return JSON.stringify({
        view: state.view, page: state.pages[state.view] || 1, everything: state.everything,
        ids: state.everything ? [] : [...state.selected], image_id: state.image, ...once,
      });
    },
    opened(view) {
      if (state.view !== view) { state.everything = false; state.image = null; }
      state.view = view;
      document.body.dataset.lfView = view;
      document.dispatchEvent(new CustomEvent("lf:opened", { detail: view }));
      paint();
    },
    filtered() { state.pages.answers = 1; clear(); },
    done() { clear(); },
    toAnswers() { tab("Answers")?.click(); },
    select(ids, add) {
      if (!add) state.selected.clear();
      ids.forEach((id) => state.selected.add(id));
      state.everything = false;
      paint();
    },
    closely(id) {
      state.image = id;
      press("lf-inspect");
    },
  };
  window.lf = lf;
  document.documentElement.dataset.lfView = state.view;

  function clear() {
    state.selected.clear();
    state.everything = false;
    state.last = null;
    paint();
  }

  function paint() {
    const views = state.view;
    const seen = new Set();
    for (const tile of all(".lf-tile")) {
      const here = tile.closest("[data-view]")?.dataset.view === views;
      const on = state.everything ? here : state.selected.has(Number(tile.dataset.image));
      if (on && here) seen.add(tile.dataset.image);
      if (tile.getAttribute("aria-pressed") !== String(on)) tile.setAttribute("aria-pressed", String(on));
    }
    const count = state.everything
      ? Number(find(`[data-view="${views}"]`)?.dataset.matching || 0) : state.selected.size;
    const away = state.everything || views === "map" ? 0 : count - seen.size;  // the map shows every image
    const text = !count ? "Nothing selected"
      : `${count.toLocaleString("en")} selected${away > 0 ? `, ${away.toLocaleString("en")} not on this page` : ""}`;
    for (const label of all("[data-selected]")) if (label.textContent !== text) label.textContent = text;
    document.body.classList.toggle("lf-any", count > 0);
    document.dispatchEvent(new CustomEvent("lf:painted"));
  }

  function choose(tile, range) {
    const id = Number(tile.dataset.image);
    const tiles = [...(tile.closest("[data-view]")?.querySelectorAll(".lf-tile") || [tile])];
    const from = tiles.findIndex((one) => Number(one.dataset.image) === state.last);
    if (state.everything) { state.everything = false; state.selected.clear(); }
    if (range && from >= 0) {
      const to = tiles.indexOf(tile);
      tiles.slice(Math.min(from, to), Math.max(from, to) + 1)
        .forEach((one) => state.selected.add(Number(one.dataset.image)));
    } else if (state.selected.has(id)) {
      state.selected.delete(id);
    } else {
      state.selected.add(id);
    }
    state.last = id;
    paint();
    lf.closely(id);
  }

  document.addEventListener("click", (event) => {
    const at = (query) => event.target.closest?.(query);
    const tile = at(".lf-tile");
    if (tile) {
      event.preventDefault();
      choose(tile, event.shiftKey);
      return;
    }
    const page = at("[data-page]");
    if (page?.tagName === "BUTTON") {
      state.pages[state.view] = Number(page.dataset.page);
      press("lf-show");
      page.closest("[data-view]").scrollIntoView({ block: "start" });
      return;
    }
    const select = at("[data-select]")?.dataset.select;
    if (select === "page") {
      const tiles = [...at("[data-view]").querySelectorAll(".lf-tile")];
      lf.select(tiles.map((one) => Number(one.dataset.image)), true);
    } else if (select === "everything") {
      state.everything = true;
      paint();
    } else if (select === "nothing") {
      clear();
    }
    const open = at("[data-open-class]");
    if (open) showClass(open.dataset.openClass);
    const suggested = at("[data-suggest]");
    if (suggested) {
      const field = suggested.closest("[data-class]").querySelector("input[name=name]");
      field.value = suggested.dataset.suggest;
      field.form.requestSubmit();
    }
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest?.("[data-rename]");
    if (!form) return;
    event.preventDefault();
    press("lf-rename", { class_index: Number(form.dataset.rename), name: form.elements.name.value });
  });

  function showClass(index) {
    lf.filtered();
    press("lf-only-class", { view: "answers", page: 1, class_index: Number(index) });
  }

  function tab(name) {
    return all("#lf-tabs [role=tab]").find((one) => one.textContent.trim() === name);
  }

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable], [role=listbox]");
    if (typing || event.altKey) return;
    const control = event.ctrlKey || event.metaKey;
    const any = state.everything || state.selected.size > 0;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) press("lf-undo");
    else if (control && (key === "y" || (key === "z" && event.shiftKey))) press("lf-redo");
    else if (control) return;
    else if (/^[0-9]$/.test(key) && any) label(key);
    else if (key === "enter" && any && !event.target.closest?.("button:not(.lf-tile), a, summary")) press("lf-confirm");
    else if (key === "escape") clear();
    else if (key === "a") find(`[data-view="${state.view}"] [data-select=page]`)?.click();
    else return;
    event.preventDefault();
  });

  function label(digit) {
    const index = (Number(digit) + 9) % 10;  // 1 is the first class, 0 the tenth
    const classes = Number(head()?.dataset.classes);
    if (index < classes) press("lf-correct", { class_index: index });
    else say(`No class has the key ${digit}: this run has ${classes} classes.`);
  }

  document.addEventListener("load", (event) => {
    if (event.target.tagName === "IMG" && event.target.naturalWidth < 64) event.target.classList.add("lf-tiny");
  }, true);

  // Gradio says nothing of an event that is refused or fails where, as here, it is sent in one request.
  const ask = window.fetch.bind(window);
  let said = 0;
  window.fetch = async (resource, request) => {
    if (!String(resource.url ?? resource).includes("/gradio_api/run/")) return ask(resource, request);
    const before = said;
    let answer;
    try {
      answer = await ask(resource, request);
    } catch (error) {
      say("The server does not answer: this was not done. Try again in a minute.");
      throw error;
    }
    if (answer.ok && before === said) say("");
    else if (answer.status === 401) signedOut();
    else if (!answer.ok) say(await reason(answer.clone()));
    return answer;
  };

  async function reason(answer) {
    const text = await answer.text();
    if (answer.headers.get("Content-Type")?.startsWith("text/plain")) return text;
    try { return JSON.parse(text).error || FAILED; } catch { return FAILED; }
  }
  const FAILED = "This did not work. Reload the page and try again.";

  function say(text, ...more) {
    if (text) said += 1;
    const place = find("[data-alert]");
    if (place && (place.textContent || text)) place.replaceChildren(text, ...more);
  }

  function signedOut() {
    if (find("[data-alert] a")) return;
    const link = document.createElement("a");
    const { pathname, search } = window.top.location;
    Object.assign(link, { href: pathname + search, target: "_top", textContent: "Sign in again" });
    say("You are signed out. ", link);  // this page asks for the sign-in, and comes after it
  }
  lf.signedOut = signedOut;

  // How soon this browser shows what another one did. One that nobody looks at does not ask.
  setInterval(async () => {
    const shown = head()?.dataset;
    if (!shown?.asks || document.hidden) return;
    const answer = await fetch(shown.asks).catch(() => null);  // away: asked again
    if (answer?.redirected) { signedOut(); return; }  // to the sign-in page
    if (answer?.ok && find("[data-alert] a")) say("");  // signed in again, in another tab
    const changed = answer?.ok ? (await answer.text()) !== head()?.dataset.version : answer?.status === 404;
    if (changed) press("lf-refresh");
  }, 5000);

  let version = null;
  let names = null;
  let waiting = false;
  function settled() {
    waiting = false;
    const now = head()?.dataset.version ?? null;
    if (now !== version) {
      version = now;
      document.dispatchEvent(new CustomEvent("lf:changed"));
    }
    const called = head()?.dataset.names ?? names;
    if (called !== names) {
      if (names !== null) press("lf-show");  // another one renamed a class: the menus are drawn anew
      names = called;
    }
    for (const verb of ["undo", "redo"]) offer(find(`#lf-${verb}`), verb, head()?.dataset[verb]);
    const menu = find("#lf-label-as input");
    if (menu && !menu.placeholder) menu.placeholder = "Choose a class";
    const view = find(`.lf-view [data-view="${state.view}"]`);
    if (view) state.pages[state.view] = Number(view.dataset.page || 1);
    paint();
  }
  function offer(button, verb, what) {
    if (!button) return;
    const name = verb[0].toUpperCase() + verb.slice(1);
    const text = what ? `${name}: ${what}` : name;
    if (button.textContent.trim() !== text) button.textContent = text;
    button.disabled = !what;
  }

  new MutationObserver((changes) => {
    if (waiting || changes.every((one) => one.target.closest?.("[data-island], [data-selected], [data-alert]"))) return;
    waiting = true;
    requestAnimationFrame(settled);
  }).observe(document.documentElement, { childList: true, subtree: true });

  const dock = new ResizeObserver(([one]) => {
    document.body.style.setProperty("--lf-dock", `${Math.ceil(one.target.offsetHeight)}px`);
  });
  document.addEventListener("lf:changed", () => { const place = find("#lf-dock"); if (place) dock.observe(place); });

  let wanted = new URLSearchParams(location.search).get("tab");  // "Try an image" on a run's page comes with ?tab=try
  document.addEventListener("lf:changed", () => {
    const first = wanted && all("#lf-tabs [role=tab]").find((one) => one.textContent.trim().toLowerCase() === wanted);
    if (first) { wanted = null; first.click(); }
  });

  const outer = (() => { try { return window.parent.document.documentElement.dataset.theme; } catch { return null; } })();
  if (outer) addEventListener("load", () => document.body.classList.toggle("dark", outer === "dark"));
})();
