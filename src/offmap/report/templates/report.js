"use strict";
// The page works without this script as far as words and tables go. It unpacks the libraries and the
// data (gzip in base64), draws figures when they come into view, and opens tasks by their address.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const chosen = {};
let figures = {};
let details = null; // a promise of a map from model and task to what is shown of it
let table = null;
let plotlyReady = null;

async function unpack(id) {
  const bytes = Uint8Array.from(atob($("#" + id).textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

function element(tag, attributes = {}, text = "") {
  const made = Object.assign(document.createElement(tag), attributes);
  if (text !== "") made.textContent = text;
  return made;
}

// -- figures ------------------------------------------------------------------------------------------

function loadPlotly() {
  plotlyReady ??= unpack("packed-plotly").then((code) => {
    document.head.append(element("script", {}, code));
  });
  return plotlyReady;
}

// The numbers of a parity plot come once: as rows (id, formula, reference, predicted, count) of single
// materials, and as triples (column, row, count) of a density. plotly wants them laid out.
function unfold(payload) {
  if (!payload?.points) return payload;
  const { bins = [], grid, plotly, rows } = payload;
  Object.assign(plotly.data.at(-1), {
    x: rows.map((row) => row[2]),
    y: rows.map((row) => row[3]),
    hovertext: rows.map(([id, formula]) => `<b>${plain(formula)}</b> ${plain(id)}`),
  });
  if (grid) {
    const centre = (at) => Number((grid.low + grid.width * (at + 0.5)).toPrecision(6));
    const empty = (value) => Array.from({ length: grid.n }, () => Array(grid.n).fill(value));
    const [z, text] = [empty(null), empty("")];
    for (let at = 0; at < bins.length; at += 3) {
      const [column, row, count] = bins.slice(at, at + 3);
      z[row][column] = Math.log10(count);
      text[row][column] = count;
      rows.push(["", "", centre(column), centre(row), count]);
    }
    Object.assign(plotly.data[0], { z, text });
  }
  payload.points = false;
  return payload;
}

// plotly reads a few HTML tags in its texts: nothing from data is one.
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function payloadOf(slot) {
  if (slot.dataset.figure) return unfold(slot.payloads[slot.dataset.figure]);
  const names = JSON.parse(slot.dataset.figures);
  const by = slot.dataset.by.split(" ").filter(Boolean);
  return figures[names[by.map((name) => chosen[name]).join("|")] ?? Object.values(names)[0]];
}

function draw(slot) {
  const payload = payloadOf(slot);
  if (!payload || slot.drawn === payload) return;
  slot.drawn = payload;
  $("figcaption", slot).textContent = payload.caption;
  const numbers = $(".numbers", slot);
  if (numbers.open) showNumbers(slot);
  if (payload.tiles) return drawTiles(slot, payload);
  return window.Plotly ? drawPlot(slot, payload) : loadPlotly().then(() => drawPlot(slot, payload));
}

function drawPlot(slot, payload) {
  const plot = $(".plot", slot);
  plot.setAttribute("aria-label", payload.alt);
  const { data, layout } = structuredClone(payload.plotly);
  if (slot.closest("[data-no-legend]")) {
    layout.showlegend = false;
    layout.height -= 26;
    layout.margin.t = 8;
  }
  plot.style.minHeight = layout.height + "px";
  const drawn = Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true });
  plot.removeAllListeners?.("plotly_click");
  plot.on("plotly_click", ({ points }) => {
    const task = points[0]?.customdata;
    if (typeof task === "string" && task.includes("/")) openTask(task);
  });
  return drawn;
}

function drawTiles(slot, { tiles, legend, alt }) {
  $(".ptable", slot).setAttribute("aria-label", alt);
  for (const tile of $$(".tile", slot)) {
    const { colour, ink, text, says, mark = "" } = tiles[tile.dataset.element];
    Object.assign(tile.style, { background: colour, color: ink });
    tile.title = says;
    tile.setAttribute("aria-label", says);
    $("i", tile).textContent = text;
    $("em", tile).textContent = mark;
  }
  const ramp = element("div", { className: "ramp" });
  ramp.style.background = `linear-gradient(to right, ${legend.colours.join(",")})`;
  const ticks = element("div", { className: "ticks" });
  for (const [place, text] of legend.ticks) {
    const tick = element("span", {}, text);
    tick.style.left = 100 * place + "%";
    ticks.append(tick);
  }
  $(".legend", slot).replaceChildren(element("div", {}, legend.label), ramp, ticks);
}

function showNumbers(slot) {
  const { columns, rows } = payloadOf(slot);
  const shown = element("table", { className: "plain" });
  const head = shown.createTHead().insertRow();
  for (const column of columns) head.append(element("th", {}, column.replaceAll("_", " ")));
  const body = shown.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const value of row) line.append(element("td", {}, value === null ? "–" : String(value)));
  }
  $(".numbers .scroll", slot).replaceChildren(shown);
}

