"use strict";
// The graph in layers from left to right: a node stands right of everything it is made of.

const WIDEST = 46;

function layersOf(nodes, edges) {
  const inputs = new Map(nodes.map((n) => [n.id, []]));
  for (const [from, to] of edges) {
    if (inputs.has(from) && inputs.has(to)) inputs.get(to).push(from);
  }
  const depth = new Map();
  const waiting = new Set();
  // Iterative: a graph can be thousands of ops deep. A cycle ends where it began.
  for (const node of nodes) {
    const stack = [node.id];
    while (stack.length) {
      const id = stack[stack.length - 1];
      if (depth.has(id)) { stack.pop(); continue; }
      waiting.add(id);
      const open = inputs.get(id).filter((i) => !depth.has(i) && !waiting.has(i));
      if (open.length) { stack.push(...open); continue; }
      depth.set(id, 1 + Math.max(-1, ...inputs.get(id).map((i) => depth.get(i) ?? -1)));
      waiting.delete(id);
      stack.pop();
    }
  }
  const layers = [];
  for (const node of nodes) (layers[depth.get(node.id)] ||= []).push(node);
  return { layers, inputs };
}

function drawGraph({ nodes, edges }) {
  const { layers, inputs } = layersOf(nodes, edges);
  const [boxH, gapY, gapX, pad] = [26, 10, 56, 6];
  const place = new Map();
  let x = pad, height = 0;
  for (const layer of layers) {
    const middle = (n) => {
      const ys = inputs.get(n.id).map((i) => place.get(i)?.y).filter((v) => v !== undefined);
      return ys.length ? ys.reduce((a, b) => a + b, 0) / ys.length : Infinity;
    };
    const sorted = layer.map((n, i) => [middle(n), i, n]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    let widest = 0, y = pad;
    for (const [, , n] of sorted) {
      const label = n.label.length > WIDEST ? n.label.slice(0, WIDEST - 1) + "…" : n.label;
      const text = n.kind === "cut" ? "✂ " + label : label;
      const width = Math.max(44, (n.kind === "cut" ? 7.7 : 7) * text.length + 18);
      place.set(n.id, { x, y, width, text, node: n });
      widest = Math.max(widest, width);
      y += boxH + gapY;
    }
    height = Math.max(height, y);
    x += widest + gapX;
  }
  for (const layer of layers) { // centre each layer on the tallest
    const shift = (height - (layer.length * (boxH + gapY) + pad)) / 2;
    for (const n of layer) place.get(n.id).y += shift;
  }
  const width = x - gapX + pad;
  const out = svg("svg", { class: "fits", style: `min-width: ${Math.min(width, 620)}px`, width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
  const cuts = nodes.filter((n) => n.kind === "cut").map((n) => n.label);
  out.append(svg("title", {}, `graph of ${nodes.length} nodes` + (cuts.length ? `; cut: ${cuts.join("; ")}` : "")));
  for (const [from, to] of edges) {
    const [a, b] = [place.get(from), place.get(to)];
    if (!a || !b) continue;
    const [x0, y0, x1, y1] = [a.x + a.width, a.y + boxH / 2, b.x, b.y + boxH / 2];
    const bend = (x1 - x0) / 2;
    const broken = a.node.kind === "cut" || b.node.kind === "cut";
    out.append(svg("path", { class: broken ? "edge cut" : "edge",
      d: `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}` }));
  }
  for (const { x, y, width: w, text, node } of place.values()) {
    out.append(svg("g", { class: "node " + node.kind },
      svg("title", {}, node.label),
      svg("rect", { x, y, width: w, height: boxH, rx: 6 }),
      svg("text", { x: x + w / 2, y: y + boxH / 2 + 4, "text-anchor": "middle" }, text)));
  }
  return out;
}
