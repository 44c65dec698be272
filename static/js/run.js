// The run page: losses drawn as they come, and the newest line of the log in sight.
"use strict";

(() => {
  const POLL_MS = 2000;
  const SHARES = { confident: "confident answers", spread: "spread of images" };  // no losses: dashed, on the axis at the right
  const WHOLE_STEPS = [1, 2, 5].flatMap((one) => [0, 1, 2, 3, 4, 5, 6].map((power) => one * 10 ** power)).sort((a, b) => a - b);

  document.addEventListener("htmx:oobAfterSwap", (event) => {  // the log's newest line stays in sight
    if (event.detail.target.matches("pre.log")) event.detail.target.scrollTop = event.detail.target.scrollHeight;
  });

  const said = document.getElementById("said");  // what is replaced every second would be read out every second
  function say() {
    const text = [...document.querySelectorAll("#live [data-said]")].map((one) => one.textContent).join(" ");
    if (said && said.textContent !== text) said.textContent = text;
  }
  say();
  document.addEventListener("htmx:afterSwap", say);

  const place = document.getElementById("losses");
  if (!place) return;

  const steps = new Map();  // step -> terms; a resumed run writes some steps again, and the later ones count
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let after = 0;
  let plot = null;
  let names = [];

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    const series = dark.matches ? ["#4fd1c0", "#e8bb62", "#9db7ff", "#ff9c94", "#c7a6ff", "#93a1a9"]
      : ["#0f766e", "#b26a00", "#3457b1", "#b3261e", "#7a4bb5", "#5d6a72"];
    return { series, text: read("--pico-muted-color"), line: read("--line") };
  }

  function draw() {
    const found = Array.from(steps.keys()).sort((a, b) => a - b);
    const seen = [];
    for (const terms of steps.values()) for (const name of Object.keys(terms)) if (!seen.includes(name)) seen.push(name);
    if (!found.length) return;
    document.getElementById("losses-panel").hidden = false;
    const data = [found, ...seen.map((name) => found.map((step) => steps.get(step)[name] ?? null))];
    if (plot && seen.join() === names.join()) { plot.setData(data); return; }
    if (plot) plot.destroy();
    names = seen;
    const { series, text, line } = colours();
    const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const percent = (value) => `${Math.round(100 * value)} %`;
    const shares = { ...axis, scale: "share", side: 1, size: 60, grid: { show: false }, values: (_, values) => values.map(percent) };
    plot = new uPlot({
      width: place.clientWidth, height: 240, scales: { x: { time: false }, share: { range: [0, 1] } },
      cursor: { drag: { setScale: false } },
      axes: [{ ...axis, incrs: WHOLE_STEPS }, { ...axis, size: 56 }, ...(seen.some((name) => name in SHARES) ? [shares] : [])],
      series: [{ label: "step" }, ...seen.map((name, index) => ({
        label: name.replaceAll("_", " "), stroke: series[index % series.length], width: name === "loss" ? 2.5 : 1.5,
        spanGaps: true, points: { show: found.length < 2 },
        ...(name in SHARES ? { label: SHARES[name], scale: "share", dash: [6, 4], value: (_, value) => value === null ? "–" : percent(value) }
          : { value: (_, value) => value === null ? "–" : value.toPrecision(3) }),
      }))],
    }, data, place);
  }

  async function poll() {
    let wait = POLL_MS;
    try {
      const answer = await fetch(`${place.dataset.points}?after=${after}`, { headers: { Accept: "application/json" } });
      if (answer.status === 401 || answer.status === 404) return;
      if (answer.ok) {
        const { points, after: last, more, terminal } = await answer.json();
        for (const [step, terms] of points) steps.set(step, terms);
        after = last;
        if (points.length) draw();
        if (terminal && !more) return;
        if (more) wait = 0;
      }
    } catch { /* the server is away for a moment: base page says so, this asks again */ }
    setTimeout(poll, wait);
  }

  addEventListener("resize", () => { if (plot) plot.setSize({ width: place.clientWidth, height: 240 }); });
  dark.addEventListener("change", () => { names = []; draw(); });
  poll();
})();
