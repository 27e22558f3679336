// The bound that a rule's value is held against, read from its expression. No DOM.

const COMPARISON = /^(==|!=|>=|<=|>|<)\s*(?:bool\s+)?(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/i;
/** What may follow a bound that is a plain number: the end, or a set operator. */
const AFTER = /^\s*($|\)|and\b|or\b|unless\b)/i;

/** Text in quotes and comments, as blanks of the same length. */
const quiet = (expr) => expr.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|#.*$/gm, (found) => " ".repeat(found.length));

/** Whether an `or` outside of brackets follows: then the value may be that of its other side. */
function choosesBelow(code) {
  let depth = 0;
  return [...code.matchAll(/[([{]|[)\]}]|\bor\b/gi)].some(([word]) => {
    if ("([{".includes(word)) depth += 1;
    else if (")]}".includes(word)) depth -= 1;
    else return depth === 0;
    return false;
  });
}

/** {operator, value, left} of the first comparison with a number outside of all brackets, which is the one that the
 * rule's own value, that of the expression `left`, has passed; null where there is none. */
export function thresholdOf(expr) {
  const whole = (expr ?? "").trim();
  const code = quiet(whole);
  let depth = 0;
  for (let at = 0; at < code.length; at += 1) {
    if ("([{".includes(code[at])) depth += 1;
    if (")]}".includes(code[at])) depth -= 1;
    if (depth) continue;
    if (/^(and|or|unless)\b/i.test(code.slice(at)) && !/\w/.test(code[at - 1] ?? " ")) return null;
    if (!"=!<>".includes(code[at])) continue;
    const found = COMPARISON.exec(code.slice(at));
    const rest = code.slice(at + (found?.[0].length ?? 0));
    if (!found || !AFTER.test(rest) || choosesBelow(rest)) return null;
    return { operator: found[1], value: Number(found[2]), left: whole.slice(0, at).trim() };
  }
  return null;
}

const SIGNS = { ">=": "≥", "<=": "≤", "==": "=", "!=": "≠" };
export const sayOperator = (operator) => SIGNS[operator] ?? operator;
