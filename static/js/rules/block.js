// The rule around a line of a rule file, as far as a preview needs it. The server reads the file for good. No DOM.

const HEAD = /^(\s*)-\s*(alert|record)\s*:\s*(.+?)\s*$/;
const ITEM = /^(\s*)-\s/;

/** {kind, name, expr, for, keep_firing_for, line} of the rule that the line (from 0) belongs to, or null. */
export function ruleAt(text, line) {
  const lines = text.split("\n");
  let start = Math.min(line, lines.length - 1);
  while (start >= 0 && !HEAD.test(lines[start])) start -= 1;
  if (start < 0) return null;
  const [, indent, kind, name] = HEAD.exec(lines[start]);
  let end = start + 1;
  while (end < lines.length && !(lines[end].trim() && width(lines[end]) <= indent.length)) end += 1;
  if (line >= end && lines.slice(end, line + 1).some((one) => one.trim())) return null; // the cursor is below it, in something else
  const fields = fieldsOf(lines.slice(start + 1, end), indent.length);
  return fields.expr ? { kind, name: unquoted(name), expr: fields.expr, for: fields.for, keep_firing_for: fields.keep_firing_for, line: start } : null;
}

const width = (line) => line.length - line.trimStart().length;
const unquoted = (text) => (/^(["']).*\1$/s.test(text) ? text.slice(1, -1).replaceAll("''", "'").replaceAll('\\"', '"') : text);

/** The fields right below a list item that begins at `indent`: their values, block scalars included. */
function fieldsOf(lines, indent) {
  const found = {};
  let depth = null;
  for (let at = 0; at < lines.length; at += 1) {
    const match = /^(\s+)([a-z_]+)\s*:\s*(.*)$/.exec(lines[at]);
    if (!match || match[1].length <= indent || ITEM.test(lines[at])) continue;
    depth ??= match[1].length;
    if (match[1].length !== depth) continue;
    const [, , name, rest] = match;
    const block = [];
    while (at + 1 < lines.length && (!lines[at + 1].trim() || width(lines[at + 1]) > depth)) { at += 1; block.push(lines[at].trim()); }
    const value = /^[|>][+-]?\d?$/.test(rest.trim()) ? block.join("\n").trim() : [rest.replace(/\s+#.*$/, ""), ...block].join(" ").trim();
    found[name] = unquoted(value);
  }
  return found;
}

/** The text with the one rule of a rule file added, and the line where it begins: into the group of the same name, or,
 * with that group's own fields, at the end. */
export function insertRule(value, file) {
  const lines = file.replace(/\s*$/, "").split("\n");
  const at = lines.findIndex((line) => /^\s+rules:\s*$/.test(line));
  const group = /^\s*-\s*name:\s*(.+?)\s*$/m.exec(file)[1];
  const base = value.replace(/\s*$/, "");
  if (!/^\s*-\s*(alert|record)\s*:/m.test(base)) return { value: `${lines.join("\n")}\n`, line: at + 1 };
  const own = base.split("\n");
  const head = own.findIndex((line) => /^\s*-\s*name:/.test(line) && unquoted(line.replace(/^\s*-\s*name:\s*/, "").trim()) === unquoted(group));
  if (head < 0) { // a group of its own, as far in as the others are
    const inner = own.find((line) => /^\s*-\s*name:/.test(line));
    const moved = indented(lines.slice(1), inner ? width(inner) : 2);
    return { value: `${[...own, ...moved].join("\n")}\n`, line: own.length + at };
  }
  const deep = width(own[head]);
  let end = head + 1;
  while (end < own.length && !(own[end].trim() && width(own[end]) <= deep)) end += 1;
  const first = own.slice(head, end).find((line) => HEAD.test(line));
  const moved = indented(lines.slice(at + 1), first ? width(first) : deep + 4);
  return { value: `${[...own.slice(0, end), ...moved, ...own.slice(end)].join("\n")}\n`, line: end };
}

function indented(lines, wanted) {
  const least = Math.min(...lines.filter((line) => line.trim()).map(width));
  return lines.map((line) => (line.trim() ? " ".repeat(wanted) + line.slice(least) : ""));
}
