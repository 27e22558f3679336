"""What the generator learns from: reports of a night shift, made by a few rules, and judged by the same rules."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SERVICES: Final = ("photo", "card", "address", "speech", "search")
#: What may happen, and what is done about it: both the service and the event have to be remembered over a sentence.
REMEDIES: Final = {
    "ran out of memory": "The {service} batch was halved",
    "hung for a minute": "The {service} process was restarted",
    "gave a wrong answer": "The last good {service} version was put back",
    "lost its CUDA context": "A new {service} process was started",
    "failed ten times in a row": "The {service} breaker opened",
    "became slow": "The {service} inputs were made smaller",
    "could not read its weights": "The old {service} version went on serving",
    "was flooded with requests": "Some {service} callers were told to come back",
}
_ENDINGS: Final = (
    "After {count} {unit} the {service} service was well.",
    "The {service} service answered again after {count} {unit}.",
    "Nobody was woken for the {service} service.",
)
UNITS: Final = ("seconds", "minutes")
#: Ends a report, and comes before the first one: what a model reads to begin anew.
END: Final = "\n"

_SERVICE: Final = "|".join(SERVICES)


def _any_of(sentences: Iterable[str], name: str) -> str:
    """A pattern for all of them; the service is the group ``name`` and a number."""
    return "|".join(
        sentence.replace(".", r"\.").format(
            count="[2-9]", unit=f"(?:{'|'.join(UNITS)})", service=f"(?P<{name}{place}>{_SERVICE})"
        )
        for place, sentence in enumerate(sentences)
    )


_REPORT: Final = re.compile(
    rf"(?:[01][0-9]|2[0-3]):[0-5][0-9] The (?P<service>{_SERVICE}) service (?P<event>{'|'.join(REMEDIES)})\. "
    rf"(?P<remedy>{_any_of(REMEDIES.values(), 'treated')})\. (?:{_any_of(_ENDINGS, 'last')})"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a report is worth: every part is right by itself, the remedy fits, and it stays with one service."""

    well_formed: bool
    remedy_fits: bool
    one_service: bool

    @property
    def sound(self) -> bool:
        return self.well_formed and self.remedy_fits and self.one_service


def write_report(rng: random.Random) -> str:
    """One report of three sentences, without its end."""
    service, event = rng.choice(SERVICES), rng.choice(tuple(REMEDIES))
    remedy = REMEDIES[event].format(service=service)
    ending = rng.choice(_ENDINGS).format(count=rng.randint(2, 9), unit=rng.choice(UNITS), service=service)
    return f"{rng.randrange(24):02}:{rng.randrange(60):02} The {service} service {event}. {remedy}. {ending}"


def judge(report: str) -> Verdict:
    """Whether the rules could have made it."""
    found = _REPORT.fullmatch(report)
    if found is None:
        return Verdict(False, False, False)
    parts = found.groupdict()
    services = {parts[key] for key in parts if key not in ("event", "remedy") and parts[key] is not None}
    treated = next(parts[key] for key in parts if key.startswith("treated") and parts[key] is not None)
    return Verdict(True, REMEDIES[parts["event"]].format(service=treated) == parts["remedy"], len(services) == 1)


#: A word with the space before it, a digit, or a sign: together they are the text again.
_TOKEN: Final = re.compile(r" ?[A-Za-z]+| ?[0-9]|.", re.DOTALL)


def split(text: str) -> list[str]:
    """A text as tokens, known or not; joined they are the text."""
    return _TOKEN.findall(text)


def _vocabulary() -> tuple[str, ...]:
    texts = [END, "The", *(f" {word}" for word in (*SERVICES, *UNITS)), *(f"{digit} {digit}:. " for digit in range(10))]
    texts += [f". {text}." for text in (*REMEDIES, *REMEDIES.values(), *_ENDINGS)]
    return tuple(sorted({token for text in texts for token in split(re.sub(r" ?{\w+}", "", text))}))


#: Every token there is; its place in here is its number.
VOCABULARY: Final = _vocabulary()
