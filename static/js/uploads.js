// Uploads: files dropped or chosen go to the server by tus 1.0, a few at a time, and go on where they stopped.
// The server is asked first what it has already, so nothing is kept in the browser but how many are missing (unsent.js).
"use strict";

(() => {
  const CHUNK_BYTES = 8 * 1024 * 1024;
  const PARALLEL = 4;
  const NO_SPACE = 507;
  const TOO_MANY = 429;
  const ASKED_AT_ONCE = 1000;
  const CLAIMED_AT_ONCE = 64;
  const PERHAPS = "perhaps";  // the server has something of that very size
  const RETRY_DELAYS_MS = [0, 1000, 2000, 4000, 8000, 15000, 30000, 60000];
  const LONGEST_DELAY_MS = Math.max(...RETRY_DELAYS_MS);

  const state = { queue: [], active: new Set(), failed: [], total: 0, totalBytes: 0, doneBytes: 0, done: 0, here: 0, unpacked: 0, leftOut: 0, asking: 0, check: { asked: 0, done: 0 }, problem: "", waiting: "", unanswered: "", endpoint: "" };
  let checking = new AbortController();
  let told = 0;
  let drawing = false;

  const zone = () => document.querySelector("[data-uploads]");
  const token = () => JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];

  // --- which files ---

  async function entriesOf(directory) {
    const reader = directory.createReader();
    const found = [];
    for (;;) {  // a browser answers at most 100 at a time
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return found;
      found.push(...some);
    }
  }

  async function walk(entry, found) {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    } else if (entry.isDirectory) {
      for (const one of await entriesOf(entry)) await walk(one, found);
    }
  }

  async function dropped(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    const found = [];
    if (!entries.length) return [...transfer.files].map((file) => ({ file, path: file.name }));
    for (const entry of entries) await walk(entry, found);
    return found;
  }

  // --- to where ---

  function nameFor(files) {
    const folder = files[0].path.split("/");
    if (folder.length > 1) return folder[0];
    if (files.length === 1) return files[0].path.replace(/\.(tar\.\w+|\w+)$/, "") || files[0].path;
    return "Images of " + new Date().toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
  }

  // Not asked twice by itself: where only the answer got lost, there would be two.
  function newCollection(address, name) {
    const body = new FormData();
    body.append("name", name.slice(0, 200));
    return post(address, body, {}, "The collection could not be made.");
  }

  // Shows the new collection without leaving the page, because leaving would stop what is being sent.
  async function show(url) {
    await htmx.ajax("GET", url, { target: "#main", swap: "outerHTML", select: "#main" });
    history.pushState({}, "", url);
    addEventListener("popstate", () => location.reload(), { once: true });
  }

  async function take(files, place) {
    if (!files.length) {
      state.problem = "No files there.";
      return draw();
    }
    files.sort((a, b) => a.path.localeCompare(b.path, "en", { numeric: true }));
    if (!isBusy() && !state.failed.length) unsent.forget();  // of a drop that was given up
    state.endpoint = place.endpoint;
    state.asking += 1;
    state.total += files.length;
    state.problem = "";
    draw();
    try {
      if (!place.collection) {
        const made = await newCollection(place.create, nameFor(files));
        place.collection = String(made.id);
        await show(made.url).catch(() => {});  // what was dropped is sent all the same
      }
      unsent.add(place.collection, files);
      await enqueue(files, place);
    } catch (error) {
      giveUp(files.filter((one) => !one.isSettled), place, error);
    }
    state.asking -= 1;
    if (!state.asking) {
      state.check = { asked: 0, done: 0 };
      checking = new AbortController();
    }
    pump();
    if (!isBusy()) tell();
  }

  // What got no answer can be tried again from here; what was refused cannot.
  function giveUp(files, place, error) {
    if (error instanceof NoAnswer) {
      files.forEach((one) => Object.assign(one, { place, reason: error.message }));
      state.failed = state.failed.concat(files);
    } else {
      state.total -= files.length;
      state.problem = error.message;
    }
  }

  // --- asking ---

  // The same question may well be answered later.
  class NoAnswer extends Error {
    constructor(reason, waitMs = 0) {
      super(reason);
      this.waitMs = waitMs;
    }
  }

  const isPassing = (status) => status === TOO_MANY || (status >= 500 && status !== NO_SPACE);

  async function post(address, body, headers, otherwise) {
    const broken = () => { throw new NoAnswer("the line is broken"); };
    const answer = await fetch(address, { method: "POST", body, headers: { "X-CSRFToken": token(), Accept: "application/json", ...headers } }).catch(broken);
    if (answer.status === 401 || answer.redirected) throw new Error("You are signed out. Sign in, then drop the files again.");
    if (answer.ok) return answer.json().catch(broken);
    if (isPassing(answer.status)) throw new NoAnswer("the server cannot answer now", 1000 * Number(answer.headers.get("Retry-After")) || 0);
    throw new Error(((await answer.json().catch(() => ({}))).error || {}).reason || otherwise);
  }

  const postFiles = (address, collection, question) => post(
    address, JSON.stringify({ collection: Number(collection), ...question }), { "Content-Type": "application/json" },
    "The server did not take the list of files.");

  // Tries again where there was no answer, as late as chunks do or as the server says.
  async function patiently(attempt) {
    try {
      for (const [tries, delay] of RETRY_DELAYS_MS.entries()) {
        try {
          return await attempt(tries);
        } catch (error) {
          if (!(error instanceof NoAnswer)) throw error;
          state.unanswered = `${error.message}, trying again`;
          draw();
          await new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(delay, error.waitMs), LONGEST_DELAY_MS)));
        }
      }
      return await attempt(RETRY_DELAYS_MS.length);
    } finally {
      state.unanswered = "";
    }
  }

  const ask = (address, collection, question) => patiently(() => postFiles(address, collection, question));

  const named = (files) => ({ files: files.map(({ file, path }) => [path, file.size, file.lastModified]) });

  // Returns file -> how many images of its content are here now. A claim may have been heard though its answer got
  // lost: what is here since then is not claimed again, as it would become a duplicate.
  async function claimed(files, { collection, known, claim }) {
    const images = new Map();
    await patiently(async (tries) => {
      if (tries) {
        const answers = await postFiles(known, collection, named(files));
        files.forEach((one, index) => { if (answers.files[index] === "here") images.set(one, 1); });
      }
      const left = files.filter((one) => !images.has(one));
      if (!left.length) return;
      const answers = await postFiles(claim, collection, { files: left.map(({ file, path, sha256 }) => [path, file.size, file.lastModified, sha256]) });
      left.forEach((one, index) => images.set(one, answers.files[index]));
    });
    return images;
  }

  // A settled file is here, left out or to be sent: there is nothing left to ask about it.
  function here(one) {
    one.isSettled = true;
    state.done += 1;
    state.here += 1;
    unsent.done(one);
  }

  function leaveOut(one) {
    one.isSettled = true;
    state.total -= 1;
    state.leftOut += 1;
    unsent.leaveOut(one);
  }

  // Asks what is here by name, then whether there is room for the rest, and only then sends the first byte.
  // The content is looked at where that is quick, or where something of the same size is here. In a worker it takes as long
  // as sending does: Chromium 156 on two cores with four times their work to do hashed 17 MB a second (40 to 46 a second of
  // computing; the browser's own 95 to 168) and sent 19. For what is new, most of what is dropped, it would be time lost.
  async function enqueue(files, place) {
    const { collection, known, room } = place;
    const fresh = [];
    const asked = [];
    const unfinished = [];
    for (let start = 0; start < files.length; start += ASKED_AT_ONCE) {
      const some = files.slice(start, start + ASKED_AT_ONCE);
      const answers = await ask(known, collection, named(some));
      answers.files.forEach((known, index) => {
        const one = Object.assign(some[index], { collection });
        if (known === "left out") return leaveOut(one);
        if (known === "here") return here(one);
        if (known && known !== PERHAPS) unfinished.push(Object.assign(one, { url: known }));
        else if (known || digests.isQuick(one.file)) asked.push(one);
        else fresh.push(one);
      });
    }
    const bytes = (some) => some.reduce((sum, one) => sum + one.file.size, 0);
    const hasRoom = () => ask(room, collection, { bytes: bytes(fresh) + bytes(asked) });
    state.check.asked += bytes(asked.filter((one) => one.sha256 === undefined && !digests.isQuick(one.file)));
    draw();
    try {
      await hasRoom();
    } catch (error) {  // perhaps most of it is here under other names: look at the content of everything before giving up
      if (error instanceof NoAnswer) throw error;
      asked.splice(0, asked.length, ...await offered(asked, place));
      await hasRoom();
    }
    unfinished.concat(fresh).forEach(push);
    pump();
    for (const some of batches(asked)) {
      (await offered(some, place)).forEach(push);
      pump();
    }
  }

  // Large files come last and alone, so that the others are sent while they are read.
  function batches(files) {
    const small = files.filter((one) => one.file.size <= digests.WHOLE_BYTES);
    const found = [];
    for (let start = 0; start < small.length; start += CLAIMED_AT_ONCE) found.push(small.slice(start, start + CLAIMED_AT_ONCE));
    return found.concat(files.filter((one) => one.file.size > digests.WHOLE_BYTES).map((one) => [one]));
  }

  function push(one) {
    one.isSettled = true;
    state.totalBytes += one.file.size;
    state.queue.push(one);
  }

  // Returns the files whose content the server does not have, and those of which nobody can or wants to wait to know it.
  async function offered(files, place) {
    const missing = [];
    for (let start = 0; start < files.length; start += CLAIMED_AT_ONCE) {
      const some = files.slice(start, start + CLAIMED_AT_ONCE);
      const waiting = some.filter((one) => one.sha256 === undefined);
      await Promise.all(Array.from({ length: PARALLEL }, async () => {
        for (let one = waiting.pop(); one; one = waiting.pop()) one.sha256 = await digests.of(one.file, checking.signal, advance);
      }));
      const images = await claimed(some.filter((one) => one.sha256), place);
      some.forEach((one) => {
        if (!images.get(one)) return missing.push(one);
        if (images.get(one) > 1) state.unpacked += images.get(one);
        here(one);
      });
      if (some.some((one) => images.get(one))) tell();
    }
    return missing;
  }

  function advance(bytes) {
    state.check.done += bytes;
    drawSoon();
  }

  function stopChecking() {
    checking.abort();
    state.check = { asked: 0, done: 0 };
    draw();
  }

  // --- sending ---

  function pump() {
    while (state.active.size < PARALLEL && state.queue.length) send(state.queue.shift());
    if (!isBusy() && !state.failed.length && !state.problem) unsent.forget();
    if (isBusy()) drawSoon(); else draw();
  }

  function send(one) {
    one.sent = 0;
    const upload = new tus.Upload(one.file, {
      endpoint: state.endpoint, uploadUrl: one.url || null, chunkSize: CHUNK_BYTES, uploadDataDuringCreation: true,
      storeFingerprintForResuming: false, retryDelays: RETRY_DELAYS_MS,
      metadata: { filename: one.path, collection: one.collection, modified: String(one.file.lastModified), ...(one.sha256 && { sha256: one.sha256 }) },
      headers: { "X-CSRFToken": token() },
      onProgress: (sent) => { one.sent = sent; state.waiting = ""; drawSoon(); },
      onShouldRetry: (error) => {
        const status = error.originalResponse ? error.originalResponse.getStatus() : 0;
        state.waiting = status === NO_SPACE ? error.originalResponse.getBody() : status ? "" : "the line is broken, trying again";
        return !status || status >= 500 || status === 409 || status === 423;
      },
      onSuccess: () => { state.done += 1; state.doneBytes += one.file.size; state.active.delete(one); unsent.done(one); tell(); pump(); },
      onError: (error) => {
        const answer = error.originalResponse;
        one.reason = (answer && answer.getBody()) || "the connection broke";
        if (one.reason.startsWith("{")) { try { one.reason = JSON.parse(one.reason).error.reason || one.reason; } catch { /* as it is */ } }
        one.url = upload.url;
        state.failed.push(one); state.active.delete(one); pump();
      },
    });
    state.active.add(one);
    upload.start();
  }

  // Tells the page, about once a second and at the end, that there is something new to read.
  function tell() {
    const last = !isBusy();
    if (!last && Date.now() - told < 1000) return;
    if (document.querySelector("#arrivals:is(.htmx-request, .htmx-settling)")) {  // being replaced, it would not hear
      if (last) setTimeout(tell, 200);
      return;
    }
    told = Date.now();
    htmx.trigger(document.body, "uploads-sent");
  }

  function again() {
    const failed = state.failed.splice(0);
    const unasked = failed.filter((one) => !one.isSettled);
    state.problem = "";
    state.total -= unasked.length;
    state.queue = state.queue.concat(failed.filter((one) => one.isSettled));
    new Set(unasked.map((one) => one.place)).forEach((place) => take(unasked.filter((one) => one.place === place), place));
    pump();
  }

  const isBusy = () => state.queue.length + state.active.size + state.asking > 0;

  // --- the dock ---

  function drawSoon() {
    if (drawing) return;
    drawing = true;
    setTimeout(() => { drawing = false; if (dock.isOpen()) draw(); }, 200);
  }

  function draw() {
    const busy = isBusy() && !state.problem;
    dock.draw(state, busy, {
      ...(busy && state.check.asked && { "Send without checking": stopChecking }),
      ...(!busy && state.failed.length && { "Try these again": again }),
      ...(!busy && { Close: close }),
    });
  }

  function close() {
    dock.close();
    unsent.forget();
    Object.assign(state, { failed: [], total: 0, totalBytes: 0, doneBytes: 0, done: 0, here: 0, unpacked: 0, leftOut: 0, problem: "" });
  }

  // --- listening ---

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pick]");
    if (button) button.closest("[data-uploads]").querySelector(`[data-input=${button.dataset.pick}]`).click();
  });
  document.addEventListener("change", (event) => {
    const input = event.target.closest("[data-uploads] [data-input]");
    if (!input || !input.files.length) return;
    const files = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
    take(files, { ...input.closest("[data-uploads]").dataset });
    input.value = "";
  });
  let depth = 0;
  const carriesFiles = (event) => zone() && event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) { depth += 1; document.body.classList.add("dragging"); } });
  document.addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (!depth) document.body.classList.remove("dragging"); });
  document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  document.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    document.body.classList.remove("dragging");
    const place = { ...zone().dataset };
    take(await dropped(event.dataTransfer), place);
  });
  addEventListener("online", () => { if (state.failed.length) again(); });
  addEventListener("beforeunload", (event) => { if (isBusy()) event.preventDefault(); });
})();
