"use strict";

// The data of the page, and what all scripts share. `report.columns` holds one column per setting,
// metric or duration; one with a single value has that value in all runs.

const report = JSON.parse(document.getElementById("data").textContent);
const columns = new Map(report.columns.map((column) => [column.id, column]));
const NONE = "none";
const GROUPS = ["run", "settings", "data set", "metrics", "null models", "seconds"];

const find = (id) => document.getElementById(id);

/** Return the value of a run in a column, null if it has none. */
function valueOf(column, run) {
  const value = column.values.length === 1 ? column.values[0] : column.values[run];
  return value === undefined ? null : value;
}

/** Return the distinct values of a column, without null. */
function distinct(column) {
  return [...new Set(column.values)].filter((value) => value !== null);
}

/** Return whether the runs differ in a column. */
function varies(column) {
  return new Set(column.values).size > 1;
}

/** Return the last part of a column's name, or more of it if another column ends the same way. */
function shortName(column) {
  const parts = column.id.split(".");
  for (let count = 1; count < parts.length; count += 1) {
    const name = parts.slice(-count).join(".");
    const alike = report.columns.filter((other) => other.id === name || other.id.endsWith(`.${name}`));
    if (alike.length === 1) return name;
  }
  return column.id;
}

/** Return a value as text. */
function shown(value) {
  return value === null ? "–" : String(value);
}

/** Create an element. Children are elements or texts; texts are never read as HTML. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Escape a text for plotly, which reads some tags in texts. */
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** Fill a menu with columns, grouped; the chosen one is selected. */
function offer(select, choices, chosen) {
  for (const group of GROUPS) {
    const inside = choices.filter((column) => column.group === group);
    if (!inside.length) continue;
    const options = inside.map((column) => element("option", { value: column.id }, column.id));
    select.append(element("optgroup", { label: group }, ...options));
  }
  if (chosen) select.value = chosen.id;
}

/** Fill a box with a checkbox per column, grouped; `changed` is called after each change. */
function offerMany(box, choices, chosen, changed) {
  for (const group of GROUPS) {
    const inside = choices.filter((column) => column.group === group);
    if (!inside.length) continue;
    const labels = inside.map((column) => {
      const input = element("input", { type: "checkbox", value: column.id });
      input.checked = chosen.has(column.id);
      input.addEventListener("change", () => {
        if (input.checked) chosen.add(column.id);
        else chosen.delete(column.id);
        changed();
      });
      return element("label", { title: column.label }, input, column.id);
    });
    box.append(element("fieldset", {}, element("legend", {}, group), ...labels));
  }
}

const listeners = { filter: [], theme: [] };

/** Call all functions that wait for an event: a new filter, or another theme. */
function announce(event) {
  for (const listener of listeners[event]) listener();
}
