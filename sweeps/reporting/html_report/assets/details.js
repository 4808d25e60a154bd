// The details of a run: samples, evaluations over the steps, settings and metrics.

const SVG = "http://www.w3.org/2000/svg";

/** Return an SVG element. */
function svg(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** Return the samples of a run, with a ring at each label asked for and a cross at the one read. */
function samplesOf(run) {
  const picture = report.pictures[run];
  const { side, rows, pixels } = picture;
  const alt = `${picture.labels.length} samples at step ${picture.step}`;
  const marks = svg("svg", { viewBox: `0 0 ${side * pixels} ${rows * pixels}`, "aria-hidden": "true" });
  const thin = pixels / 48;
  picture.labels.forEach((label, index) => {
    const left = (index % side) * pixels - 0.5;
    const top = Math.floor(index / side) * pixels - 0.5;
    if (label) {
      marks.append(svg("circle", { cx: left + label[0], cy: top + label[1], r: pixels / 8, fill: "none", stroke: "#D55E00", "stroke-width": 1.4 * thin }));
    }
    const read = picture.read[index];
    if (read) {
      const [x, y, arm] = [left + read[0], top + read[1], pixels / 18];
      const path = `M${x - arm} ${y}h${2 * arm}M${x} ${y - arm}v${2 * arm}`;
      marks.append(svg("path", { d: path, stroke: "#0072B2", "stroke-width": 1.4 * thin }));
    }
  });
  for (let at = 1; at < Math.max(side, rows); at += 1) {
    const line = `M${at * pixels} 0V${rows * pixels}M0 ${at * pixels}H${side * pixels}`;
    marks.append(svg("path", { d: line, stroke: "#8b949b", "stroke-width": thin }));
  }
  return element(
    "div",
    {},
    element("h3", {}, `Samples at step ${picture.step}`),
    element("div", { class: "samples" }, element("img", { src: picture.image, alt }), marks),
    element("p", { class: "muted" }, "Ring: label asked for. Cross: label read off the image."),
  );
}

/** Return all values of a run in some groups of columns. */
function valuesOf(title, groups, run) {
  const list = element("dl", { class: "values" });
  for (const column of report.columns) {
    if (!groups.includes(column.group) || column.id === "name") continue;
    const value = valueOf(column, run);
    if (value === null && column.group !== "settings") continue;
    list.append(element("dt", { title: column.label }, column.id));
    list.append(element("dd", {}, value === null ? NONE : shown(value)));
  }
  return element("div", {}, element("h3", {}, title), list);
}

/** Draw the evaluations of a run over the steps: its accuracies, or its losses. */
function drawCurve(place, run, kind) {
  const curve = report.curves[run];
  const names = Object.keys(curve).filter((name) => name !== "step" && name.includes(kind));
  const traces = names.map((name, index) => ({
    x: curve.step,
    y: curve[name],
    name,
    mode: "lines+markers",
    line: { color: palette()[index % palette().length] },
    marker: { symbol: SYMBOLS[index % SYMBOLS.length], size: 7 },
  }));
  if (kind === "accuracy") {
    for (const [name, dash] of [["null_nearest", "dot"], ["ceiling", "dash"]]) {
      const value = columns.has(name) ? valueOf(columns.get(name), run) : null;
      if (value === null || curve.step.length < 2) continue;
      const line = { dash, width: 1.5, color: themeColour("--muted") };
      traces.push({ x: [curve.step[0], curve.step.at(-1)], y: [value, value], name, mode: "lines", line });
    }
  }
  const logarithmic = kind === "loss";
  const layout = chartLayout({
    xaxis: { title: { text: "Optimizer step" } },
    yaxis: {
      title: { text: logarithmic ? "Loss" : "Accuracy (share)" },
      type: logarithmic ? "log" : "linear",
      range: logarithmic ? undefined : [-0.03, 1.05],
    },
    showlegend: true,
    margin: { l: 60, r: 10, t: 10, b: 180 },
    legend: { orientation: "h", x: 0, y: -0.36, yanchor: "top", font: { size: 11 } },
  });
  Plotly.react(place, traces, layout, CHART_OPTIONS);
}

/** Return the evaluations of a run, with a menu of what to show. */
function curveOf(run) {
  const curve = report.curves[run];
  const menu = element("select", {}, element("option", { value: "accuracy" }, "Accuracies"));
  if ("train_loss" in curve || "validation_loss" in curve) {
    menu.append(element("option", { value: "loss" }, "Losses"));
  }
  const place = element("div", { class: "chart small", role: "img", "aria-label": "Evaluations over the optimizer steps" });
  const part = element("div", {}, element("h3", {}, "Evaluations"), element("label", {}, "Show ", menu), place);
  const draw = () => drawCurve(place, run, menu.value);
  menu.addEventListener("change", draw);
  listeners.theme.push(() => place.isConnected && draw());
  return { part, draw };
}

/** Fill the cell below the row of a run. */
function fillDetails(cell, run) {
  const parts = element("div", { class: "details-parts" });
  const box = element("div", { class: "details-box" });
  cell.append(box);
  if (report.reasons[run]) {
    const state = valueOf(columns.get("state"), run);
    box.append(element("p", { class: "note" }, `${state}: ${report.reasons[run]}`));
  }
  box.append(parts);
  if (report.pictures[run]) parts.append(samplesOf(run));
  const curve = report.curves[run] && curveOf(run);
  if (curve) parts.append(curve.part);
  parts.append(valuesOf("Metrics", ["metrics", "null models", "seconds"], run));
  parts.append(valuesOf("Settings", ["run", "settings", "data set"], run));
  if (curve) curve.draw();
}
