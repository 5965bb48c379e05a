"use strict";
// Curves and heat maps. Every function returns an element.

const NS = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function html(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

// NaN and the infinities go by their names in JSON.
function num(value) {
  if (value === "inf") return Infinity;
  if (value === "-inf") return -Infinity;
  return typeof value === "number" ? value : NaN;
}

function short(value) {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "";
  if (typeof value === "boolean") return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

function captioned(title, text, body) {
  return html("figure", {}, html("figcaption", {}, html("b", {}, title), text ? " " + text : ""), body);
}

// Ticks that are round numbers; decades on a logarithmic axis.
function ticks(low, high, log) {
  const found = [];
  if (log) {
    const step = Math.max(1, Math.ceil((high - low) / 5));
    for (let e = Math.ceil(low); e <= Math.floor(high); e += step) found.push([e, "1e" + e]);
    return found.length > 1 ? found : [[low, (10 ** low).toPrecision(2)], [high, (10 ** high).toPrecision(2)]];
  }
  const rough = (high - low) / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough);
  for (let v = Math.ceil(low / step) * step; v <= high + 1e-9 * step; v += step) {
    found.push([v, String(Number(v.toPrecision(6)))]);
  }
  return found;
}

// A plot of points [x, y]; a y that is not finite is a red dot at the top.
function plot(xs, ys, { logX = false, logY = false, xName = "", yName = "", level = null, zero = false }) {
  const [W, H, L, B, T, R] = [360, 200, 52, 34, 24, 12];
  const tx = (v) => (logX ? Math.log10(v) : v);
  const ty = (v) => (logY ? Math.log10(v) : v);
  const points = xs.map((x, i) => [tx(num(x)), ty(num(ys[i]))]).filter((p) => Number.isFinite(p[0]));
  const good = points.filter((p) => Number.isFinite(p[1]));
  const range = (values) => {
    let [low, high] = [Math.min(...values), Math.max(...values)];
    if (!values.length) [low, high] = [0, 1];
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    return [low, high];
  };
  const [x0, x1] = range(points.map((p) => p[0]));
  const inY = good.map((p) => p[1]);
  if (level !== null && Number.isFinite(ty(level))) inY.push(ty(level));
  if (zero && !logY) inY.push(0); // what hardly changes looks flat
  let [y0, y1] = range(inY);
  if (logY) [y0, y1] = [Math.floor(y0 - 0.5), Math.ceil(y1 + 0.1)]; // a plateau looks flat
  else y1 += 0.05 * (y1 - y0); // the curve does not lie on the frame
  const px = (x) => L + ((x - x0) / (x1 - x0)) * (W - L - R);
  const py = (y) => H - B - ((y - y0) / (y1 - y0)) * (H - B - T);
  const out = svg("svg", { width: W, height: H, viewBox: `0 0 ${W} ${H}`, role: "img" });
  out.append(svg("title", {}, `${yName} by ${xName}, ${points.length} points`));
  for (const [v, text] of ticks(y0, y1, logY)) {
    out.append(svg("path", { class: "axis", d: `M${L} ${py(v)}H${W - R}` }));
    out.append(svg("text", { x: L - 6, y: py(v) + 4, "text-anchor": "end" }, text));
  }
  for (const [v, text] of ticks(x0, x1, logX)) {
    out.append(svg("text", { x: px(v), y: H - B + 15, "text-anchor": "middle" }, text));
  }
  out.append(svg("path", { class: "axis", d: `M${L} ${T}V${H - B}H${W - R}` }));
  out.append(svg("text", { x: (L + W - R) / 2, y: H - 4, "text-anchor": "middle" }, xName));
  out.append(svg("text", { x: 6, y: 12 }, yName));
  if (level !== null && Number.isFinite(ty(level))) {
    out.append(svg("path", { class: "level", d: `M${L} ${py(ty(level))}H${W - R}` }));
  }
  let path = "", down = false;
  for (const [x, y] of points) {
    if (!Number.isFinite(y)) { down = false; continue; }
    path += `${down ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`;
    down = true;
  }
  out.append(svg("path", { class: "curve", d: path || "M0 0" }));
  for (const [x, y] of points) {
    const lost = !Number.isFinite(y);
    if (points.length > 40 && !lost) continue;
    const dot = svg("circle", { class: lost ? "dot bad" : "dot", cx: px(x), cy: lost ? T + 3 : py(y), r: 2.6 });
    dot.append(svg("title", {}, `${xName} ${short(logX ? 10 ** x : x)}: ${lost ? "not finite" : short(logY ? 10 ** y : y)}`));
    out.append(dot);
  }
  return out;
}

// Dark blue over green to yellow and red: calm below 1e-8, loud above 1e-2.
const RAMP = [[38, 60, 120], [36, 110, 142], [53, 165, 122], [190, 205, 60], [245, 150, 50], [214, 40, 40]];
const [COLD, HOT] = [-10, 0];

function heatColour(log10) {
  const at = Math.min(1, Math.max(0, (log10 - COLD) / (HOT - COLD))) * (RAMP.length - 1);
  const i = Math.min(Math.floor(at), RAMP.length - 2);
  return RAMP[i].map((c, k) => Math.round(c + (RAMP[i + 1][k] - c) * (at - i)));
}

function power(log10) {
  if (log10 >= 9) return "infinite";
  return log10 > -2 && log10 < 2 ? String(Number((10 ** log10).toPrecision(1))) : (10 ** log10).toExponential(0);
}

// The entries of a tensor that row i and column j of an h by w map stand for, as an index of it.
function entriesOf(shape, h, w, i, j) {
  const span = (k, size, total) => {
    const [first, last] = [k * size, Math.min(total, (k + 1) * size) - 1];
    return first === last ? first : `${first}-${last}`;
  };
  const columns = shape.length ? shape[shape.length - 1] : 1, lead = shape.slice(0, -1);
  const rows = lead.reduce((a, b) => a * b, 1);
  const [tall, wide] = [Math.ceil(rows / h), Math.ceil(columns / w)];
  const index = shape.length ? [span(j, wide, columns)] : [];
  if (lead.length > 1 && tall > 1) return `[row ${span(i, tall, rows)} of ${lead.join("×")}, ${index[0]}]`;
  if (lead.length === 1) index.unshift(span(i, tall, rows));
  else for (let k = lead.length - 1, rest = i; k >= 0; rest = Math.floor(rest / lead[k--])) index.unshift(rest % lead[k]);
  return `[${index.join(", ")}]`;
}

function heatmap(name, { shape, log10: rows, blocks }) {
  const [h, w] = [rows.length, Math.max(...rows.map((r) => r.length), 1)];
  const entries = (i, j) => entriesOf(shape, h, w, i, j);
  const canvas = html("canvas", { class: "heat", width: w, height: h, role: "img" });
  const zoom = Math.max(2, Math.min(24, Math.floor(260 / w), Math.floor(220 / Math.max(h, 1)) || 2));
  canvas.style.width = w * zoom + "px";
  canvas.style.height = h * zoom + "px";
  const context = canvas.getContext("2d");
  const image = context.createImageData(w, h);
  let worst = -Infinity, at = null;
  rows.forEach((row, i) => row.forEach((v, j) => {
    const colour = v === null ? RAMP[0] : v === "nan" ? [255, 0, 255] : heatColour(v);
    image.data.set([...colour, 255], 4 * (i * w + j));
    if (typeof v === "number" && v > worst) [worst, at] = [v, [i, j]];
  }));
  context.putImageData(image, 0, 0);
  const lost = rows.flat().filter((v) => v === "nan").length;
  const told = (at ? `worst ${power(worst)} at ${entries(...at)}` : "no error") +
    (lost ? `; ${lost} NaN in magenta` : "");
  canvas.setAttribute("aria-label", `gradient error of ${name}, ${told}`);
  const tip = html("span", {}, told);
  canvas.addEventListener("mousemove", (event) => {
    const [j, i] = [Math.floor(event.offsetX / zoom), Math.floor(event.offsetY / zoom)];
    const v = (rows[i] || [])[j];
    if (v !== undefined) tip.textContent = `${entries(i, j)} ${v === null ? "0" : v === "nan" ? "NaN" : power(v)}`;
  });
  canvas.addEventListener("mouseleave", () => { tip.textContent = told; });
  const bar = html("i", {});
  bar.style.background = `linear-gradient(90deg, ${RAMP.map((c) => `rgb(${c})`).join(",")})`;
  const scale = html("div", { class: "scale" }, `1e${COLD}`, bar, "1", tip);
  return captioned(name, `relative error${blocks ? " by blocks of entries" : ""}, shape ${shape.join("×") || "scalar"}${shape.length > 1 ? ", last axis across" : ""}`, html("div", {}, canvas, scale));
}

function figuresOf(figures) {
  const box = html("div", { class: "figures" });
  const { graph, heatmap: heat, loss_curve: loss, held_out: held, lr_sweep: sweep, error_vs_step: error } = figures;
  if (graph && graph.nodes.length) {
    box.append(captioned("graph", "from the parameters to the loss; cuts are dashed red", drawGraph(graph)));
  }
  for (const [name, data] of Object.entries(heat || {})) box.append(heatmap(name, data));
  if (loss && loss.loss.length) {
    const steps = loss.steps || loss.loss.map((_, i) => i);
    const values = loss.loss.map(num).filter((v) => Number.isFinite(v));
    const logY = values.length > 0 && Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 30;
    box.append(captioned("loss", "by training step",
      plot(steps, loss.loss, { xName: "step", yName: "loss", logY, zero: true })));
  }
  if (held && held.loss.length) {
    box.append(captioned("held-out loss", "by training step",
      plot(held.steps, held.loss, { xName: "step", yName: "loss", zero: true })));
  }
  if (sweep && sweep.lr.length) {
    box.append(captioned("learning-rate sweep", "last loss by rate; red: diverged; dashed: first loss",
      plot(sweep.lr, sweep.final, { logX: true, logY: true, xName: "learning rate", yName: "last loss",
        level: Number.isFinite(num(sweep.first)) ? num(sweep.first) : null })));
  }
  if (error && error.h.length) {
    box.append(captioned("error against step", "of the finite difference",
      plot(error.h, error.error, { logX: true, logY: true, xName: "step h", yName: "relative error" })));
  }
  return box.childElementCount ? box : null;
}
