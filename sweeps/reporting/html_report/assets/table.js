// The table of runs: chosen columns, sorting, the filter, and rows that open their details.

const FIRST_ROWS = 200; // rows in the document until the reader comes near the last of them

const table = {
  head: find("run-table").tHead,
  body: find("run-table").tBodies[0],
  chosen: new Set(report.columns.filter((column) => column.shown).map((column) => column.id)),
  sort: { id: null, descending: false },
  passing: Array.from({ length: report.runs }, (_, run) => run),
  rows: [],
  open: new Map(),
  most: FIRST_ROWS,
};
const withPictures = report.pictures.some((picture) => picture !== null);

/** Return the columns to show; settings that the sweep varies come first. */
function visibleColumns() {
  return report.columns.filter((column) => table.chosen.has(column.id));
}

/** Show the picture of a run once its row comes near the visible part. */
const nearby = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      nearby.unobserve(target);
      target.src = report.pictures[Number(target.dataset.picture)].image;
    }
  },
  { rootMargin: "600px" },
);

/** Return the cell with the small picture of a run. */
function thumbnail(run) {
  const picture = report.pictures[run];
  if (!picture) return element("td", {}, "–");
  const image = element("img", {
    class: "thumb",
    loading: "lazy",
    width: 96,
    height: Math.round((96 * picture.rows) / picture.side),
    alt: `Samples of ${valueOf(columns.get("name"), run)} at step ${picture.step}`,
    "data-picture": run,
  });
  nearby.observe(image);
  return element("td", {}, image);
}

/** Return the row of a run. */
function rowOf(run) {
  const name = valueOf(columns.get("name"), run);
  const button = element("button", { type: "button", "aria-expanded": "false" }, name);
  button.addEventListener("click", () => toggle(run));
  const row = element("tr", { "data-run": run }, element("th", { scope: "row" }, button));
  if (withPictures) row.append(thumbnail(run));
  for (const column of visibleColumns()) {
    const value = valueOf(column, run);
    const cell = element("td", { class: column.numeric ? "number" : null });
    if (column.id === "state") cell.append(element("span", { class: `badge ${value}` }, shown(value)));
    else cell.append(shown(value));
    row.append(cell);
  }
  return row;
}

/** Return the heading of a column, whose button sorts by it. */
function heading(column, text) {
  const arrow = element("span", { "aria-hidden": "true" });
  const button = element("button", { type: "button", title: column.label }, text, " ", arrow);
  button.addEventListener("click", () => {
    const again = table.sort.id === column.id;
    table.sort = { id: column.id, descending: again && !table.sort.descending };
    showSort();
    arrange();
  });
  return element("th", { scope: "col", "data-column": column.id }, button);
}

/** Mark the column that the table is sorted by. */
function showSort() {
  for (const cell of table.head.querySelectorAll("th[data-column]")) {
    const sorted = cell.dataset.column === table.sort.id;
    const direction = table.sort.descending ? "descending" : "ascending";
    if (sorted) cell.setAttribute("aria-sort", direction);
    else cell.removeAttribute("aria-sort");
    const arrow = table.sort.descending ? "▼" : "▲";
    cell.querySelector("span").textContent = sorted ? arrow : "";
  }
}

/** Return the runs that pass the filter in the order of the table; runs without a value are last. */
function sortedRuns() {
  const column = columns.get(table.sort.id);
  if (!column) return table.passing;
  const sign = table.sort.descending ? -1 : 1;
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  return [...table.passing].sort((a, b) => {
    const [x, y] = [valueOf(column, a), valueOf(column, b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (typeof x === "number" && typeof y === "number" ? x - y : compare(x, y));
  });
}

/** Build the heading and forget all rows, after other columns were chosen. */
function build() {
  const cells = [heading(columns.get("name"), "Run")];
  if (withPictures) cells.push(element("th", { scope: "col" }, "Samples"));
  cells.push(...visibleColumns().map((column) => heading(column, shortName(column))));
  table.head.replaceChildren(element("tr", {}, ...cells));
  table.rows = [];
  showSort();
  arrange();
}

/** Put the rows that pass the filter into the table, in its order. */
function arrange() {
  const order = sortedRuns();
  const most = Math.min(order.length, table.most);
  const content = document.createDocumentFragment();
  for (const run of order.slice(0, most)) {
    table.rows[run] ||= rowOf(run);
    content.append(table.rows[run]);
    const opened = table.open.get(run);
    table.rows[run].querySelector("button").setAttribute("aria-expanded", String(Boolean(opened)));
    if (opened) {
      opened.firstElementChild.colSpan = table.rows[run].cells.length;
      content.append(opened);
    }
  }
  table.body.replaceChildren(content);
  const left = order.length - most;
  find("more-rows").hidden = left === 0;
  find("all-rows").textContent = `Show the other ${left} runs`;
  find("count").textContent = `${order.length} of ${report.runs} runs`;
}

/** Put all rows that pass the filter into the document. */
function showAll() {
  table.most = report.runs;
  arrange();
}

/** Open or close the details of a run. */
function toggle(run) {
  if (table.open.has(run)) {
    table.open.get(run).remove();
    table.open.delete(run);
    table.rows[run].querySelector("button").setAttribute("aria-expanded", "false");
    return;
  }
  const row = element("tr", { class: "details" });
  const cell = element("td", { colspan: table.rows[run].cells.length });
  row.append(cell);
  table.open.set(run, row);
  table.rows[run].after(row);
  table.rows[run].querySelector("button").setAttribute("aria-expanded", "true");
  fillDetails(cell, run);
}

/** Open the details of a run, and go there. */
function openRun(run) {
  if (!table.rows[run] || !table.rows[run].isConnected) {
    showAll();
  }
  if (!table.open.has(run)) toggle(run);
  const button = table.rows[run].querySelector("button");
  button.focus({ preventScroll: true });
  button.scrollIntoView({ block: "start" });
}

/** Apply the filter that is typed; one with a mistake leaves the table as it is. */
function applyFilter() {
  const { test, problem } = parseFilter(find("filter").value);
  find("filter-problem").textContent = problem;
  find("filter").setAttribute("aria-invalid", String(problem !== ""));
  if (problem) return;
  table.passing = Array.from({ length: report.runs }, (_, run) => run).filter(test);
  arrange();
  announce("filter");
}

/** Start the table. */
function startTable() {
  let waiting = 0;
  find("filter").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(applyFilter, 150);
  });
  find("all-rows").addEventListener("click", showAll);
  const end = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      table.most += FIRST_ROWS;
      arrange();
    },
    { root: find("run-box"), rootMargin: "600px" },
  );
  end.observe(find("more-rows"));
  const choices = report.columns.filter((column) => column.id !== "name");
  offerMany(find("column-choices"), choices, table.chosen, build);
  build();
}

startTable();
performance.mark("table");
