// Many series as plain lines on a canvas, for charts with more of them than SVG can hold without stutter.

const DASHES = { solid: [], dash: [7, 4], dot: [2, 3] };

/** Draw `series` over `times`; `frame` is {start, end, low, high, width, margin}, `looks` gives a key's colour and dash. */
export function drawLines(canvas, series, times, frame, looks, thickness = 1.2) {
  const ratio = devicePixelRatio || 1;
  const { clientWidth, clientHeight } = canvas.parentElement;
  canvas.width = clientWidth * ratio;
  canvas.height = clientHeight * ratio;
  const { start, end, low, high, width, margin } = frame;
  const height = clientHeight - margin.t - margin.b;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.beginPath();
  pen.rect(margin.l, margin.t, width, height);
  pen.clip();
  pen.lineWidth = thickness;
  pen.lineJoin = "round";
  const xs = times.map((time) => margin.l + ((time - start) / (end - start)) * width);
  const scale = height / (high - low);
  for (const { key, values } of series) {
    pen.beginPath();
    pen.strokeStyle = looks.color(key);
    pen.setLineDash(DASHES[looks.dash(key)]);
    let open = false;
    for (let index = 0; index < xs.length; index += 1) {
      const value = values[index];
      if (value === null) {
        open = false;
        continue;
      }
      const y = margin.t + (high - value) * scale;
      if (open) pen.lineTo(xs[index], y);
      else pen.moveTo(xs[index], y);
      if (!open && (values[index + 1] ?? null) === null) pen.lineTo(xs[index] + 1, y); // a lone point
      open = true;
    }
    pen.stroke();
  }
}
