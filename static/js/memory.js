// A small picture of the memory that a process held before its end: MB over seconds, drawn as SVG.

import { sayText, seconds, valueTicks } from "./format.js";
import { t } from "./i18n.js";

const WIDTH = 320;
const HEIGHT = 72;
const SVG = "http://www.w3.org/2000/svg";

const make = (tag, attributes) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

/** `curve` holds [seconds before the end, resident MB, GPU MB], oldest first; two at least. */
export function memoryPicture(curve) {
  const sound = curve.filter((point) => Array.isArray(point) && point.every(Number.isFinite));
  const oldest = Math.max(1, ...sound.map(([ago]) => ago));
  const most = Math.max(1, ...sound.flatMap(([, resident, gpu]) => [resident, gpu]));
  const [unit, factor] = most >= 1000 ? ["GB", 1000] : ["MB", 1];
  const ticks = valueTicks(most / factor, "");
  const highest = ticks.end * factor;
  const x = (ago) => ((1 - ago / oldest) * WIDTH).toFixed(1);
  const y = (mb) => (HEIGHT - (mb / highest) * (HEIGHT - 2)).toFixed(1);
  const series = [[t("in the machine"), 1, "--s1"], ...(sound.some(([, , gpu]) => gpu > 0) ? [[t("on the GPU"), 2, "--s2"]] : [])];
  const picture = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const first = sound[0]?.[1] ?? 0;
  const last = sound.at(-1)?.[1] ?? 0;
  picture.setAttribute("aria-label", t("Memory in the last {duration}: from {first} to {last}", { duration: seconds(oldest), first: sayText(first * 1e6, "bytes"), last: sayText(last * 1e6, "bytes") }));
  for (const value of ticks.values) picture.append(make("line", { x1: 0, x2: WIDTH, y1: y(value * factor), y2: y(value * factor), class: "grid" }));
  for (const [, column, color] of series) {
    const path = sound.map((point, index) => `${index ? "L" : "M"}${x(point[0])} ${y(point[column])}`).join("");
    const line = make("path", { d: path });
    line.style.stroke = `var(${color})`;
    picture.append(line);
  }
  const figure = document.createElement("figure");
  figure.className = "memory";
  const marks = ticks.labels.map((label, place) => (place === ticks.labels.length - 1 ? `${label}\u202f${unit}` : label)).reverse();
  const legend = series.map(([name, , color]) => span(name, "key", `--key: var(${color})`));
  figure.append(column("scale", marks.map((mark) => span(mark))), picture,
    column("times", [span(`−${seconds(oldest)}`), ...legend, span(t("the end"))]));
  return figure;
}

function span(words, className = "", style = "") {
  return Object.assign(document.createElement("span"), { textContent: words, className, style });
}

function column(className, children) {
  const node = Object.assign(document.createElement("div"), { className });
  node.append(...children);
  return node;
}
