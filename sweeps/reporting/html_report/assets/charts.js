// What all charts share, and the scatter chart of any column against any other.

const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "cross", "star", "x"];
const TOUCH = matchMedia("(pointer: coarse)").matches; // a finger that drags scrolls the page
const CHART_OPTIONS = {
  responsive: true,
  displayModeBar: TOUCH ? false : "hover",
  displaylogo: false,
  scrollZoom: false, // the wheel scrolls the page
  showSendToCloud: false, // nothing leaves the page
  plotlyServerURL: "",
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
};
const MOST_COLOURS = 7; // columns with more distinct numbers have a colour scale

/** Return a colour of the theme. */
function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Return whether the page is dark. */
function isDark() {
  return getComputedStyle(document.documentElement).colorScheme === "dark";
}

/** Return distinct colours (Okabe and Ito), with black or white in the end. */
function palette() {
  const own = isDark() ? "#e9ebec" : "#000000";
  return ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", own];
}

/** Return the part of viridis that stands out from the ground. */
function colourScale() {
  const stops = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
  const used = isDark() ? stops.slice(2) : stops.slice(0, 6);
  return used.map((colour, index) => [index / (used.length - 1), colour]);
}

/** Return the layout of a chart in the colours of the theme. */
function chartLayout(more) {
  const axis = {
    gridcolor: themeColour("--line"),
    linecolor: themeColour("--edge"),
    zerolinecolor: themeColour("--edge"),
    automargin: true,
  };
  return {
    paper_bgcolor: themeColour("--ground"),
    plot_bgcolor: themeColour("--ground"),
    font: { color: themeColour("--text"), size: 13 },
    hoverlabel: { align: "left" },
    dragmode: TOUCH ? false : "zoom",
    margin: { l: 60, r: 20, t: 20, b: 60 },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 12 } },
    ...more,
    xaxis: { ...axis, ...more.xaxis },
    yaxis: { ...axis, ...more.yaxis },
  };
}

/** Return the legend of a colour scale: beside a chart, or above it where that is narrow. */
function colourBar(text) {
  const bar = { title: { text, side: "right" }, thickness: 14, outlinewidth: 0 };
  if (innerWidth >= 640) return bar;
  return { ...bar, orientation: "h", title: { text, side: "top" }, y: 1, yanchor: "bottom", thickness: 10 };
}

/** Return whether a column gets one colour per value, and not a scale. */
function isDiscrete(column) {
  return !column.numeric || distinct(column).length <= MOST_COLOURS;
}

/** Return the markers of a column: one trace per value, or one with a colour scale. */
function traces(runs, column, point) {
  const place = (chosen, more) => ({
    type: "scatter",
    mode: "markers",
    x: chosen.map((run) => point(run)[0]),
    y: chosen.map((run) => point(run)[1]),
    customdata: chosen,
    text: chosen.map(hoverText),
    hovertemplate: "%{text}<extra></extra>",
    opacity: 0.85,
    ...more,
  });
  if (!column) return [place(runs, { marker: { size: 8, color: palette()[0] } })];
  if (!isDiscrete(column)) {
    const known = runs.filter((run) => valueOf(column, run) !== null);
    const color = known.map((run) => valueOf(column, run));
    const colorbar = colourBar(plain(shortName(column)));
    return [place(known, { marker: { size: 8, color, colorscale: colourScale(), colorbar } })];
  }
  const values = [...new Set(runs.map((run) => valueOf(column, run)))];
  values.sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))));
  return values.map((value, index) => {
    const color = palette()[index % MOST_COLOURS];
    const symbol = SYMBOLS[(index + Math.floor(index / MOST_COLOURS)) % MOST_COLOURS];
    const name = plain(value === null ? NONE : value);
    return place(runs.filter((run) => valueOf(column, run) === value), { name, marker: { size: 8, color, symbol } });
  });
}

/** Return what stands beside a point: the name of the run, and its values in the chart. */
function hoverText(run) {
  const named = ["x", "y", "colour"].map((id) => columns.get(find(id).value)).filter(Boolean);
  const lines = named.map((column) => `${plain(shortName(column))}: ${plain(shown(valueOf(column, run)))}`);
  return [`<b>${plain(valueOf(columns.get("name"), run))}</b>`, ...lines].join("<br>");
}

/** Return an axis of the scatter chart. */
function scatterAxis(column, logarithmic) {
  const type = column.numeric ? (logarithmic ? "log" : "linear") : "category";
  return { type, title: { text: plain(column.label) } };
}

/** Draw the scatter chart. */
function drawScatter() {
  const [x, y] = [columns.get(find("x").value), columns.get(find("y").value)];
  const colour = columns.get(find("colour").value);
  const [logX, logY] = [find("x-log").checked && x.numeric, find("y-log").checked && y.numeric];
  const fits = (value, log) => value !== null && !(log && value <= 0);
  const runs = table.passing.filter((run) => fits(valueOf(x, run), logX) && fits(valueOf(y, run), logY));
  const left = table.passing.length - runs.length;
  find("scatter-note").textContent = left ? `${left} runs have no value to show here.` : "";
  const drawn = traces(runs, colour, (run) => [valueOf(x, run), valueOf(y, run)]);
  const several = Boolean(colour) && isDiscrete(colour);
  const layout = chartLayout({
    xaxis: scatterAxis(x, logX),
    yaxis: scatterAxis(y, logY),
    showlegend: several,
    hovermode: "closest",
  });
  if (several) layout.legend.title = { text: `${plain(shortName(colour))} ` };
  return Plotly.react(find("scatter"), drawn, layout, CHART_OPTIONS);
}

/** Return the columns that a chart can show: those in which runs differ. */
function chartColumns() {
  return report.columns.filter((column) => varies(column) && !["name", "key"].includes(column.id));
}

/** Return the metric that charts show at first, or the last column there is. */
function firstMetric(choices) {
  const wanted = [report.metric, "accuracy"].map((id) => choices.find((column) => column.id === id));
  return wanted.find(Boolean) || choices.findLast((column) => column.numeric) || choices.at(-1);
}

/** Return the settings that the sweep varies, those with most values first; the seed is last. */
function sweptColumns(choices) {
  const order = (column) => (column.id === "seed" ? 1e9 : -distinct(column).length - (column.numeric ? 0.5 : 0));
  return choices.filter((column) => column.swept).sort((a, b) => order(a) - order(b));
}

/** Start the scatter chart. */
function startScatter() {
  const choices = chartColumns();
  const swept = sweptColumns(choices);
  const metric = firstMetric(choices);
  const first = swept.find((column) => column.numeric) || swept[0] || choices[0];
  const second = swept.find((column) => column !== first);
  offer(find("x"), choices, first);
  offer(find("y"), choices, metric);
  find("colour").append(element("option", { value: "" }, "none"));
  offer(find("colour"), choices, second);
  const values = first.numeric ? distinct(first) : [];
  find("x-log").checked = values.length > 3 && Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 30;
  for (const id of ["x", "y", "colour", "x-log", "y-log"]) find(id).addEventListener("change", drawScatter);
  listeners.filter.push(drawScatter);
  listeners.theme.push(drawScatter);
  drawScatter().then(() => {
    find("scatter").on("plotly_click", (event) => openRun(event.points[0].customdata));
    performance.mark("first-chart");
  });
}
