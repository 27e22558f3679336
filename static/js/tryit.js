// Try the model: an image goes to /predict, and the answer is drawn over it.

import { call } from "./api.js";
import { all, field, find, show, text } from "./dom.js";
import { sayText } from "./format.js";
import { t } from "./i18n.js";

const WIDEST = 1200;

export function startTry() {
  const drop = find("#drop");
  const file = find("#file");
  for (const button of all("[data-sample]")) {
    button.addEventListener("click", async () => {
      const answer = await fetch(button.dataset.sample);
      if (answer.ok) send(await answer.blob());
    });
  }
  file.addEventListener("change", () => { if (file.files[0]) send(file.files[0]); file.value = ""; });
  for (const type of ["dragenter", "dragover"]) drop.addEventListener(type, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const image = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (image) send(image);
  });
}

async function send(image) {
  show(find("#failure"), false);
  show(find("#answer"), false);
  find("#drop").classList.add("busy");
  const drawn = await draw(image);
  const begun = performance.now();
  try {
    const answer = await call("/predict", { method: "POST", body: image, headers: { "Content-Type": image.type || "application/octet-stream" } });
    paint(answer, (performance.now() - begun) / 1000, drawn);
  } catch (error) {
    fail(error);
  }
  find("#drop").classList.remove("busy");
}

/** Show the image; null where the browser cannot read it, which the server will then say better. */
async function draw(image) {
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

function paint(answer, seconds, drawn) {
  const root = find("#answer");
  const result = answer.result ?? {};
  const { queue_seconds: queue, compute_seconds: compute } = answer.timings;
  text(field(root, "class"), result.class === undefined ? t("Answer") : t(result.class));
  text(field(root, "confidence"), result.confidence === undefined ? "" : sayText(result.confidence, "ratio"));
  find("i", field(root, "bar")).style.transform = `scaleX(${result.confidence ?? 0})`;
  text(field(root, "total"), sayText(seconds, "seconds"));
  text(field(root, "parts"), `${sayText(queue, "seconds")} · ${sayText(compute, "seconds")}`);
  text(field(root, "request"), answer.request_id);
  text(field(root, "json"), JSON.stringify(answer, null, 2));
  show(root, true);
  if (drawn && Array.isArray(result.corners) && result.corners.length === 4) outline(drawn, result.corners);
}

/** The four corners, given in pixels of the original image, over the picture. */
function outline({ canvas, scale }, corners) {
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

function fail(error) {
  const root = find("#failure");
  text(field(root, "title"), error.status ? t("The model did not answer this ({status})", { status: error.status }) : t("The server could not be reached"));
  text(field(root, "detail"), [error.message, error.suggestion].filter(Boolean).join(" "));
  text(field(root, "request"), error.requestId ? `${t("Request id")} ${error.requestId}` : "");
  show(root, true);
}
