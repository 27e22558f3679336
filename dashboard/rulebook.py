"""The rules as the page edits them: what is in force, checking and trying a text, saving, and earlier versions."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field

from alerts.check import check_text
from alerts.duration import parse_duration
from alerts.group import RuleError
from alerts.rule import inspect_rules
from alerts.ruling.excerpt import rule_excerpt
from alerts.ruling.preview import Trial, preview
from alerts.ruling.rulebook import MAX_COMMENT, MAX_TEXT, NewerRules, RuleText
from collectors.catalogue import METRICS
from collectors.sample import METRIC_NAME, Matcher
from dashboard.access import require
from dashboard.api import answer, audit
from dashboard.identity import current
from dashboard.moment import now_ms
from dashboard.parameter import HOUR_MS, body, invalid, whole
from dashboard.problem import Problem
from dashboard.services import services
from promql import QueryError, parse

blueprint = Blueprint("rulebook", __name__, url_prefix="/api/rules")

#: Hours that a preview may look back.
MAX_HOURS, LEAST_HOURS = 24.0 * 14, 1 / 60


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RulesText(_Body):
    """The text of a rule file."""

    text: str = Field(max_length=MAX_TEXT)


class Save(RulesText):
    """A text that is to be in force, why, and the version that it was made from."""

    comment: str = Field("", max_length=MAX_COMMENT)
    version: int = Field(ge=0)


class Restore(_Body):
    """Why an earlier version is to be in force again, and the version that is now."""

    comment: str = Field("", max_length=MAX_COMMENT)
    version: int = Field(ge=0)


class Try(_Body):
    """A rule to try over the last hours. ``for`` and ``keep_firing_for`` are durations such as ``5m``."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)
    expr: str = Field(min_length=1)
    for_: str = Field("0s", alias="for")
    keep_firing_for: str = "0s"
    hours: float = Field(24.0, gt=0, le=MAX_HOURS, allow_inf_nan=False)


@blueprint.get("")
@require("viewer")
def rules() -> Response:
    """The text of the page's rules, and every file with what is wrong with it."""
    return answer(_document(services().rules.rulebook.current()))


@blueprint.post("/check")
@require("viewer")
def check() -> Response:
    """All that is wrong with a text, and what is doubtful, with the lines."""
    text = body(RulesText).text
    problems = check_text(text, "", _known_metrics())
    groups, _ = inspect_rules(text, "")
    count = sum(len(group.rules) for group in groups)
    return answer({"problems": [problem._asdict() for problem in problems], "rules": count})


@blueprint.post("/preview")
@require("viewer")
def try_out() -> Response:
    """When a rule would have fired in the last hours, and the series that it looks at."""
    asked = body(Try)
    waits = {"for": asked.for_, "keep_firing_for": asked.keep_firing_for}
    seconds = {}
    for field, text in waits.items():
        try:
            seconds[field] = parse_duration(text)
        except ValueError as error:
            invalid(field, str(error))
    try:
        trial = Trial(parse(asked.expr.strip()), seconds["for"], seconds["keep_firing_for"])
        found = preview(services().query, trial, now_ms(), _within_history(asked.hours))
    except QueryError as error:
        invalid("expr", str(error))
    return answer(
        {
            "start_ms": found.start_ms,
            "end_ms": found.end_ms,
            "step_seconds": found.step_ms / 1000,
            "fired": found.fired,
            "firing_seconds": found.firing_seconds,
            "spans": [span._asdict() for span in found.spans],
            "series": [{"labels": labels, "points": points} for labels, points in found.series],
            "series_count": found.series_count,
            "threshold": None if found.threshold is None else found.threshold._asdict(),
            "warnings": found.warnings,
        }
    )


def _within_history(hours: float) -> float:
    """At most as many hours as there is history: before it, nothing would have fired, and ``absent(x)`` would have."""
    span = services().store.span()
    if span is None:
        return hours
    return min(hours, max((now_ms() - span[0]) / 3_600_000, LEAST_HOURS))


