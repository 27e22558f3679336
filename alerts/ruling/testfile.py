"""The file format of ``promtool test rules``, read strictly: a test that is not run is no success."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from alerts.duration import parse_duration

_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[-+]?[0-9]+)?")
_NULL = "tag:yaml.org,2002:null"
#: Fields of newer promtools, and what they would do.
_UNSUPPORTED = {
    "start_timestamp": "tests always begin at 0, 1970-01-01T00:00:00Z",
    "fuzzy_compare": "values are compared exactly",
    "histogram": "native histograms are not supported",
}


class BadTests(Exception):
    """A test file that cannot be used; the message is one line."""


def _milliseconds(value: Any) -> Any:
    return round(parse_duration(value) * 1000) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """YAML's numbers, which write infinities with a dot."""
    text = str(value).lower()
    if text.lstrip("+-") == ".inf" or text == ".nan":
        return float(text.replace(".", ""))
    return value if _NUMBER.fullmatch(text) else None


def _empty(value: Any) -> Any:
    return [] if value is None else value


def _no_pairs(value: Any) -> Any:
    return {} if value is None else {name: "" if text is None else text for name, text in dict(value).items()}


Milliseconds = Annotated[int, BeforeValidator(_milliseconds)]
Pairs = Annotated[dict[str, str], BeforeValidator(_no_pairs)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InputSeries(_Part):
    """A series and its values, in the notation of :mod:`alerts.ruling.notation`."""

    series: str = ""
    values: str = ""


class ExpectedAlert(_Part):
    """An alert that must fire: its labels less ``alertname``, and its annotations."""

    exp_labels: Pairs = {}
    exp_annotations: Pairs = {}


class AlertCase(_Part):
    """At ``eval_time`` exactly these alerts of ``alertname`` fire."""

    eval_time: Milliseconds = 0
    alertname: str = ""
    exp_alerts: Annotated[list[ExpectedAlert], BeforeValidator(_empty)] = []


class ExpectedSample(_Part):
    """A sample that a query must give."""

    labels: str = ""
    value: Annotated[float, BeforeValidator(_number)] = 0.0


class QueryCase(_Part):
    """At ``eval_time`` a query gives exactly these samples."""

    expr: str = ""
    eval_time: Milliseconds = 0
    exp_samples: Annotated[list[ExpectedSample], BeforeValidator(_empty)] = []


class Scenario(_Part):
    """Series, and what must come of them. ``interval`` lies between two of their values."""

    name: str = ""
    interval: Milliseconds = 0
    input_series: Annotated[list[InputSeries], BeforeValidator(_empty)] = []
    alert_rule_test: Annotated[list[AlertCase], BeforeValidator(_empty)] = []
    promql_expr_test: Annotated[list[QueryCase], BeforeValidator(_empty)] = []
    external_labels: Pairs = {}
    external_url: str = ""


class RuleTests(_Part):
    """One test file."""

    rule_files: Annotated[list[str], BeforeValidator(_empty)] = []
    evaluation_interval: Milliseconds = Field(60_000)
    group_eval_order: Annotated[list[str], BeforeValidator(_empty)] = []
    tests: Annotated[list[Scenario], BeforeValidator(_empty)] = []

    def rule_paths(self, folder: Path) -> tuple[list[Path], list[str]]:
        """The rule files, and the patterns that match none."""
        found: list[Path] = []
        lacking = []
        for pattern in self.rule_files:
            path = Path(pattern) if Path(pattern).is_absolute() else folder / pattern
            matches = sorted(path.parent.glob(path.name)) if path.parent.is_dir() else []
            found += matches
            if not matches:
                lacking.append(pattern)
        return found, lacking


def read_tests(path: Path) -> RuleTests:
    """Read a test file. Raises :class:`BadTests`."""
    try:
        # S506: _Loader is a SafeLoader that leaves every scalar the text that was written.
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except OSError as error:
        raise BadTests(f"cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise BadTests(f"is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        tests = RuleTests.model_validate({} if tree is None else tree)
    except ValidationError as error:
        raise BadTests(_said(error)) from error
    repeated = {name for name in tests.group_eval_order if tests.group_eval_order.count(name) > 1}
    if repeated:
        raise BadTests(f"group_eval_order: group name repeated: {', '.join(sorted(repeated))}")
    if not tests.evaluation_interval:
        tests.evaluation_interval = 60_000
    return tests


def _said(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    name = str(first["loc"][-1]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        reason = _UNSUPPORTED.get(name)
        return f"{place}: is not supported: {reason}" if reason else f"{place}: this field is not known"
    return f"{place}: {first['msg'].removeprefix('Value error, ')}"


class _Loader(yaml.SafeLoader):
    """YAML with every scalar kept as the text that was written, null aside; no key twice."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return None if node.tag == _NULL else node.value
        return super().construct_object(node, deep)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(names)) < len(names):
            raise yaml.constructor.ConstructorError(None, None, "a key is given twice in one mapping", node.start_mark)
        return super().construct_mapping(node, deep=True)
