"use strict";
// The table of cases and checks, its filters, the details, and the keyboard.

const report = JSON.parse(document.getElementById("report").textContent);
const items = report.items;
const SIGN = { passed: "✓", failed: "✗", error: "!", xfailed: "x", skipped: "–" };
const BAD = ["failed", "error"];
const ACROSS = 6; // checks whose names stand side by side; of more they stand upright
const ONCE = 25; // failures drawn at once
const $ = (id) => document.getElementById(id);

const state = { text: "", check: "", hidden: new Set(), open: null, drawn: ONCE };
const checks = [...new Set(items.map((i) => i.check || "file"))].sort((a, b) => (a === "file") - (b === "file"));
items.forEach((item, i) => {
  item.at = i;
  const told = item.findings.map((f) => [f.code, f.message, f.parameter, f.op, f.where].join(" "));
  item.words = [item.nodeid, item.subject, item.reason, ...told].join(" ").toLowerCase();
});

const visible = (item) =>
  !state.hidden.has(item.outcome) &&
  (!state.check || (item.check || "file") === state.check) &&
  state.text.split(/\s+/).every((word) => item.words.includes(word));

function drawHead() {
  const count = {};
  for (const item of items) count[item.outcome] = (count[item.outcome] || 0) + 1;
  const bad = BAD.reduce((n, o) => n + (count[o] || 0), 0);
  const seconds = items.reduce((s, i) => s + i.seconds, 0);
  $("verdict").className = bad ? "bad" : "good";
  const many = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
  $("verdict").textContent =
    (bad ? `${bad.toLocaleString("en")} of ${many(items.length, "check")} failed` : `all ${many(items.length, "check")} are as expected`) +
    (report.complete ? "" : " — the run did not finish");
  const versions = Object.entries(report.versions).filter((v) => v[1]).map((v) => v.join(" "));
  $("versions").textContent = [`${seconds.toFixed(1)} s`, ...versions, `Python ${report.python}`].join(" · ");
  for (const outcome of Object.keys(SIGN).filter((o) => count[o])) {
    const button = html("button", { type: "button", class: outcome, "aria-pressed": "true" },
      `${SIGN[outcome]} ${count[outcome].toLocaleString("en")} ${outcome}`);
    button.addEventListener("click", () => {
      const on = state.hidden.delete(outcome) || !state.hidden.add(outcome);
      button.setAttribute("aria-pressed", String(on));
      draw();
    });
    $("outcomes").append(button);
  }
  $("check").append(html("option", { value: "" }, "all"), ...checks.map((c) => html("option", { value: c }, c)));
}

function drawMatrix() {
  const shown = items.filter(visible);
  const columns = checks.filter((c) => shown.some((i) => (i.check || "file") === c));
  const files = new Map();
  for (const item of shown) {
    if (!files.has(item.file)) files.set(item.file, new Map());
    const cases = files.get(item.file);
    const name = item.case || "(the file)";
    if (!cases.has(name)) cases.set(name, new Map());
    cases.get(name).set(item.check || "file", item);
  }
  const body = html("tbody", {});
  for (const [file, cases] of files) {
    body.append(html("tr", {}, html("th", { class: "file", scope: "rowgroup", colspan: columns.length + 1 }, file)));
    for (const [name, row] of cases) {
      const tr = html("tr", {}, html("th", { class: "case", scope: "row", title: name }, name));
      for (const column of columns) {
        const item = row.get(column);
        tr.append(html("td", {}, item ? cellOf(item) : null));
      }
      body.append(tr);
    }
  }
  const head = html("tr", {}, html("th", { class: "case", scope: "col" }, "case"),
    ...columns.map((c) => html("th", { scope: "col" }, html("span", {}, c))));
  $("matrix").classList.toggle("many", columns.length > ACROSS);
  $("matrix").replaceChildren(html("thead", {}, head), body);
  const entry = body.querySelector(".cell[aria-current]") || body.querySelector(".cell");
  if (entry) entry.tabIndex = 0; // one stop for Tab, the arrows move within the table
  $("nothing").hidden = shown.length > 0;
  $("matrix").hidden = shown.length === 0;
  return shown;
}

function cellOf(item) {
  const cell = html("button", { type: "button", class: "cell " + item.outcome, "data-at": item.at, tabindex: "-1",
    "aria-label": `${item.nodeid} ${item.outcome}`, title: `${item.nodeid}\n${item.outcome}, ${item.seconds.toFixed(2)} s` },
    SIGN[item.outcome]);
  if (state.open === item.at) cell.setAttribute("aria-current", "true");
  return cell;
}

function drawDetails(shown) {
  const bad = shown.filter((i) => BAD.includes(i.outcome));
  const list = bad.slice(0, state.drawn);
  if (state.open !== null && !list.includes(items[state.open])) list.unshift(items[state.open]);
  $("details").replaceChildren(...list.map(articleOf));
  if (bad.length > state.drawn) {
    const more = html("button", { type: "button", class: "more" }, `show ${bad.length - state.drawn} more failures`);
    more.addEventListener("click", () => { state.drawn = Infinity; draw(); });
    $("details").append(more);
  }
  if (!list.length) $("details").append(html("p", { class: "empty" }, "Choose a check in the table to see what it measured."));
}

