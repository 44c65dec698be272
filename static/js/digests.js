// Digests: the SHA-256 of a file of any size, without holding up the page.
"use strict";

window.digests = (() => {
  // The browser's own takes a file only as a whole, and is there only over https or on the machine itself.
  const WHOLE_BYTES = 64 * 1024 * 1024;
  const SCRIPT = new URL("digest_worker.js", document.currentScript.src);
  const idle = [];

  const isQuick = (file) => Boolean(crypto.subtle) && file.size <= WHOLE_BYTES;

  async function whole(file) {
    const content = await file.arrayBuffer().catch(() => null);  // gone or not readable: sending it says so by name
    if (!content) return "";
    const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function sliced(file, signal, advance) {
    return new Promise((resolve) => {
      const worker = idle.pop() || new Worker(SCRIPT, { type: "module" });
      const end = (sha256, isFit) => {
        signal.removeEventListener("abort", stop);
        if (isFit) idle.push(worker); else worker.terminate();
        resolve(sha256);
      };
      const stop = () => end("", false);
      signal.addEventListener("abort", stop);
      worker.onerror = stop;  // a browser older than workers that import
      worker.onmessage = ({ data }) => { if (data.sha256 === undefined) advance(data.bytes); else end(data.sha256, true); };
      worker.postMessage(file);
    });
  }

  // Returns 64 hexadecimal digits; "" where the file cannot be read, or when the signal aborts.
  async function of(file, signal, advance) {
    if (signal.aborted) return "";
    return isQuick(file) ? whole(file) : sliced(file, signal, advance);
  }

  return { of, isQuick, WHOLE_BYTES };
})();
