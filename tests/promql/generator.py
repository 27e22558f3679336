"""Makes queries up: mostly well-formed ones over the series of ``SERIES``, and mutilated ones."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from promql.support import AGGREGATIONS, FUNCTIONS, Signature, Type
from tests.promql.memory import MemorySource
from tests.promql.notation import parse_labels, parse_values

STEP_MS = 15_000
#: What made-up queries are about: gauges, counters with resets, buckets, stale markers, gaps, NaN and infinities.
SERIES = {
    'a{n="1"}': "1 2 3 NaN 5 Inf 7x10",
    'a{n="2",m="x"}': "0 -1 stale 4 _ 6 -1e300x9",
    'b_total{n="1"}': "0+3x8 0+5x8",
    'b_total{n="2"}': "100+0.1x20",
    'b_total{n="2",m="y"}': "_ _ _ 5x9 stale 1",
    'h_bucket{le="1",n="1"}': "0+1x20",
    'h_bucket{le="2.5",n="1"}': "0+3x20",
    'h_bucket{le="+Inf",n="1"}': "0+2x20",
    'h_bucket{n="odd",le="none"}': "1x20",
    'c{n="1",long="' + "z" * 300 + '"}': "-Inf 7 1e308 1e308",
}
_TOP: tuple[Type, ...] = (*("instant vector",) * 6, "scalar", "range vector", "string")
_SELECTORS = [
    "a", "b_total", "h_bucket", "c", "nothing", 'a{n="1"}', '{n=~"1|2"}', '{__name__=~"a|c", m!="x"}', '{"b_total"}',
    'a{n!~"(1"}', '{__name__=~".*"}', "a{}", "sum", "on_call", 'a{m=""}', '{"é.x"="y"}',
]  # fmt: skip
_DURATIONS = ["1m", "15s", "1ms", "2m30s", "90", "0.5", "1h", "300y", "0s", "1w1d", "1e3", "0x1f"]
_NUMBERS = ["0", "1", "-1", "2.5", "1e300", "Inf", "-inf", "NaN", "0x10", "1_000", "5m", "017", ".5", "9" * 25]
_STRINGS = ['"n"', "'m'", "`le`", '"(.*)"', '"$1"', '"${1}x"', '""', '"\\u00e9"', '"a.b"', '"__name__"', "','", '"(x"']
_OPERATORS = ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"]
_MATCHING = ["", "", "bool", "on(n)", "ignoring(m)", "on()", "on(n) group_left", "ignoring(le) group_right(m)"]
_PIECES = [
    "(", ")", "[", "]", "{", "}", ",", ":", "@", "#", '"', "'", "`", "\\", "\n", "\0", "=", "!", "~", "-", "^", " by ",
    " offset ", " bool ", " on ", "start()", "step()", "[5m:", "[1m]", "\ue000", "\ufffd", "é", "💥", " and ", "NaN",
    "limitk(", "fill(", " anchored", "histogram_avg(", "1e", "0x", "9" * 30, "((((", "----", "))))", "{{}}", "$", ";",
]  # fmt: skip


def source() -> MemorySource:
    """``SERIES``, a sample every 15 seconds."""
    made = MemorySource()
    for name, values in SERIES.items():
        points = [(i * STEP_MS, value) for i, value in enumerate(parse_values(values)) if value is not None]
        made.add(parse_labels(name)[0], points)
    return made


class Generator:
    """Makes queries of every kind, of a depth that is bounded; ``random`` decides everything."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._makers: dict[Type, Callable[[int], str]] = {
            "instant vector": self._vector,
            "range vector": self._range,
            "scalar": self._scalar,
            "string": self._string,
        }

    def query(self, depth: int = 4) -> str:
        """A query of any type; one in three is mutilated."""
        kind = self._random.choice(_TOP)
        text = self._of(kind, depth)
        return self.mutilated(text) if self._random.random() < 0.33 else text

    def mutilated(self, text: str) -> str:
        """``text`` after a few cuts, repetitions, swaps and insertions."""
        for _ in range(self._random.randint(1, 4)):
            start = self._random.randint(0, len(text))
            end = min(len(text), start + self._random.choice([0, 0, 1, 1, 3, 10, 100]))
            middle = text[start:end]
            match self._random.randint(0, 3):
                case 0:
                    middle = ""
                case 1:
                    middle *= self._random.choice([2, 3, 50])
                case 2:
                    middle = middle[::-1]
                case _:
                    middle += self._random.choice(_PIECES) * self._random.choice([1, 1, 1, 2, 60])
            text = text[:start] + middle + text[end:]
        return text

    def _of(self, kind: Type, depth: int) -> str:
        if self._random.random() < 0.01:
            kind = self._random.choice(list(self._makers))
        text = self._makers[kind](depth)
        return f"({text})" if self._random.random() < 0.1 else text

    def _vector(self, depth: int) -> str:
        if depth <= 0:
            return self._random.choice(_SELECTORS) + self._modifiers()
        match self._random.randint(0, 9):
            case 0 | 1:
                return self._random.choice(_SELECTORS) + self._modifiers()
            case 2 | 3:
                return self._aggregation(depth)
            case 4 | 5:
                op, matching = self._random.choice(_OPERATORS), self._random.choice(_MATCHING)
                sides = [self._of("instant vector", depth - 1), self._of("instant vector", depth - 1)]
                if not matching.startswith(("on", "ignoring")) and self._random.random() < 0.4:
                    sides[self._random.randint(0, 1)] = self._of("scalar", depth - 1)
                return f"{sides[0]} {op} {matching} {sides[1]}"
            case 6:
                return self._random.choice("+-") + self._of("instant vector", depth - 1)
            case _:
                return self._call("instant vector", depth)

    def _aggregation(self, depth: int) -> str:
        op = self._random.choice(list(AGGREGATIONS))
        param = AGGREGATIONS[op]
        args = [self._of("instant vector", depth - 1)]
        if param is not None:
            args.insert(0, self._of(param, depth - 2))
        grouping = self._random.choice(["", "by (n)", "without (n, m)", 'by ("le",)', "by ()", "by (__name__)"])
        inside = f"({', '.join(args)})"
        return f"{op} {grouping} {inside}" if self._random.random() < 0.5 else f"{op} {inside} {grouping}"

    def _call(self, result: Type, depth: int) -> str:
        name = self._random.choice([name for name, signature in FUNCTIONS.items() if signature.result == result])
        signature: Signature = FUNCTIONS[name]
        kinds = list(signature.args)
        if signature.extra and self._random.random() < 0.5:
            kinds = kinds[:-1] if signature.extra > 0 else kinds + kinds[-1:] * self._random.randint(0, 3)
        return f"{name}({', '.join(self._of(kind, depth - 1) for kind in kinds)})"

    def _range(self, depth: int) -> str:
        duration = self._random.choice(_DURATIONS)
        if depth <= 0 or self._random.random() < 0.6:
            return f"{self._random.choice(_SELECTORS)}[{duration}]{self._modifiers()}"
        step = self._random.choice(["", *_DURATIONS])
        return f"({self._of('instant vector', depth - 1)})[{duration}:{step}]{self._modifiers()}"

    def _scalar(self, depth: int) -> str:
        if depth <= 0 or self._random.random() < 0.6:
            return self._random.choice(_NUMBERS)
        if self._random.random() < 0.4:
            op = self._random.choice(["+", "-", "*", "/", "%", "^", "atan2", "== bool", "< bool"])
            return f"{self._of('scalar', depth - 1)} {op} {self._of('scalar', depth - 1)}"
        return self._call("scalar", depth)

    def _string(self, _: int) -> str:
        return self._random.choice(_STRINGS)

    def _modifiers(self) -> str:
        chosen = self._random.random()
        if chosen < 0.8:
            return ""
        offset = f" offset {self._random.choice(['', '-'])}{self._random.choice(_DURATIONS)}"
        moment = f" @ {self._random.choice(['0', '60', '1.5', 'start()', 'end()', '1e20', '-1', 'NaN', '5m'])}"
        return self._random.choice([offset, moment, offset + moment, moment + offset, offset + offset])
