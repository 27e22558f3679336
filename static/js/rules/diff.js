// The difference between two texts, line by line. No DOM.

/** Beyond so many cells of the table the middle is told as taken out and put in. */
const MOST_CELLS = 4_000_000;

/** [{sign: " " | "-" | "+", text, before, after}], numbers from 1. */
export function diffLines(before, after) {
  const [one, other] = [before.split("\n"), after.split("\n")];
  let start = 0;
  while (start < one.length && start < other.length && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < one.length - start && end < other.length - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  const lines = one.slice(0, start).map((text, at) => ({ sign: " ", text, before: at + 1, after: at + 1 }));
  lines.push(...middle(one.slice(start, one.length - end), other.slice(start, other.length - end), start));
  for (let left = end; left > 0; left -= 1) lines.push({ sign: " ", text: one[one.length - left], before: one.length - left + 1, after: other.length - left + 1 });
  return lines;
}

function middle(one, other, offset) {
  const out = (at) => ({ sign: "-", text: one[at], before: offset + at + 1 });
  const put = (at) => ({ sign: "+", text: other[at], after: offset + at + 1 });
  if (one.length * other.length > MOST_CELLS) return [...one.keys()].map(out).concat([...other.keys()].map(put));
  const width = other.length + 1;
  const longest = new Uint16Array((one.length + 1) * width); // of the common subsequence of the rests
  for (let row = one.length - 1; row >= 0; row -= 1) {
    for (let column = other.length - 1; column >= 0; column -= 1) {
      const at = row * width + column;
      longest[at] = one[row] === other[column] ? longest[at + width + 1] + 1 : Math.max(longest[at + width], longest[at + 1]);
    }
  }
  const lines = [];
  let row = 0;
  let column = 0;
  while (row < one.length || column < other.length) {
    if (row < one.length && column < other.length && one[row] === other[column]) {
      lines.push({ sign: " ", text: one[row], before: offset + row + 1, after: offset + column + 1 });
      row += 1;
      column += 1;
    } else if (column === other.length || (row < one.length && longest[(row + 1) * width + column] >= longest[row * width + column + 1])) lines.push(out(row++));
    else lines.push(put(column++));
  }
  return lines;
}

/** Only what differs, with `around` lines of what does not; null stands for what is left out. */
export function hunks(lines, around = 3) {
  const near = lines.map((_, at) => lines.slice(Math.max(0, at - around), at + around + 1).some(({ sign }) => sign !== " "));
  return lines.flatMap((line, at) => (near[at] ? [line] : at > 0 && !near[at - 1] ? [] : [null]));
}
