"""Mistakes in a query: how they are worded and where they are placed, beside Prometheus' own parser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from promql import QueryError, parse

#: Mistakes with the place and the words that Prometheus has for them; ^ marks what the page points at.
MISTAKES = """
1:5: parse error: unexpected identifier "bar"
foo bar
    ^^^
1:3: parse error: unexpected number "2"
1 2
  ^
1:5: parse error: unclosed left bracket
x[5m
    ^
1:6: parse error: unexpected right bracket ']'
x[5m]]
     ^
1:8: parse error: unexpected end of input inside braces
x{a="b"
       ^
1:3: parse error: unexpected "," in label matching, expected identifier or "}"
x{,}
  ^
1:1: parse error: vector selector must contain at least one non-empty matcher
{a=~".*"}
^^^^^^^^^
1:1: parse error: metric name must not be set twice: "x" or "y"
x{__name__="y"}
^^^^^^^^^^^^^^^
1:5: parse error: unexpected identifier "b" in label matching, expected string
x{a=b}
    ^
1:4: parse error: unexpected "}" in label matching, expected label matching operator
x{a}
   ^
1:6: parse error: bad regular expression '(': missing ): (
x{a=~"("}
     ^^^
1:3: parse error: not a valid duration string: "30m1h"
x[30m1h]
  ^^^^^
1:3: parse error: duration must be greater than 0
x[0s]
  ^^
1:10: parse error: unexpected identifier "foo" in offset, expected duration
x offset foo
         ^^^
1:5: parse error: unexpected identifier "foo" in @, expected timestamp
x @ foo
    ^^^
1:5: parse error: timestamp out of bounds for @ modifier: +Inf
x @ Inf
    ^^^
1:4: parse error: ranges only allowed for vector selectors
(x)[5m]
   ^^^^
1:12: parse error: no offset modifiers allowed before range
x offset 5m[5m]
           ^^^^
1:1: parse error: offset may not be set multiple times
x offset 5m offset 5m
^^^^^^^^^^^
1:5: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery
1 + (x) offset 5m
    ^^^
1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got "range vector"
-x[5m]
^^^^^^
1:4: parse error: unexpected end of input
x *
   ^
1:1: parse error: unexpected <op:*>
* x
^
1:5: parse error: unclosed left parenthesis
sum(
    ^
1:1: parse error: no arguments for aggregate expression provided
sum()
^^^^^
1:3: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1
1+topk(x)
  ^^^^^^^
1:6: parse error: expected type scalar in aggregation parameter, got string
topk("a", x)
     ^^^
1:6: parse error: expected type range vector in call to function "rate", got instant vector
rate(x)
     ^
1:1: parse error: expected 1 argument(s) in call to "rate", got 2
rate(x[5m], 1)
^^^^^^^^^^^^^^
1:1: parse error: expected at least 3 argument(s) in call to "label_join", got 1
label_join(x)
^^^^^^^^^^^^^
1:1: parse error: expected at most 2 argument(s) in call to "round", got 3
round(x, 1, 2)
^^^^^^^^^^^^^^
1:5: parse error: unknown function with name "nofunc"
2 * nofunc(x)
    ^^^^^^
1:11: parse error: trailing commas not allowed in function call args
rate(x[5m],)
          ^
1:7: parse error: binary expression must contain only scalar and instant vector types
x and "a"
      ^^^
1:3: parse error: bool modifier can only be used on comparison operators
1 + bool 2
  ^^^^^^
1:3: parse error: comparisons between scalars must use BOOL modifier
1 == 2
  ^^
1:1: parse error: set operator "and" not allowed in binary scalar expression
x and 1
^^^^^^^
1:1: parse error: vector matching only allowed between instant vectors
x + on(a) 1
^^^^^^^^^^^
1:1: parse error: no grouping allowed for "and" operation
x and on(a) group_left y
^^^^^^^^^^^^^^^^^^^^^^^^
1:3: parse error: label "a" must not occur in ON and GROUP clause at once
x + on(a) group_left(a) y
  ^^^^^^^^^^^^^^^^^^^^^
1:5: parse error: unexpected <group_left>
x + group_left(a) y
    ^^^^^^^^^^
1:8: parse error: unexpected identifier "a" in grouping opts, expected "("
sum by a (x)
       ^
1:11: parse error: unexpected identifier "b" in grouping opts, expected "," or ")"
sum by (a b) (x)
          ^
1:1: parse error: unterminated quoted string
"a
^
1:3: parse error: unexpected character: '$'
x $ y
  ^
1:3: parse error: unexpected character after '!': ' '
x ! y
  ^
1:1: parse error: bad number or duration syntax: "1h1"
1h1
^^^
1:5: parse error: subquery is only allowed on instant vector, got matrix instead
sum(x[5m][5m:])
    ^^^^^^^^^^
"""


def _mistakes() -> list[tuple[str, str, tuple[int, int]]]:
    lines = MISTAKES.strip("\n").split("\n")
    found = []
    for message, text, marks in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        end = min(len(marks), len(text))  # a mark behind the end of the text means its end
        found.append((text, message, (marks.index("^"), end)))
    return found


@pytest.mark.parametrize(("text", "message", "position"), _mistakes(), ids=lambda value: str(value)[:40])
def test_it_says_what_is_wrong_and_where(text: str, message: str, position: tuple[int, int]) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert str(caught.value) == message
    assert caught.value.position == position
    assert caught.value.kind == "bad_data"


def test_it_counts_lines_and_characters_not_bytes() -> None:
    with pytest.raises(QueryError, match=r'^2:10: parse error: unexpected identifier "y"$') as caught:
        parse('up{a="你好"} +\nx{b="é"} y')
    assert caught.value.position == (22, 23)


def test_a_mistake_in_form_comes_before_one_in_meaning() -> None:
    with pytest.raises(QueryError, match=r'^1:13: parse error: unexpected identifier "z"$'):
        parse("rate(x) + y z")


# --- beside Prometheus' own parser

PROMTOOL = shutil.which("promtool")
#: What 2.x, the oracle, does not know yet or words in another way.
_NEWER = re.compile(r"@ (foo|Inf)|regular expression|^x\[\]|1h30m|1m40s|subquery or range selector|offset 0s|[0-9]_")


def _complaints(folder: Path, expressions: list[str]) -> dict[int, str]:
    """What ``promtool check rules`` says about each expression, by its position in the list; nothing if it is fine."""
    rules = [{"record": "a:b", "expr": expression} for expression in expressions]
    file = folder / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    said = re.finditer(r'rule (\d+), "[^"]*": could not parse expression: (.*)', done.stdout + done.stderr)
    return {int(found[1]) - 1: found[2] for found in said}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: apt install prometheus)")
def test_it_complains_as_prometheus_does(tmp_path: Path) -> None:
    mistakes = [mistake for mistake in _mistakes() if not _NEWER.search(mistake[0] + mistake[1])]
    said = _complaints(tmp_path, [text for text, _, _ in mistakes])
    assert [said.get(number) for number in range(len(mistakes))] == [message for _, message, _ in mistakes]