function save(name, type, text) {
  const link = element("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const quoted = (value) =>
  value === null ? "" : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value);

async function saveFigure(slot, ending) {
  const payload = payloadOf(slot);
  const name = payload.name + "." + ending;
  if (ending === "csv") {
    const lines = [payload.columns, ...payload.rows].map((row) => row.map(quoted).join(","));
    save(name, "text/csv", lines.join("\n") + "\n");
  } else if (payload.svg) {
    save(name, "image/svg+xml", payload.svg);
  } else {
    await draw(slot);
    Plotly.downloadImage($(".plot", slot), { format: "svg", filename: payload.name });
  }
}

const watcher = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => draw(target)),
  { rootMargin: "300px" },
);

function watch(root) {
  for (const slot of $$(".slot", root)) {
    watcher.observe(slot);
    $(".numbers", slot).addEventListener("toggle", () => showNumbers(slot), { once: true });
    for (const button of $$("[data-save]", slot)) {
      button.addEventListener("click", () => saveFigure(slot, button.dataset.save));
    }
  }
}

// -- choices ------------------------------------------------------------------------------------------

function choose(name, value) {
  chosen[name] = value;
  for (const control of $$(`[data-choice="${name}"]`)) {
    if (control.type === "radio") control.checked = control.value === value;
    else control.value = value;
  }
  if (name === "series") {
    for (const part of $$("main [data-series]")) part.hidden = part.dataset.series !== value;
    filterColumn("series", value);
  }
  for (const slot of $$("main .slot")) if (slot.drawn) draw(slot);
}

function startChoices() {
  for (const control of $$("[data-choice]")) {
    if (control.type !== "radio" || control.checked) chosen[control.dataset.choice] = control.value;
    control.addEventListener("change", () => choose(control.dataset.choice, control.value));
  }
  chosen.series ??= $(".summary [data-series]")?.dataset.series ?? "";
}

// -- the table of tasks -------------------------------------------------------------------------------

const columnOf = (name) => $$("#tasks thead th").findIndex((th) => th.dataset.name === name);

function filterColumn(name, value) {
  const column = table ? table.columns().indexes().toArray().find((i) => table.column(i).header().dataset.name === name) : undefined;
  if (column === undefined) return;
  table.column(column).search(value, { exact: value !== "" }).draw();
}

async function startTable() {
  if (!$("#tasks")) return;
  const [style, code] = await Promise.all([unpack("packed-style"), unpack("packed-table")]);
  document.head.prepend(element("style", {}, style));
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const { default: DataTable } = await import(address);
  URL.revokeObjectURL(address);
  DataTable.ext.errMode = "throw";
  const narrow = window.matchMedia("(max-width: 40rem)").matches;
  const hidden = narrow ? "th.hidden, th.wide" : "th.hidden";
  const exportOptions = { orthogonal: "sort", columns: ":visible" };
  table = new DataTable("#tasks", {
    autoWidth: false,
    pageLength: narrow ? 10 : 25,
    lengthMenu: [10, 25, 100, { label: "all", value: -1 }],
    order: [[columnOf("mae_ratio") < 0 ? 0 : columnOf("mae_ratio"), "desc"]],
    columnDefs: [{ targets: $$(hidden, $("#tasks")).map((th) => th.cellIndex), visible: false }],
    language: {
      search: "Search",
      lengthMenu: "_MENU_ per page",
      info: "_START_ to _END_ of _TOTAL_ rows",
      searchBuilder: { button: { 0: "Conditions", _: "Conditions (%d)" } },
    },
    layout: {
      topStart: {
        buttons: [
          { extend: "colvis", text: "Columns" },
          "searchBuilder",
          { extend: "csvHtml5", text: "CSV", filename: "tasks", exportOptions },
          { extend: "excelHtml5", text: "Excel", filename: "tasks", title: null, exportOptions },
        ],
      },
      topEnd: "search",
      bottomStart: ["pageLength", "info"],
      bottomEnd: "paging",
    },
  });
  filterColumn("series", chosen.series);
  for (const filter of $$("[data-filter]")) {
    filter.addEventListener("change", () => filterColumn(filter.dataset.filter, filter.value));
  }
  $("#tasks tbody").addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-task]");
    if (row && !event.target.closest("a") && !getSelection().toString()) openTask(row.dataset.task);
  });
}