function articleOf(item) {
  const article = html("article", { class: item.outcome, id: "item" + item.at, tabindex: "-1" });
  article.append(html("h2", {}, item.nodeid, html("span", { class: "badge" }, `${SIGN[item.outcome]} ${item.outcome}`)));
  const facts = [item.subject, item.framework, item.seed === null ? null : `seed ${item.seed}`, `${item.seconds.toFixed(2)} s`];
  article.append(html("p", { class: "facts" }, facts.filter(Boolean).join(" · ")));
  if (item.text) {
    article.append(html("pre", {}, ...item.text.split("\n").map(lineOf)));
  } else {
    const said = [item.reason, ...item.findings.map((f) => f.message), ...item.notes].filter(Boolean);
    if (said.length) article.append(html("pre", {}, said.join("\n")));
    if (item.yaml) article.append(html("details", {}, html("summary", {}, `${item.file}:${item.line}`), html("pre", {}, item.yaml)));
  }
  article.append(...[figuresOf(item.figures), valuesOf(item.measurements)].filter(Boolean));
  return article;
}

// A line that is too wide goes on below where it began; a flag is not broken at its hyphens.
function lineOf(text, i) {
  const indent = text.match(/^ */)[0].length;
  const parts = text.split(/(--[a-z-]+)/).map((part, k) => (k % 2 ? html("span", { class: "flag" }, part) : part));
  return html("span", { class: i === 0 ? "line first" : "line", style: `--indent: ${indent + 2}ch` }, ...parts, "\n");
}

function valuesOf(measurements) {
  const flat = Object.entries(measurements).filter((m) => m[1] === null || typeof m[1] !== "object");
  const deep = Object.entries(measurements).filter((m) => m[1] !== null && typeof m[1] === "object");
  if (!flat.length && !deep.length) return null;
  const box = html("details", {}, html("summary", {}, "measurements"));
  const row = (cells) => html("tr", {}, html("th", { scope: "row" }, cells[0]), ...cells.slice(1).map((c) => html("td", {}, c)));
  box.append(html("table", { class: "values" }, ...flat.map(([k, v]) => row([k, short(v)]))));
  for (const [name, value] of deep) {
    const rows = Array.isArray(value) ? value.map((v, i) => [String(i), v]) : Object.entries(value);
    const keys = [...new Set(rows.flatMap(([, v]) => (v && typeof v === "object" && !Array.isArray(v) ? Object.keys(v) : [])))];
    const text = (v) => (Array.isArray(v) ? v.map(short).join(" × ") : v && typeof v === "object" ? JSON.stringify(v) : short(v));
    const table = html("table", { class: "values" }, row([name, ...keys]));
    for (const [k, v] of rows.slice(0, 200)) table.append(row([k, ...(keys.length ? keys.map((c) => text((v || {})[c])) : [text(v)])]));
    box.append(table);
  }
  return box;
}

function draw() { drawDetails(drawMatrix()); }

function open(at, focus) {
  state.open = at;
  for (const cell of document.querySelectorAll(".cell[aria-current]")) cell.removeAttribute("aria-current");
  const cell = document.querySelector(`.cell[data-at="${at}"]`);
  if (cell) cell.setAttribute("aria-current", "true");
  drawDetails(items.filter(visible));
  const article = $("item" + at);
  article.scrollIntoView({ block: "start" });
  if (focus) article.focus({ preventScroll: true });
  history.replaceState(null, "", "#" + encodeURIComponent(items[at].nodeid));
}

function move(key) {
  const cells = [...document.querySelectorAll(".cell")];
  const at = cells.indexOf(document.activeElement);
  if (at < 0) return cells[0] && (cells.find((c) => c.tabIndex === 0) || cells[0]).focus();
  const side = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (side) return cells[at + side] && cells[at + side].focus();
  const column = (c) => c.parentElement.cellIndex, here = cells[at].parentElement.parentElement;
  const down = key === "ArrowDown";
  for (let row = here; (row = down ? row.nextElementSibling : row.previousElementSibling);) {
    const found = [...row.querySelectorAll(".cell")];
    if (!found.length) continue;
    return (found.find((c) => column(c) === column(cells[at])) || found[0]).focus();
  }
}

function nextFailure(step) {
  const bad = items.filter((i) => visible(i) && BAD.includes(i.outcome));
  if (!bad.length) return;
  const at = bad.findIndex((i) => i.at === state.open);
  const next = at < 0 ? (step > 0 ? 0 : bad.length - 1) : (at + step + bad.length) % bad.length;
  open(bad[next].at, true);
}

$("matrix").addEventListener("focusin", (event) => {
  for (const cell of document.querySelectorAll('.cell[tabindex="0"]')) cell.tabIndex = -1;
  event.target.tabIndex = 0;
});
$("matrix").addEventListener("click", (event) => {
  const cell = event.target.closest(".cell");
  if (cell) open(Number(cell.dataset.at), false);
});
$("search").addEventListener("input", () => { state.text = $("search").value.trim().toLowerCase(); draw(); });
$("check").addEventListener("change", () => { state.check = $("check").value; draw(); });
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    $("search").value = state.text = "";
    state.open = null;
    draw();
    return document.activeElement.blur();
  }
  if (typing) {
    if (event.target.id === "search" && event.key === "ArrowDown") { event.preventDefault(); move(event.key); }
    return;
  }
  if (event.key === "/") { event.preventDefault(); $("search").focus(); }
  else if (event.key.startsWith("Arrow") && !event.target.closest("article")) { event.preventDefault(); move(event.key); }
  else if (event.key === "n") nextFailure(1);
  else if (event.key === "p") nextFailure(-1);
});

drawHead();
draw();
const wanted = items.find((i) => i.nodeid === decodeURIComponent(location.hash.slice(1)));
if (wanted) open(wanted.at, false);
document.documentElement.dataset.ready = Math.round(performance.now()) + " ms";
