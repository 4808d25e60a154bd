// Parallel coordinates of chosen columns.

const MOST_TICKS = 10; // columns with no more distinct numbers have a tick at each
const chosenAxes = new Set();

/** Return an axis of the parallel coordinates. */
function dimension(column, runs) {
  const label = plain(shortName(column));
  const values = runs.map((run) => valueOf(column, run));
  if (column.numeric) {
    const known = distinct(column).sort((a, b) => a - b);
    if (known.length > MOST_TICKS) return { label, values };
    return { label, values, tickvals: known, ticktext: known.map(String) };
  }
  const names = distinct(column).sort();
  return {
    label,
    values: values.map((value) => names.indexOf(value)),
    tickvals: names.map((_, index) => index),
    ticktext: names.map(plain),
    range: [-0.2, names.length - 0.8],
  };
}

/** Draw the parallel coordinates of the runs that have a value on every axis. */
function drawParallel() {
  const axes = report.columns.filter((column) => chosenAxes.has(column.id));
  const colour = columns.get(find("parallel-colour").value);
  const used = colour ? [...axes, colour] : axes;
  const runs = table.passing.filter((run) => used.every((column) => valueOf(column, run) !== null));
  const left = table.passing.length - runs.length;
  const note = axes.length < 2 ? "Choose at least two axes." : left ? `${left} runs have no value on one of the axes.` : "";
  find("parallel-note").textContent = note;
  const place = find("parallel");
  place.style.minWidth = `${Math.max(20, 6 * axes.length)}rem`;
  const line = { color: palette()[0] };
  if (colour) {
    Object.assign(line, {
      color: runs.map((run) => valueOf(colour, run)),
      colorscale: colourScale(),
      showscale: true,
      colorbar: { title: { text: plain(shortName(colour)), side: "right" }, thickness: 14, outlinewidth: 0 },
    });
  }
  const trace = {
    type: "parcoords",
    line,
    dimensions: axes.map((column) => dimension(column, runs)),
    labelfont: { size: 12, color: themeColour("--text") },
    tickfont: { size: 11, color: themeColour("--text") },
    rangefont: { size: 11, color: themeColour("--muted") },
    unselected: { line: { color: themeColour("--line"), opacity: 0.3 } },
  };
  const [first] = axes;
  const longest = first && !first.numeric ? Math.max(...distinct(first).map((name) => name.length)) : 0;
  const layout = chartLayout({ margin: { l: Math.min(220, Math.max(70, 20 + 7 * longest)), r: 40, t: 50, b: 30 } });
  return Plotly.react(place, axes.length < 2 ? [] : [trace], layout, CHART_OPTIONS);
}

/** Start the parallel coordinates. */
function startParallel() {
  const choices = chartColumns();
  const metric = firstMetric(choices);
  for (const column of [...sweptColumns(choices), metric]) chosenAxes.add(column.id);
  find("parallel-colour").append(element("option", { value: "" }, "none"));
  offer(find("parallel-colour"), choices.filter((column) => column.numeric), metric);
  offerMany(find("parallel-choices"), choices, chosenAxes, drawParallel);
  find("parallel-colour").addEventListener("change", drawParallel);
  listeners.filter.push(drawParallel);
  listeners.theme.push(drawParallel);
  drawParallel();
}