// -- one task -----------------------------------------------------------------------------------------

const panel = $("#task");

function openTask(task) {
  const address = "#task=" + task.split("/").map(encodeURIComponent).join("/");
  if (location.hash === address) showAddress();
  else location.hash = address;
}

async function showAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const task = asked.get("task");
  if (!task) {
    if (panel.open) panel.close();
    return;
  }
  if (asked.get("model") && asked.get("model") !== chosen.series) choose("series", asked.get("model"));
  fillPanel(task, await details);
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
}

function fillPanel(task, known) {
  const body = $("#task-body");
  panel.dataset.task = task;
  const found = known.get(chosen.series + "|" + task);
  if (!found) {
    const heading = element("h2", { id: "task-title" }, task);
    const words = element("p", {}, "The predictions of this task are not in the study folder yet.");
    return body.replaceChildren(heading, words);
  }
  const { html, figures: payloads } = JSON.parse(found);
  body.innerHTML = html; // made by the report's templates, which escape every string
  for (const slot of $$(".slot", body)) slot.payloads = payloads;
  watch(body);
}

function step(by) {
  const rows = table ? table.rows({ search: "applied", order: "applied" }).nodes().toArray() : [];
  const tasks = rows.map((row) => row.dataset.task);
  const at = tasks.indexOf(panel.dataset.task);
  const next = tasks[(at + by + tasks.length) % tasks.length];
  if (next) openTask(next);
}

function startPanel() {
  window.addEventListener("hashchange", showAddress);
  $("[data-close]", panel).addEventListener("click", () => panel.close());
  for (const button of $$("[data-step]", panel)) {
    button.addEventListener("click", () => step(Number(button.dataset.step)));
  }
  panel.addEventListener("click", (event) => {
    if (event.target === panel) panel.close(); // the backdrop
  });
  panel.addEventListener("close", () => {
    if (location.hash.startsWith("#task=")) history.replaceState(null, "", location.pathname + location.search);
  });
}

// -- print and start ----------------------------------------------------------------------------------

// Paper is narrower than most windows and cannot be unfolded: figures are drawn for it, tables and what
// is folded are shown whole, and then all is put back.
let folded = [];
let rowsPerPage = 0;

window.addEventListener("beforeprint", () => {
  folded = $$("main details:not([open], .numbers)");
  for (const details of folded) details.open = true;
  rowsPerPage = table?.page.len() ?? 0;
  table?.page.len(-1).draw();
  for (const slot of $$("main .slot")) draw(slot);
  for (const plot of $$("main .plot")) if (plot.layout) Plotly.relayout(plot, { width: 660 });
});
window.addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
  if (table && rowsPerPage) table.page.len(rowsPerPage).draw();
  for (const plot of $$("main .plot")) if (plot.layout) Plotly.relayout(plot, { width: null, autosize: true });
});

async function readDetails() {
  const known = new Map();
  for (const line of (await unpack("packed-details")).split("\n")) {
    const tab = line.indexOf("\t");
    if (tab > 0) known.set(JSON.parse(line.slice(0, tab)), line.slice(tab + 1));
  }
  return known;
}

async function start() {
  startChoices();
  await startTable(); // what most readers reach for first
  performance.mark("offmap-table");
  details = readDetails();
  startPanel();
  await showAddress();
  figures = JSON.parse(await unpack("packed-figures"));
  watch($("main"));
  await loadPlotly();
  document.documentElement.dataset.ready = "yes";
  performance.mark("offmap-ready");
  drawRest($$("main .slot"));
}

// Figures out of view are drawn when there is nothing else to do, so that they are there in print.
function drawRest(slots) {
  const next = slots.find((slot) => !slot.drawn);
  if (!next) return;
  const later = window.requestIdleCallback ?? ((work) => setTimeout(work, 200));
  later(() => {
    draw(next);
    drawRest(slots);
  });
}

start().catch((error) => {
  const words = "Figures and the interactive table could not be started (" + error + "). A newer browser may help.";
  $("main").prepend(element("p", { className: "notice" }, words));
  throw error;
});
