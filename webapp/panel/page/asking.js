// What the server answers to the panel's events, in words: refusals, silence, the sign-in; and what others did.
(() => {
  "use strict";
  const lf = window.lf;
  const place = () => document.querySelector("[data-alert]");
  const AWAY = "The server does not answer: this was not done. Try again in a minute.";
  const FAILED = "This did not work. Reload the page and try again.";
  const LOOK_AGAIN = ["confirm", "correct", "undo", "redo"];  // refused, perhaps, for what the page does not show yet

  // Gradio says nothing of an event that is refused or fails where, as here, it is sent in one request.
  const ask = window.fetch.bind(window);
  let said = 0;
  window.fetch = async (resource, request) => {
    if (!String(resource.url ?? resource).includes("/gradio_api/run/")) return ask(resource, request);
    const [before, command] = [said, commandOf(request)];
    const answer = await ask(resource, request).catch(silence);
    if (answer.ok) {
      if (before === said && !command.quiet) say("");
      return answer;
    }
    lf.refused(command);
    if (answer.status === 401) signedOut();
    else say(await reason(answer.clone()));
    if (answer.status === 422 && LOOK_AGAIN.includes(command.handler)) lf.press("show", { quiet: true });
    return answer;
  };

  function commandOf(request) {
    try { return JSON.parse(JSON.parse(request.body).data[0]); } catch { return {}; }
  }

  function silence() {  // where a request throws, Gradio waits for the server and loads the page anew
    return new Response(JSON.stringify({ error: AWAY }), { status: 503, headers: { "Content-Type": "application/json" } });
  }

  async function reason(answer) {
    const text = await answer.text();
    if (answer.headers.get("Content-Type")?.startsWith("text/plain")) return text;
    try { return JSON.parse(text).error || FAILED; } catch { return FAILED; }
  }

  function say(text, ...more) {
    if (text) said += 1;
    if (place() && (place().textContent || text)) place().replaceChildren(text, ...more);
  }

  function signedOut() {
    if (place()?.querySelector("a")) return;
    const link = document.createElement("a");
    const { pathname, search } = window.top.location;
    Object.assign(link, { href: pathname + search, target: "_top", textContent: "Sign in again" });
    say("You are signed out. ", link);  // this page asks for the sign-in, and comes after it
  }

  // How soon this browser shows what another one did. One that nobody looks at does not ask.
  setInterval(async () => {
    const shown = lf.head()?.dataset;
    if (!shown?.asks || document.hidden) return;
    const answer = await fetch(shown.asks).catch(() => null);  // away: asked again
    if (answer?.redirected) { signedOut(); return; }  // to the sign-in page
    if (answer?.ok && place()?.querySelector("a")) say("");  // signed in again, in another tab
    const changed = answer?.ok ? (await answer.text()) !== lf.head()?.dataset.version : answer?.status === 404;
    if (changed) lf.press("refresh", { quiet: true });
  }, 5000);

  Object.assign(lf, { say, signedOut, away: () => say(AWAY) });
})();
