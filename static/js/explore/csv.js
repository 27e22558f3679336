// CSV of what is shown, made in the browser (RFC 4180, as /api/export.csv writes it).

import { el } from "../dom.js";

const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
const line = (cells) => `${cells.map((value) => cell(String(value ?? ""))).join(",")}\r\n`;

/** Series on one grid of times (ms): a column each. */
export function csvOfSeries(times, series) {
  const head = line(["time", ...series.map((one) => one.full)]);
  return head + times.map((time, index) => line([new Date(time).toISOString(), ...series.map((one) => one.values[index])])).join("");
}

export function csvOfTable({ columns, rows }) {
  const at = columns.indexOf("@time");
  const head = line([...columns.map((name) => (name === "@time" ? "time" : name)), "value"]);
  return head + rows.map((row) => line(row.map((value, index) => (index === at ? new Date(value).toISOString() : value)))).join("");
}

export function saveFile(content, name) {
  const address = URL.createObjectURL(new Blob([content], { type: "text/csv;charset=utf-8" }));
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
