"""Three times as many requests as the model can take: what is still answered, how fast, and does the page notice?

    python -m bench.overload [--seconds 15] [--rounds 3] [--only heavy] [--queue-size 64] [--batch-size 8]

Each round measures on a server of its own: as many answers as there are (32 clients that go on asking), then requests
on a timetable (:mod:`bench.flood`) at 80 % of that, then at 300 %. Meanwhile others, with a connection for each
request, load the page, the health and a summary ten times a second each, from the first moment on. Prints the medians
of the rounds, and what is worst where a target speaks of all. The models wait instead of computing
(:mod:`bench.paced`), as they do for a GPU.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.flood import Tally, flooding
from tests.running import RunningServer

BODY = '{"value": 1.5}'
MODELS = {"heavy": "bench.paced:Heavy", "light": "bench.paced:Light"}
CLIENTS = 32
USUAL, TOO_MUCH = 0.8, 3.0
#: What people and probes look at meanwhile, and how often in a second.
PAGES = ("/health", "/", "/api/model")
LOOKS_PER_SECOND = 10.0
#: How long the servers are used before anything is measured.
WARM_SECONDS = 3.0
#: How long a load is on before it is measured: until then the queue has filled, and has been worked off.
SETTLE_SECONDS = 2.0
#: Targets: share of the most, times p99 at the usual load, and seconds for a page.
GOODPUT, SLOWER, PAGE_SECONDS = 0.95, 2.0, 0.1


@dataclass(frozen=True)
class Load:
    """One load: how it went for those who asked the model, and for those who looked at pages."""

    asked: Tally
    looks: Mapping[str, Tally]

    @property
    def p99(self) -> float:
        """Seconds, of the requests that were answered."""
        return self.asked.seconds_at(0.99, 200)


@dataclass(frozen=True)
class Round:
    """One server at its most, at the usual load and at far too much."""

    most: float
    usual: Load
    too_much: Load

    @property
    def best(self) -> float:
        """The most answers a second that anything has brought about."""
        return max(self.most, self.usual.asked.rate(), self.too_much.asked.rate())


def measure(folder: Path, path: str, seconds: float, settings: Mapping[str, Any]) -> Round:
    """One round."""
    chosen = {"MODEL__PATH": path, "MODEL__DEVICE": "cpu", "AUTH__ANONYMOUS": "viewer", **settings}
    with RunningServer(folder / "data", **chosen) as server:
        server.wait_until_ready()
        _closed(server.port, WARM_SECONDS)
        most = _closed(server.port, seconds).rate()
        return Round(most, _load(server.port, USUAL * most, seconds), _load(server.port, TOO_MUCH * most, seconds))


def _closed(port: int, seconds: float) -> Tally:
    with flooding(port, 1, seconds, "--body", BODY, "--clients", CLIENTS) as flood:
        return flood.tally()


def _load(port: int, rate: float, seconds: float) -> Load:
    with ExitStack() as stack:
        looks = {
            page: stack.enter_context(flooding(port, LOOKS_PER_SECOND, seconds, "--path", page, "--fresh"))
            for page in PAGES
        }
        settled = ("--settle", SETTLE_SECONDS)
        asked = stack.enter_context(flooding(port, rate, seconds + SETTLE_SECONDS, "--body", BODY, *settled)).tally()
        return Load(asked, {page: look.tally() for page, look in looks.items()})


def report(name: str, rounds: Sequence[Round]) -> str:
    """The lines of one model's table."""

    def middle(value: Callable[[Round], float]) -> float:
        return statistics.median(value(each) for each in rounds)

    share = middle(lambda each: each.too_much.asked.rate() / each.best)
    slower = middle(lambda each: each.too_much.p99 / each.usual.p99)
    refused = sum(each.too_much.asked.count(429, 503, 504) for each in rounds)
    mute = sum(each.too_much.asked.mute for each in rounds)
    ill = sum(_ill(each.too_much.asked) + _ill(each.usual.asked) for each in rounds)
    lines = [
        f"| {name}: most answers a second | {middle(lambda each: each.best):.0f} | |",
        f"| answers a second at 3 × | {middle(lambda each: each.too_much.asked.rate()):.0f}, "
        f"{_judged(f'{share:.1%}', share >= GOODPUT)} | ≥ 95 % |",
        f"| p50, p99 at 80 % | {middle(lambda each: each.usual.asked.seconds_at(0.5, 200)) * 1e3:.0f}, "
        f"{middle(lambda each: each.usual.p99) * 1e3:.0f} ms | |",
        f"| p50, p99 of the answers at 3 × | "
        f"{middle(lambda each: each.too_much.asked.seconds_at(0.5, 200)) * 1e3:.0f}, "
        f"{middle(lambda each: each.too_much.p99) * 1e3:.0f} ms, "
        f"{_judged(f'{slower:.2f} ×', slower <= SLOWER)} | ≤ 2 × |",
        f"| refused at 3 ×, without `Retry-After` | {refused}, {_judged(str(mute), not mute)} | 0 |",
        f"| refusal p50, p99 | {middle(lambda each: each.too_much.asked.seconds_at(0.5, 429, 503, 504)) * 1e3:.0f}, "
        f"{middle(lambda each: each.too_much.asked.seconds_at(0.99, 429, 503, 504)) * 1e3:.0f} ms | |",
        f"| lost, unsent, or answered otherwise | {_judged(str(ill), not ill)} | 0 |",
    ]
    for page in PAGES:
        at = [each.too_much.looks[page] for each in rounds]
        p99 = statistics.median(look.seconds_at(0.99, 200) for look in at)
        worst = max(look.seconds_at(1.0) for look in at)
        bad = sum(look.sent - look.count(200) for look in at)
        said = ", ".join(_judged(f"{value * 1e3:.0f} ms", value <= PAGE_SECONDS) for value in (p99, worst))
        lines.append(f"| `{page}` at 3 ×: p99, worst{f' ({bad} bad)' if bad else ''} | {said} | ≤ 100 ms |")
    return "\n".join(lines)


def _ill(tally: Tally) -> int:
    """Requests that were neither answered nor refused, or never sent."""
    other = sum(tally.count(status) for status in tally.times if status not in (200, 429, 503, 504))
    return tally.lost + tally.unsent + other


def _judged(said: str, good: bool) -> str:
    return said if good else f"**{said}**"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", choices=["", *MODELS])
    parser.add_argument("--queue-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    options = parser.parse_args()
    settings = {"MODEL__QUEUE_SIZE": options.queue_size, "MODEL__BATCH_SIZE": options.batch_size}
    print("| | | target |\n|---|---:|---:|", flush=True)
    for name, path in MODELS.items():
        if options.only in ("", name):
            rounds = []
            for _ in range(options.rounds):
                with tempfile.TemporaryDirectory() as folder:
                    rounds.append(measure(Path(folder), path, options.seconds, settings))
            print(report(name, rounds), flush=True)


if __name__ == "__main__":
    main()
