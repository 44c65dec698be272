// The panel's script: what is selected, which tab and page are open, keys. Nothing is kept but in the page:
// every answer is in the database. Gradio's events take `lf.command(handler)` as their first value.
(() => {
  "use strict";
  const state = { view: "answers", pages: {}, selected: new Set(), everything: false, alone: false, last: null,
    image: null, once: {} };
  const TAKING = ["confirm", "correct"];  // the selection goes with these: what is selected next is not meant
  const find = (query) => document.querySelector(query);
  const all = (query) => [...document.querySelectorAll(query)];
  const head = () => find(".lf-head");
  const menu = () => find("#lf-label-as input");
  const open = () => find(`[data-view="${state.view}"]`);
  const tileOf = (id) => open()?.querySelector(`.lf-tile[data-image="${id}"]`);
  const press = (handler, once = {}) => {
    state.once[handler] = once;
    find(`#lf-${handler.replace("_", "-")}`)?.click();
  };

  const lf = {
    state,
    head,
    press,
    command(handler) {
      const once = state.once[handler];
      delete state.once[handler];
      const command = {
        handler, view: state.view, page: state.pages[state.view] || 1, everything: state.everything,
        matching: state.everything ? matching() : 0, ids: state.everything ? [] : [...state.selected],
        image_id: state.image, action_id: Number(head()?.dataset[`${handler}Action`]) || null, ...once,
      };
      if (TAKING.includes(handler)) clear();
      return JSON.stringify(command);
    },
    refused(command) {
      if (!TAKING.includes(command.handler) || state.everything || state.selected.size) return;
      command.ids.forEach((id) => state.selected.add(id));
      state.everything = command.everything && command.view === state.view;
      paint();
    },
    opened(view) {
      if (state.view !== view) { state.everything = false; state.image = null; }
      state.view = view;
      document.body.dataset.lfView = view;
      document.dispatchEvent(new CustomEvent("lf:opened", { detail: view }));
      paint();
    },
    filtered() { state.pages.answers = 1; clear(); },
    toAnswers() { tab("Answers")?.click(); },
    select(ids, add) {
      if (!add) state.selected.clear();
      ids.forEach((id) => state.selected.add(id));
      state.everything = state.alone = false;
      paint();
    },
    closely(id) {
      if (id === null && state.image === null) return;
      state.image = id;
      press("inspect");
    },
  };
  window.lf = lf;
  document.documentElement.dataset.lfView = state.view;

  function clear() {
    state.selected.clear();
    state.everything = state.alone = false;
    state.last = null;
    paint();
  }

  function matching() {
    return Number(open()?.dataset.matching || 0);
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
    const count = state.everything ? matching() : state.selected.size;
    const away = state.everything || views === "map" ? 0 : count - seen.size;  // the map shows every image
    const text = !count ? "Nothing selected" : state.alone ? "Only this one is selected"
      : `${count.toLocaleString("en")} selected${away > 0 ? `, ${away.toLocaleString("en")} not on this page` : ""}`;
    for (const label of all("[data-selected]")) if (label.textContent !== text) label.textContent = text;
    document.body.classList.toggle("lf-any", count > 0);
    document.dispatchEvent(new CustomEvent("lf:painted"));
  }

  function choose(tile, range) {
    const id = Number(tile.dataset.image);
    const tiles = [...(tile.closest("[data-view]")?.querySelectorAll(".lf-tile") || [tile])];
    const from = tiles.findIndex((one) => Number(one.dataset.image) === state.last);
    state.alone = state.everything;
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
    lf.closely(state.selected.has(id) ? id : null);
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
      press("show");
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
      leave();
    }
    if (at("[data-close]")) lf.closely(null);
    const row = at("[data-open-class]");
    if (row) showClass(row.dataset.openClass);
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
    press("rename", { class_index: Number(form.dataset.rename), name: form.elements.name.value });
  });

  function showClass(index) {
    lf.filtered();
    press("only_class", { view: "answers", page: 1, class_index: Number(index) });
  }

  function tab(name) {
    return all("#lf-tabs [role=tab]").find((one) => one.textContent.trim() === name);
  }

  function leave() {
    clear();
    lf.closely(null);
  }

  document.addEventListener("keydown", (event) => {
    if (event.target === menu()) { inMenu(event.key); return; }
    const typing = event.target.closest?.("input, textarea, select, [contenteditable], [role=listbox]");
    if (typing || event.altKey) return;
    const control = event.ctrlKey || event.metaKey;
    const any = state.everything || state.selected.size > 0;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) press("undo");
    else if (control && (key === "y" || (key === "z" && event.shiftKey))) press("redo");
    else if (control) return;
    else if (/^[0-9]$/.test(key) && any) label(key);
    else if (key === "enter" && any && !event.target.closest?.("button:not(.lf-tile), a, summary")) press("confirm");
    else if (key === "escape") leave();
    else if (key === "l" && menu()) toMenu();
    else if (key === "a") find(`[data-view="${state.view}"] [data-select=page]`)?.click();
    else return;
    event.preventDefault();
  });

  function label(digit) {
    const index = (Number(digit) + 9) % 10;  // 1 is the first class, 0 the tenth
    const classes = Number(head()?.dataset.classes);
    if (index < classes) press("correct", { class_index: index });
    else lf.say(`No class has the key ${digit}: this run has ${classes} classes.`);
  }

  let from = null;  // the image from which a key led to the menu
  let returned = null;  // the one to which it led back: its tile is drawn anew
  function toMenu() {
    from = Number(document.activeElement?.closest(".lf-tile")?.dataset.image) || state.last;
    menu().focus();
  }
  function inMenu(key) {
    if (from === null || !["Enter", "Escape"].includes(key)) return;
    returned = from;
    from = null;
    setTimeout(() => {  // when the menu has taken what was written
      if (key === "Enter") press("correct");
      tileOf(returned)?.focus();
    });
  }
  document.addEventListener("focusin", (event) => {
    if (Number(event.target.dataset.image) !== returned) returned = null;
    if (event.target !== menu()) from = null;
  });

  document.addEventListener("load", (event) => {
    if (event.target.tagName === "IMG" && event.target.naturalWidth < 64) event.target.classList.add("lf-tiny");
  }, true);

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
      if (names !== null) press("show");  // another one renamed a class: the menus are drawn anew
      names = called;
    }
    for (const verb of ["undo", "redo"]) offer(find(`#lf-${verb}`), verb, head()?.dataset[verb]);
    if (menu() && !menu().placeholder) menu().placeholder = "Choose a class";
    const view = find(`.lf-view [data-view="${state.view}"]`);
    if (view) state.pages[state.view] = Number(view.dataset.page || 1);
    if (returned !== null && document.activeElement === document.body) tileOf(returned)?.focus({ preventScroll: true });
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
