// Try an image: Django's form, sent to a Django view (never through Gradio), and polled until a worker answers.
(() => {
  "use strict";
  const lf = window.lf;
  const EVERY_MILLISECONDS = 1500;
  const root = () => document.querySelector("[data-island=try]");

  async function show(request) {
    const island = root();
    const address = lf.head()?.dataset.trials;
    if (!island || !address) return;
    const answer = await fetch(address, { headers: { Accept: "text/html" }, ...request }).catch(() => null);
    if (answer === null) {
      lf.away();
      island.querySelector("form")?.reset();  // so that the same picture can be chosen again
      return;
    }
    if (answer.redirected) { lf.signedOut(); return; }
    lf.say("");
    if (answer.ok || answer.status === 422) island.innerHTML = await answer.text();
    else island.innerHTML = '<p class="lf-refusal" role="alert">This picture could not be sent. Reload the page and try again.</p>';
  }

  const send = (form, file) => {
    const body = new FormData(form);
    if (file) body.set("image", file);
    form.closest("[data-island]").classList.add("lf-busy");
    show({ method: "POST", body }).finally(() => root()?.classList.remove("lf-busy"));
  };

  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form.lf-try");
    if (form && event.target.files?.length) send(form);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest?.("form.lf-try");
    if (!form) return;
    event.preventDefault();
    send(form);
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      const drop = event.target.closest?.(".lf-drop");
      if (!drop) return;
      event.preventDefault();
      drop.classList.toggle("lf-over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) send(drop.closest("form"), event.dataTransfer.files[0]);
    });
  }

  setInterval(async () => {
    for (const trial of document.querySelectorAll("[data-waits]")) {
      const answer = await fetch(trial.dataset.waits).catch(() => null);  // away: asked again
      if (answer?.redirected) { lf.signedOut(); return; }  // to the sign-in page
      if (answer?.ok && trial.isConnected) trial.outerHTML = await answer.text();
    }
  }, EVERY_MILLISECONDS);
  document.addEventListener("lf:opened", (event) => {
    if (event.detail === "try") setTimeout(() => { if (!root()?.querySelector("form")) show(); }, 60);
  });
})();
