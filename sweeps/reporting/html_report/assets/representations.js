// Representations in three dimensions: a point per label, of a run, a layer and a step.

const START = { x: 1.5, y: 1.5, z: 1.0 }; // place of the camera, in units of the box
const FARTHER = innerWidth < 640 ? 1.15 : 1; // a narrow window shows less of the width
for (const axis of "xyz") START[axis] *= FARTHER;
let eye = { ...START };

// A cyclic map for periodic labels (after matplotlib's twilight).
const CYCLIC = ["#e2d9e2", "#9ebbc9", "#6785be", "#5e43a5", "#421257", "#7a1f51", "#b25652", "#cca389", "#e2d9e2"];

/** Return the coordinates of a view, one array per axis. */
function unpack({ ends, points }) {
  const bytes = Uint8Array.from(atob(points), (character) => character.charCodeAt(0));
  const numbers = new DataView(bytes.buffer);
  const axes = ends.map(() => []);
  for (let at = 0; at < bytes.length / 2; at += 1) {
    const axis = at % ends.length;
    const [low, high] = ends[axis];
    axes[axis].push(low + (numbers.getUint16(2 * at, true) / 65535) * (high - low));
  }
  return axes;
}

/** Fill a menu with values; the current one stays selected if it is still there. */
function refill(select, values, text = String) {
  const before = select.value;
  select.replaceChildren(...values.map((value) => element("option", { value }, text(value))));
  if (values.map(String).includes(before)) select.value = before;
  else if (values.length) select.value = values.at(select.id === "view-step" ? -1 : 0);
}

/** Return the views of the chosen run, layer and step, with the menus brought up to date. */
function chosenView() {
  const all = report.views.items;
  const named = (run) => valueOf(columns.get("name"), run);
  refill(find("view-run"), [...new Set(all.map((view) => view.run))].sort((a, b) => a - b), named);
  const ofRun = all.filter((view) => view.run === Number(find("view-run").value));
  refill(find("view-layer"), [...new Set(ofRun.map((view) => view.layer))]);
  const ofLayer = ofRun.filter((view) => view.layer === find("view-layer").value);
  refill(find("view-step"), ofLayer.map((view) => view.step).sort((a, b) => a - b));
  return ofLayer.find((view) => view.step === Number(find("view-step").value));
}

/** Return the colours of labels. */
function labelScale(run) {
  const periodic = columns.has("data.periodic") && valueOf(columns.get("data.periodic"), run) === "true";
  return periodic ? CYCLIC.map((colour, index) => [index / (CYCLIC.length - 1), colour]) : colourScale();
}

/** Take over where the camera is: it still moves after the event that tells of a drag. */
function followCamera() {
  const scene = find("view")._fullLayout?.scene?._scene;
  if (scene) eye = { ...scene.getCamera().eye };
}

/** Draw the chosen view, from the side from which the last one was seen. */
function drawView() {
  followCamera();
  const view = chosenView();
  const kind = find("view-kind").value;
  const [x, y, z] = unpack(view[kind]);
  const labels = report.views.labels[view.labels];
  const axis = Number(find("view-colour").value);
  const letter = "xy"[axis];
  const trace = {
    type: "scatter3d",
    mode: "markers",
    x,
    y,
    z,
    customdata: labels,
    hovertemplate: "label x %{customdata[0]}, y %{customdata[1]} pixels<extra></extra>",
    marker: {
      size: innerWidth < 640 ? 2.2 : 3.5,
      color: labels.map((label) => label[axis]),
      colorscale: labelScale(view.run),
      colorbar: colourBar(`label ${letter} (pixels)`),
    },
  };
  const name = kind === "scores" ? "component" : "UMAP";
  const line = { gridcolor: themeColour("--line"), zerolinecolor: themeColour("--line"), backgroundcolor: themeColour("--ground"), nticks: 5 };
  const axes = [1, 2, 3].map((number) => ({ ...line, title: { text: `${name} ${number}` } }));
  const scene = { xaxis: axes[0], yaxis: axes[1], zaxis: axes[2], aspectmode: "auto", camera: { eye }, dragmode: "turntable" };
  const layout = chartLayout({ scene, margin: { l: 0, r: 0, t: innerWidth < 640 ? 70 : 10, b: 0 } });
  return Plotly.react(find("view"), [trace], layout, CHART_OPTIONS);
}

/** Move the camera by a button. */
function turn(way) {
  followCamera();
  const distance = Math.hypot(eye.x, eye.y, eye.z);
  let around = Math.atan2(eye.y, eye.x);
  let above = Math.asin(eye.z / distance);
  const steps = { left: [-0.25, 0, 1], right: [0.25, 0, 1], up: [0, 0.2, 1], down: [0, -0.2, 1], nearer: [0, 0, 0.85], farther: [0, 0, 1.18] };
  if (way === "reset") {
    eye = { ...START };
  } else {
    const [sideways, upwards, scale] = steps[way];
    around += sideways;
    above = Math.max(-1.5, Math.min(1.5, above + upwards));
    const radius = distance * scale;
    eye = { x: radius * Math.cos(above) * Math.cos(around), y: radius * Math.cos(above) * Math.sin(around), z: radius * Math.sin(above) };
  }
  Plotly.relayout(find("view"), { "scene.camera.eye": eye });
}

/** Start the views, if the page has any. */
function startViews() {
  if (!find("view")) return;
  for (const id of ["view-run", "view-layer", "view-step", "view-kind", "view-colour"]) {
    find(id).addEventListener("change", drawView);
  }
  for (const button of document.querySelectorAll("[data-turn]")) {
    button.addEventListener("click", () => turn(button.dataset.turn));
  }
  listeners.theme.push(drawView);
  drawView();
}
