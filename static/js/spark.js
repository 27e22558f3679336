// Sparklines: one SVG path per tile, drawn from the same history as the charts.

const HEIGHT = 28;

/** The paths of a sparkline over a 100 × 28 box; gaps stay gaps. */
export function sparkPaths(times, values, start, end) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low === Infinity) return { line: "", area: "" };
  if (high - low <= Math.abs(high) * 0.02) { // nearly flat: do not blow noise up to drama
    const pad = Math.abs(high) * 0.1 || 1;
    low -= pad;
    high += pad;
  }
  const every = Math.max(1, Math.floor(values.length / 120));
  let line = "";
  let area = "";
  let first = null;
  let last = null;
  const close = () => { if (first !== null) area += `L${last} ${HEIGHT}L${first} ${HEIGHT}Z`; first = null; };
  values.forEach((value, index) => {
    if (index % every && index !== values.length - 1) return;
    if (value === null) { close(); return; }
    const x = Math.max(0, ((times[index] - start) / (end - start)) * 100).toFixed(2);
    const y = (HEIGHT - 2 - ((value - low) / (high - low)) * (HEIGHT - 5)).toFixed(2);
    const move = first === null ? "M" : "L";
    if (first === null) first = x;
    line += `${move}${x} ${y}`;
    area += `${move}${x} ${y}`;
    last = x;
  });
  close();
  return { line, area };
}
