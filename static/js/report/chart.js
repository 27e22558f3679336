// The charts of a report: plain SVG, so that they print as sharp as text and need no script once they are there.

import { el } from "../dom.js";
import { sayText, valueTicks, axisUnit } from "../format.js";

/** A chart on a phone is drawn for it, lest its words be too small. */
const WIDTH = matchMedia("(max-width: 700px)").matches ? 380 : 640;
const HEIGHT = 190;
const BOX = { left: 52, right: 8, top: 10, bottom: 24 };
const SPACE = "http://www.w3.org/2000/svg";

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A figure with a caption: bars (with a part of each at its foot) or a line (with a limit), null being a gap. */
export function figure({ title, kind, labels, values, parts = [], limit = null, unit, says = (value) => sayText(value, unit), sub = "" }) {
  const known = values.filter((value) => value !== null);
  const largest = Math.max(...known, limit ?? 0, 0);
  const axis = kind === "shares" ? { factor: 100, unit: "%" } : axisUnit(unit, largest);
  const ticks = kind === "shares" ? { start: 0, end: 100, values: [0, 50, 100], labels: ["0", "50", "100"] } : valueTicks(largest * axis.factor, unit);
  const y = (value) => HEIGHT - BOX.bottom - ((value * axis.factor - ticks.start) / (ticks.end - ticks.start)) * (HEIGHT - BOX.top - BOX.bottom);
  const slot = (WIDTH - BOX.left - BOX.right) / Math.max(1, values.length);
  const x = (place) => BOX.left + (place + 0.5) * slot;
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
  ticks.values.forEach((value, at) => {
    const height = y(value / axis.factor);
    drawing.append(svg("line", { class: "grid", x1: BOX.left, x2: WIDTH - BOX.right, y1: height, y2: height }), word(BOX.left - 8, height + 4, ticks.labels[at], "end"));
  });
  const every = Math.ceil(labels.length / (WIDTH / 110));
  labels.forEach((label, at) => { if (at % every === 0) drawing.append(word(x(at), HEIGHT - 6, label, "middle")); });
  if (kind === "line") line(drawing, values, x, y);
  if (limit !== null) drawing.append(svg("line", { class: "limit", x1: BOX.left, x2: WIDTH - BOX.right, y1: y(limit), y2: y(limit) }));
  values.forEach((value, at) => {
    if (value === null) return;
    const said = svg("title", {}, `${labels[at]}: ${says(value, parts[at])}`);
    if (kind === "line") drawing.append(svg("circle", { class: "dot-of", cx: x(at), cy: y(value), r: 3.2 }, said));
    else drawing.append(bar(x(at), slot, y(0), y(value), kind === "shares" ? `share ${value >= 1 ? "ok" : value >= 0.99 ? "warning" : "critical"}` : "bar", said));
    if (parts[at]) drawing.append(bar(x(at), slot, y(0), y(parts[at]), "bar failed", svg("title", {}, `${labels[at]}: ${says(value, parts[at])}`)));
  });
  return el("figure", { className: "card-of chart-of" }, el("figcaption", {}, el("b", {}, title), el("span", { className: "mute" }, [axis.unit, sub].filter(Boolean).join(" · "))), drawing);
}

const word = (x, y, said, anchor) => svg("text", { x, y, "text-anchor": anchor }, said);

/** What is more than nothing can be seen. */
function bar(middle, slot, foot, top, name, said) {
  const height = Math.max(foot - top, foot > top ? 1.5 : 0);
  return svg("rect", { class: name, x: middle - slot * 0.36, width: slot * 0.72, y: foot - height, height }, said);
}

function line(drawing, values, x, y) {
  let stretch = [];
  [...values, null].forEach((value, at) => {
    if (value !== null) { stretch.push(`${x(at)},${y(value)}`); return; }
    if (stretch.length > 1) drawing.append(svg("polyline", { class: "line", points: stretch.join(" ") }));
    stretch = [];
  });
}

/** Requests by weekday and hour: the darker, the more. */
export function heat(rows, title, days) {
  const most = Math.max(1, ...rows.flat());
  const step = (WIDTH - BOX.left - BOX.right) / 24;
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} 172`, role: "img", "aria-label": title });
  rows.forEach((row, day) => {
    drawing.append(word(BOX.left - 8, 18 + day * 21, days[day], "end"));
    row.forEach((count, hour) => {
      const cell = svg("rect", { class: "cell", x: BOX.left + hour * step, y: 4 + day * 21, width: step - 2, height: 19, rx: 3 }, svg("title", {}, `${days[day]} ${String(hour).padStart(2, "0")}:00: ${count}`));
      cell.style.setProperty("--part", count ? `${8 + Math.round((count / most) * 92)}%` : "0%");
      drawing.append(cell);
    });
  });
  for (let hour = 0; hour < 24; hour += 3) drawing.append(word(BOX.left + (hour + 0.5) * step, 166, String(hour).padStart(2, "0"), "middle"));
  return el("figure", { className: "card-of chart-of" }, el("figcaption", {}, el("b", {}, title)), drawing);
}
