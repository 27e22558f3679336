// The same request for a shell.

const LONGEST = 600;

const quoted = (words) => `'${words.replaceAll("'", "'\\''")}'`;
const plain = (words) => (/^[\w./:@=-]+$/.test(words) ? words : quoted(words));

/** `body` is what would be sent: words, or a file if one has been chosen. */
export function curl(url, { form, body, type, image, stream }) {
  const parts = ["curl"];
  if (stream) parts.push("-N", "-H", quoted("Accept: text/event-stream"));
  if (form === "json") parts.push("--json", body.length > LONGEST ? "@body.json" : quoted(compact(body)));
  else if (form === "text") parts.push("-H", quoted(`Content-Type: ${type}`), "--data-raw", quoted(body.slice(0, LONGEST)));
  else if (image) parts.push("-F", plain(`file=@${body?.name ?? "photo.jpg"}`));
  else parts.push("-H", quoted(`Content-Type: ${type}`), "--data-binary", plain(`@${body?.name ?? "input"}`));
  return [...parts, url].join(" ");
}

/** On one line. Words in JSON have no line breaks, so that only what is between them changes. */
const compact = (words) => words.trim().replace(/([[{])\s*\n\s*/g, "$1").replace(/\s*\n\s*([\]}])/g, "$1").replace(/\s*\n\s*/g, " ");
