// Pictures: the one that is sent, with what the model found drawn over it, and those that come back.

import { el, find, show } from "../dom.js";

const WIDEST = 1200;
const MOST = 6;
/** How base64 of a picture begins, whatever it is called. */
const STARTS = [["iVBORw0KGgo", "image/png"], ["/9j/", "image/jpeg"], ["UklGR", "image/webp"], ["R0lGOD", "image/gif"]];

/** Show the image that is sent; null where the browser cannot read it, which the server will then say better. */
export async function draw(image) {
  const canvas = find("#canvas");
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(image);
  } catch {
    show(canvas, false);
    show(find("#drop-hint"), true);
    return null;
  }
  const scale = Math.min(1, WIDEST / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  show(canvas, true);
  show(find("#drop-hint"), false);
  return { canvas, scale };
}

/** The four corners, given in pixels of the original image, over the picture. */
export function outline({ canvas, scale }, corners) {
  const points = corners.map((corner) => (Array.isArray(corner) ? corner : [corner.x, corner.y])).map(([x, y]) => [x * scale, y * scale]);
  const pen = canvas.getContext("2d");
  const width = Math.max(2, canvas.width / 260);
  pen.beginPath();
  points.forEach(([x, y], index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.closePath();
  pen.fillStyle = "rgb(66 185 143 / 18%)";
  pen.fill();
  pen.lineJoin = "round";
  for (const [color, size] of [["rgb(0 0 0 / 55%)", width * 2], ["#42f0b0", width]]) {
    pen.strokeStyle = color;
    pen.lineWidth = size;
    pen.stroke();
  }
  points.forEach(([x, y], index) => {
    pen.beginPath();
    pen.arc(x, y, width * 2.2, 0, 7);
    pen.fillStyle = index ? "#42f0b0" : "#ffffff";
    pen.fill();
    pen.lineWidth = width / 1.5;
    pen.strokeStyle = "rgb(0 0 0 / 60%)";
    pen.stroke();
  });
}

/** Put the pictures that a result holds into `root`; whether there are any. What is there is kept until others come. */
export function showPictures(root, result) {
  const found = [];
  collect(result, "", found);
  if (found.length) root.replaceChildren(...found.map(({ name, source }) => el("img", { src: source, alt: name })));
  return found.length > 0;
}

function collect(value, name, found) {
  if (found.length === MOST) return;
  if (typeof value === "string") {
    const source = sourceOf(value);
    if (source) found.push({ name, source });
  } else if (value && typeof value === "object") {
    for (const [key, one] of Object.entries(value)) {
      if (typeof one !== "number") collect(one, Array.isArray(value) ? name : key, found);
    }
  }
}

function sourceOf(words) {
  if (/^data:image\/(png|jpeg|webp|gif);base64,/.test(words)) return words;
  const kind = words.length > 60 && STARTS.find(([start]) => words.startsWith(start))?.[1];
  return kind && /^[\w+/=\s]+$/.test(words) ? `data:${kind};base64,${words}` : null;
}
