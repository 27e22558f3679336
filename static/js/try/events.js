// Server-sent events of an answer to a POST, which EventSource cannot read.

/** Yields {kind, data} for each event, `data` as JSON says it, or the words themselves where it is none. */
export async function* readEvents(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const event = read(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // so that the model need not go on
  }
}

/** Null for a comment, by which the server shows that it is there. */
function read(block) {
  let kind = "data";
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (name === "event") kind = value;
    if (name === "data") data.push(value);
  }
  return data.length ? { kind, data: parsed(data.join("\n")) } : null;
}

function parsed(words) {
  try {
    return JSON.parse(words);
  } catch {
    return words;
  }
}