@blueprint.put("")
@require("admin")
def save() -> Response:
    """Put a text in force as the newest version; nothing changes if it cannot be used."""
    asked = body(Save)
    book = services().rules.rulebook
    try:
        saved = book.save(asked.text, current().actor, asked.comment.strip(), asked.version, now_ms())
    except (RuleError, NewerRules) as error:
        raise _refusal(error) from error
    return _in_force(saved, "rules.save", asked.comment)


@blueprint.get("/versions")
@require("viewer")
def versions() -> Response:
    """The newest versions first, without their texts."""
    found = services().rules.rulebook.versions(whole("limit", 100, 1, 1000))
    return answer({"versions": [_facts(one) for one in found]})


@blueprint.get("/versions/<int:version>")
@require("viewer")
def version(version: int) -> Response:
    """One version with its text."""
    found = services().rules.rulebook.version(version)
    if found is None:
        raise Problem(404, "not-found", f"There is no version {version} of the rules.")
    return answer(_facts(found) | {"text": found.text})


@blueprint.post("/versions/<int:version>/restore")
@require("admin")
def restore(version: int) -> Response:
    """Put what an earlier version said in force again, as a new version."""
    asked = body(Restore)
    comment = asked.comment.strip() or f"Version {version} again"
    book = services().rules.rulebook
    try:
        saved = book.restore(version, current().actor, comment, asked.version, now_ms())
    except LookupError as error:
        raise Problem(404, "not-found", f"There is no version {version} of the rules.") from error
    except (RuleError, NewerRules) as error:
        raise _refusal(error) from error
    return _in_force(saved, "rules.restore", comment)


@blueprint.post("/reload")
@require("admin")
def reload() -> Response:
    """Read the rule files now instead of within a few seconds. A file that cannot be used keeps what it said before."""
    changed = services().rules.refresh(now_ms(), services().alerting.apply_rules, settle=False)
    audit("rules.reload", "rules", {"changed": changed})
    return answer({"changed": changed, "files": _files()})


@blueprint.get("/source")
@require("viewer")
def source() -> Response:
    """One rule as it is written, comments and all, in a rule file of its own."""
    name, group, file = (request.args.get(field, "") for field in ("name", "group", "file"))
    for state in services().alerts.rules():
        if state.name != group or file not in ("", state.file) or all(name != one.rule.name for one in state.rules):
            continue
        text = services().rules.text_of(state.file)
        found = None if text is None else rule_excerpt(text, name, group)
        if found is not None:
            return answer({"text": found, "file": _shown(state.file)})
    raise Problem(404, "not-found", "There is no such rule.")


def _in_force(saved: RuleText, action: str, comment: str) -> Response:
    audit(action, "rules", {"version": saved.version, "comment": comment})
    services().rules.refresh(now_ms(), services().alerting.apply_rules)
    return answer(_document(saved))


def _document(text: RuleText) -> dict[str, Any]:
    return _facts(text) | {"text": text.text, "files": _files()}


def _facts(text: RuleText) -> dict[str, Any]:
    return {"version": text.version, "time_ms": text.time_ms, "author": text.author, "comment": text.comment}


def _files() -> list[dict[str, Any]]:
    return [state._asdict() | {"path": _shown(state.path)} for state in services().rules.states()]


def _shown(path: str) -> str:
    """A file by its name: where it lies is nobody's business in a browser."""
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def _known_metrics() -> set[str]:
    """What Wakeless writes, and what else has come into the history in the last hour or is recorded by a rule."""
    end_ms = now_ms()
    anything = (Matcher(METRIC_NAME, "!=", ""),)
    seen = {dict(labels)[METRIC_NAME] for labels in services().store.labels(anything, end_ms - HOUR_MS, end_ms)}
    recorded = {one.rule.name for group in services().alerts.rules() for one in group.rules}
    return {*METRICS, *seen, *recorded}


def _refusal(error: RuleError | NewerRules) -> Problem:
    if isinstance(error, NewerRules):
        said = f"These rules are not the newest any more: {error}. Nothing was saved."
        return Problem(409, "conflict", said, version=error.newest.version, author=error.newest.author)
    return Problem(422, "invalid-parameter", str(error), field="text", problems=list(error.problems))
