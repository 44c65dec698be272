// The embedding map: a canvas of every image, coloured by class. Drag draws a lasso, the wheel zooms.
(() => {
  "use strict";
  const lf = window.lf;
  const map = { data: null, stale: true, zoom: 1, left: 0, top: 0, lasso: [], hover: -1, only: null };
  const root = () => document.querySelector("[data-island=map]");
  const colour = (index) => `hsl(${(index * 137.508 + 172) % 360} ${58 + (index % 3) * 12}% ${dark() ? 62 : 44}%)`;
  const dark = () => document.body.classList.contains("dark");

  function build(island) {
    island.innerHTML = `<p class="lf-line"><span>Pictures that look alike to the model lie close together.</span>
      <span class="lf-quiet">Drag around some to select them, Shift to add. The wheel zooms, a double click shows all.</span></p>
      <div class="lf-plane"><canvas tabindex="0" aria-label="Map of the images"></canvas><div class="lf-tip" hidden></div></div>
      <div class="lf-legend"></div>`;
    const canvas = island.querySelector("canvas");
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      map.lasso = [place(canvas, event)];
    });
    canvas.addEventListener("pointermove", (event) => {
      const at = place(canvas, event);
      if (map.lasso.length) { map.lasso.push(at); hover(canvas, -1); } else hover(canvas, nearest(canvas, at), at);
      draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      const drawn = map.lasso;
      map.lasso = [];
      const at = place(canvas, event);
      const width = Math.max(...drawn.map((one) => one[0])) - Math.min(...drawn.map((one) => one[0]));
      const height = Math.max(...drawn.map((one) => one[1])) - Math.min(...drawn.map((one) => one[1]));
      if (drawn.length > 2 && Math.max(width, height) > 6) lf.select(inside(canvas, drawn), event.shiftKey);
      else pick(canvas, at, event.shiftKey);
      draw();
    });
    canvas.addEventListener("pointerleave", () => { hover(canvas, -1); draw(); });
    canvas.addEventListener("dblclick", () => { Object.assign(map, { zoom: 1, left: 0, top: 0 }); draw(); });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const [x, y] = place(canvas, event);
      const size = side(canvas);
      const zoom = Math.min(40, Math.max(1, map.zoom * Math.exp(-event.deltaY / 400)));
      map.left = clamp(map.left + x / size * (1 / map.zoom - 1 / zoom), zoom);
      map.top = clamp(map.top + y / size * (1 / map.zoom - 1 / zoom), zoom);
      map.zoom = zoom;
      draw();
    }, { passive: false });
    new ResizeObserver(draw).observe(canvas);
  }

  const clamp = (value, zoom) => Math.min(1 - 1 / zoom, Math.max(0, value));
  const side = (canvas) => canvas.clientWidth;
  function place(canvas, event) {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
  const margin = 0.02;
  function point(canvas, index) {
    const { x, y, units } = map.data;
    const scale = (value, from, length) => ((margin + value / units * (1 - 2 * margin)) - from) * map.zoom * length;
    return [scale(x[index], map.left, side(canvas)), scale(y[index], map.top, canvas.clientHeight)];
  }
  const shown = (index) => map.only === null || map.data.classes[index] === map.only;

  function nearest(canvas, [x, y]) {
    if (!map.data) return -1;
    let best = -1;
    let least = 144;
    for (let index = 0; index < map.data.ids.length; index += 1) {
      if (!shown(index)) continue;
      const [px, py] = point(canvas, index);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) { least = distance; best = index; }
    }
    return best;
  }

  function inside(canvas, polygon) {
    const found = [];
    for (let index = 0; index < map.data.ids.length; index += 1) {
      if (!shown(index)) continue;
      const [x, y] = point(canvas, index);
      let odd = false;
      for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i, i += 1) {
        const [xi, yi] = polygon[i];
        const [xj, yj] = polygon[j];
        if ((yi > y) !== (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi) odd = !odd;
      }
      if (odd) found.push(map.data.ids[index]);
    }
    return found;
  }

  function pick(canvas, at, add) {
    const index = nearest(canvas, at);
    if (index < 0) { lf.select([], add); return; }
    lf.select([map.data.ids[index]], add);
    lf.closely(map.data.ids[index]);
  }

  function hover(canvas, index, at) {
    map.hover = index;
    const tip = canvas.parentElement.querySelector(".lf-tip");
    tip.hidden = index < 0;
    if (index < 0) return;
    const id = String(map.data.ids[index]);
    if (tip.dataset.image !== id) {
      tip.dataset.image = id;
      const picture = new Image(96, 96);
      picture.src = lf.head().dataset.thumbnail.replace(/0(\/?)$/, `${id}$1`);
      const name = document.createElement("span");
      name.textContent = map.data.names[map.data.classes[index]] ?? "";
      tip.replaceChildren(picture, name);
    }
    const left = at[0] + 124 > canvas.clientWidth ? at[0] - 120 : at[0] + 12;
    const top = at[1] + 140 > canvas.clientHeight ? at[1] - 136 : at[1] + 12;
    tip.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, top)}px)`;
  }

  function draw() {
    const canvas = root()?.querySelector("canvas");
    if (!canvas || !canvas.clientWidth) return;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!map.data) return;
    const { ids, classes } = map.data;
    const selected = lf.state.selected;
    const radius = Math.min(6, (ids.length > 20000 ? 1.4 : ids.length > 4000 ? 2 : 3) * Math.sqrt(map.zoom));
    const groups = new Map();
    ids.forEach((id, index) => {
      if (!groups.has(classes[index])) groups.set(classes[index], []);
      groups.get(classes[index]).push(index);
    });
    for (const [group, members] of groups) {
      pen.fillStyle = colour(group);
      pen.globalAlpha = map.only !== null && map.only !== group ? 0.06 : selected.size ? 0.35 : 0.75;
      pen.beginPath();
      for (const index of members) {
        const [x, y] = point(canvas, index);
        if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
        pen.moveTo(x + radius, y);
        pen.arc(x, y, radius, 0, 2 * Math.PI);
      }
      pen.fill();
    }
    pen.globalAlpha = 1;
    const ink = getComputedStyle(document.body).getPropertyValue("--lf-ink");
    if (selected.size) {
      ids.forEach((id, index) => { if (selected.has(id)) ring(pen, point(canvas, index), radius, colour(classes[index]), ink, 1); });
    }
    if (map.hover >= 0) ring(pen, point(canvas, map.hover), radius + 2, colour(classes[map.hover]), ink, 2);
    if (map.lasso.length > 1) {
      pen.beginPath();
      map.lasso.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.closePath();
      pen.strokeStyle = ink;
      pen.setLineDash([4, 4]);
      pen.stroke();
      pen.setLineDash([]);
      pen.globalAlpha = 0.08;
      pen.fillStyle = ink;
      pen.fill();
      pen.globalAlpha = 1;
    }
  }

  function ring(pen, [x, y], radius, fill, ink, line) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fillStyle = fill;
    pen.fill();
    pen.lineWidth = line;
    pen.strokeStyle = ink;
    pen.stroke();
  }

  function legend(island) {
    const counts = new Map();
    map.data.classes.forEach((one) => counts.set(one, (counts.get(one) || 0) + 1));
    const buttons = [...counts.entries()].sort((a, b) => a[0] - b[0]).map(([index, count]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "lf-chip";
      button.setAttribute("aria-pressed", String(map.only === index));
      const dot = document.createElement("i");
      dot.style.background = colour(index);
      const name = map.data.names[index] ?? `cluster ${index + 1}`;
      button.append(dot, `${name} ${count.toLocaleString("en")}`);
      button.addEventListener("click", () => {
        map.only = map.only === index ? null : index;
        legend(island);
        draw();
      });
      return button;
    });
    island.querySelector(".lf-legend").replaceChildren(...buttons);
  }

  async function load() {
    const island = root();
    const address = lf.head()?.dataset.map;
    if (!island || !address || lf.state.view !== "map") return;
    if (!island.querySelector("canvas")) build(island);
    if (map.stale) {
      map.stale = false;
      const answer = await fetch(address, { headers: { Accept: "application/json" } });
      if (!answer.ok) { map.stale = true; return; }
      map.data = await answer.json();
      legend(island);
    }
    draw();
  }

  document.addEventListener("lf:changed", () => { map.stale = true; load(); });
  document.addEventListener("lf:painted", () => { if (lf.state.view === "map") draw(); });
  document.addEventListener("lf:opened", () => setTimeout(load, 60));
})();
