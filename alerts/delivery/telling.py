"""One message told in one language: which lines there are, and in what words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from alerts.delivery.layout import Layout, Line
from alerts.delivery.message import Action, Fact, Message
from alerts.delivery.wording import WORDINGS, Language, Tag, Wording, lasting
from alerts.humanize import general
from mask import deidentify
from timeword import local_moment

if TYPE_CHECKING:
    from alerts.delivery.compose import Composer

#: Alerts that one notice tells one by one; of the others it tells the number.
MAX_ITEMS = 40
_MAX_NAMES = 3
#: Ends of the names of rules that say whether something answers at all: they are told as DOWN and UP.
_DOWN_ENDS = ("Down", "Unreachable", "ProbeFailed")


class Telling:
    """One message, about to be told in one language."""

    def __init__(self, composer: Composer, message: Message, language: Language, now_ms: int) -> None:
        self._composer = composer
        self._message = message
        self._language: Language = language
        self._now_ms = now_ms
        self._words: Wording = WORDINGS[language]

    # --- the whole -------------------------------------------------------------------------------------------

    def layout(self) -> Layout:
        """Title and lines."""
        facts = self._message.alerts
        about = self._about_one(facts[0]) if len(facts) == 1 else self._about_many() if facts else []
        said = [*self._opening(), *about, *self._frame(), *self._links()]
        lines, left_out = _bounded([line for line in said if line.text or line.url])
        more = self._words.more
        return Layout(self._title(), tuple(lines), self._words.colon, lambda count: more.format(count=count), left_out)

    def pieces(self) -> list[Line]:
        """What a short text message says, the most important first."""
        facts, words = self._message.alerts, self._words
        found = [Line(self._title()), Line(f"({deidentify(self._composer.service)})", weight=2)]
        if len(facts) == 1 and facts[0].firing:
            found.append(
                Line(words.since.format(since=self._clock(facts[0].active_ms), span=self._span_of(facts[0])), weight=3)
            )
        if len(facts) == 1 and not facts[0].firing:
            found.append(Line(self._lasted(facts[0]), weight=3))
        link = self._ack_url()
        return [*found, Line(link, weight=1)] if link else found

    def _title(self) -> str:
        message, words = self._message, self._words
        if message.kind == "test":
            return f"[{words.tags['test']}] {words.test_title}"
        facts = message.alerts
        tag = f"[{words.tags[self._tag()]}]"
        if len(facts) == 1:
            return f"{tag} {self._summary(facts[0])}"
        names = [*dict.fromkeys(fact.rule for fact in sorted(message.firing or facts, key=lambda fact: -fact.level))]
        named = words.comma.join(deidentify(name) for name in names[:_MAX_NAMES])
        if len(names) > _MAX_NAMES:
            named = words.more_names.format(names=named, count=len(names) - _MAX_NAMES)
        return f"{tag} {self._count()}{words.colon}{named}" if facts else f"{tag} {deidentify(message.note)}".strip()

    def _tag(self) -> Tag:
        message = self._message
        if message.kind != "alerts":
            return message.kind
        if all(_is_outage(fact) for fact in message.alerts):
            return "down" if message.firing else "up"
        if message.firing and all(fact.no_data_ms is not None for fact in message.firing):
            return "no_data"
        return "firing" if message.firing else "resolved"

    def _count(self) -> str:
        firing, resolved, words = len(self._message.firing), len(self._message.resolved), self._words
        if not firing:
            return words.all_resolved.format(resolved=resolved)
        text = words.count_one if firing == 1 else words.many.format(firing=firing)
        return text + (words.count_resolved.format(resolved=resolved) if resolved else "")

    def _opening(self) -> list[Line]:
        """What a kind says before its alerts."""
        message, words = self._message, self._words
        note = Line(deidentify(message.note))
        if message.kind == "test":
            return [Line(words.test_body.format(service=deidentify(self._composer.service))), note]
        if message.kind == "escalation":
            return [Line(words.unacknowledged), note]
        if message.kind == "summary":
            return [note if note.text else Line(words.caught_up)]
        return [note]

    def _frame(self) -> list[Line]:
        """Which service, and when this was said."""
        words = self._words
        return [
            Line(deidentify(self._composer.service), words.service, weight=2),
            Line(local_moment(self._message.time_ms, self._composer.zone), words.time, weight=3),
        ]

    # --- one alert -------------------------------------------------------------------------------------------

    def _about_one(self, fact: Fact) -> list[Line]:
        words = self._words
        advised = fact.firing and self._message.kind != "acknowledged"
        return [
            Line(self._text(fact, "description"), weight=6),
            Line(self._standing(fact) if fact.firing else self._lasted(fact)),
            Line(words.endings.get(fact.ended_by or "", ""), weight=1),
            Line(self._acknowledged(fact)),
            Line(self._gap(fact), weight=1),
            Line(self._flapping(fact), weight=2),
            *(Line(self._done(action), weight=1) for action in fact.actions),
            Line(self._text(fact, "action") if advised else "", words.advice, weight=2 if fact.firing else 5),
            Line(self._severity(fact) if fact.firing else "", words.severity, weight=4),
        ]

    def _standing(self, fact: Fact) -> str:
        """Since when it fires, and its value against the threshold."""
        words, measure = self._words, self._composer.measure_of(fact)
        since, span = self._clock(fact.active_ms), self._span_of(fact)
        if _is_outage(fact):
            return words.down.format(since=since, span=span)
        if fact.value is None or fact.no_data_ms is not None:
            return words.since.format(since=since, span=span)
        if measure is None:
            return words.measured.format(since=since, span=span, value=general(fact.value))
        threshold = f"{measure.operator} {measure.show(measure.threshold)}"
        return words.since_measured.format(since=since, span=span, value=measure.show(fact.value), threshold=threshold)

    def _lasted(self, fact: Fact) -> str:
        outage = _is_outage(fact)
        began = fact.active_ms if outage or fact.firing_ms is None else fact.firing_ms
        ended = fact.resolved_ms if fact.resolved_ms is not None else self._message.time_ms
        form = self._words.was_down if outage else self._words.lasted
        span = lasting((ended - began) / 1000, self._language)
        return form.format(span=span, since=self._clock(began), until=self._clock(ended))

    def _acknowledged(self, fact: Fact) -> str:
        if not fact.ack_by:
            return ""
        return self._words.acknowledged.format(by=deidentify(fact.ack_by), reason=deidentify(fact.ack_reason or "–"))

    def _gap(self, fact: Fact) -> str:
        missing = fact.no_data_ms if fact.firing else None
        return "" if missing is None else self._words.no_data.format(since=self._clock(missing))

    def _flapping(self, fact: Fact) -> str:
        composer = self._composer
        if not fact.firing or composer.flap_count == 0 or fact.flaps < composer.flap_count:
            return ""
        return self._words.flapping.format(times=fact.flaps, span=lasting(composer.flap_seconds, self._language))

    def _done(self, action: Action) -> str:
        """What was done by itself, when, how it went, and whether it helped."""
        doing = self._words.doings.get(action.action, {}).get(action.state, f"{action.action}: {action.state}")
        text = f"{doing} ({self._clock(action.time_ms)})"
        text += f"{self._words.colon}{deidentify(action.outcome)}" if action.outcome else ""
        text += "" if text.endswith((".", "。")) else "。" if self._language == "zh" else "."
        if action.state != "done":
            return text
        return f"{text}{'' if self._language == 'zh' else ' '}{self._words.help[action.helped]}"

    # --- several alerts --------------------------------------------------------------------------------------

    def _about_many(self) -> list[Line]:
        firing, resolved, words = self._message.firing, self._message.resolved, self._words
        lines: list[Line] = []
        for rule, facts in _by_rule(firing).items():
            head = f"{rule} ({len(facts)})" if len(facts) > 1 else rule
            doings = dict.fromkeys(self._done(action) for fact in facts for action in fact.actions)
            section = [
                Line(f"{deidentify(head)} · {self._severity(facts[0])}", shape="heading"),
                *(self._item(fact) for fact in facts),
                *(Line(doing, weight=3) for doing in doings),
                Line(self._text(facts[0], "action"), words.advice, weight=5),
            ]
            lines += [replace(line, section=f"rule:{rule}") for line in section]
        if resolved:
            section = [Line(words.resolved, shape="heading"), *(self._item(fact) for fact in resolved)]
            lines += [replace(line, section="resolved") for line in section]
        return lines

    def _item(self, fact: Fact) -> Line:
        words, summary = self._words, self._summary(fact)
        if not fact.firing:
            ended = fact.resolved_ms if fact.resolved_ms is not None else self._message.time_ms
            began = fact.firing_ms if fact.firing_ms is not None else fact.active_ms
            text = words.item_over.format(summary=summary, span=lasting((ended - began) / 1000, self._language))
            return Line(text, shape="item", weight=7)
        since, measure = self._clock(fact.active_ms), self._composer.measure_of(fact)
        if measure is None or fact.value is None:
            text = words.item.format(summary=summary, since=since)
        else:
            text = words.item_measured.format(summary=summary, since=since, value=measure.show(fact.value))
        who = self._acknowledged(fact)
        return Line(f"{text} {who}".strip(), shape="item", weight=6)

    # --- links -----------------------------------------------------------------------------------------------

    def _links(self) -> list[Line]:
        words, found = self._words, []
        runbooks = dict.fromkeys(fact.annotations.get("runbook_url", "") for fact in self._message.firing)
        if len(runbooks) == 1:
            (runbook,) = runbooks
            if _is_link(runbook) and (deidentify(runbook) == runbook or self._is_ours(runbook)):
                found.append(Line("", words.runbook, "link", 4, runbook))
        if self._composer.public_url is not None:
            page = f"{self._composer.public_url.rstrip('/')}/alerts"
            found.append(Line("", words.page, "link", 3, page))
        acknowledge = self._ack_url()
        return [*found, Line("", words.acknowledge, "link", 1, acknowledge)] if acknowledge else found

    def _ack_url(self) -> str | None:
        """A link that takes on all that fires and that nobody has; it is exempt from masking, being ours."""
        open_ids = [fact.id for fact in self._message.firing if fact.ack_by is None and fact.id > 0]
        if not open_ids or self._message.kind not in ("alerts", "escalation", "summary", "action"):
            return None
        return self._composer.link(open_ids, self._now_ms)

    def _is_ours(self, url: str) -> bool:
        ours = self._composer.public_url
        return ours is not None and (url == ours or url.startswith(f"{ours.rstrip('/')}/"))

    # --- words -----------------------------------------------------------------------------------------------

    def _summary(self, fact: Fact) -> str:
        text = fact.text("summary", self._language)
        if text == fact.rule:  # the rule says nothing of its own: its labels tell which one it is
            names = [f"{name}={value}" for name, value in sorted(fact.labels.items()) if name not in _KNOWN_LABELS]
            text = f"{text} ({', '.join(names)})" if names else text
        return " ".join(deidentify(text).split())

    def _severity(self, fact: Fact) -> str:
        if fact.severity == "none":  # the rule has no such label; its level says how much it matters
            return self._words.level.format(level=fact.level)
        return deidentify(self._words.severities.get(fact.severity, fact.severity))

    def _text(self, fact: Fact, name: str) -> str:
        return " ".join(deidentify(fact.text(name, self._language)).split())

    def _span_of(self, fact: Fact) -> str:
        seconds = (self._message.time_ms - fact.active_ms) / 1000
        if seconds < 1:
            return self._words.just_now
        return self._words.so_far.format(span=lasting(seconds, self._language))

    def _clock(self, time_ms: int) -> str:
        """The time of day where it is the day of the message, else the date as well."""
        zone = self._composer.zone
        then, now = (
            datetime.fromtimestamp(at / 1000, zone).astimezone(zone) for at in (time_ms, self._message.time_ms)
        )
        return then.strftime("%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M:%S")


_KNOWN_LABELS = frozenset({"alertname", "severity", "level", "wakeless_action"})


def _is_outage(fact: Fact) -> bool:
    return fact.rule.endswith(_DOWN_ENDS)


def _is_link(text: str) -> bool:
    return text.startswith(("https://", "http://")) and not any(mark in text for mark in " \t\r\n\"'<>")


def _by_rule(facts: Sequence[Fact]) -> Mapping[str, list[Fact]]:
    """Facts by rule, the most urgent rule first."""
    found: dict[str, list[Fact]] = {}
    for fact in sorted(facts, key=lambda fact: (-fact.level, fact.rule, fact.active_ms, fact.id)):
        found.setdefault(fact.rule, []).append(fact)
    return found


def _bounded(lines: Sequence[Line]) -> tuple[list[Line], int]:
    """No more items than a person reads, and how many more there are."""
    places = {at for at, line in enumerate(lines) if line.shape == "item"}
    extra = set(sorted(places)[MAX_ITEMS:])
    return [line for at, line in enumerate(lines) if at not in extra], len(extra)
