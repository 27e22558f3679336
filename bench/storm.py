"""An alert storm, a service in trouble, and a process that is killed again and again: is every alert told, and once?

``python -m bench.storm --kills 1000``: a child process evaluates rules over conditions that come and go, and sends
notices to two channels of an HTTP server in this process that fails half of the time. ``kill -9`` ends the child at
random moments, also while it starts; the next one takes up its database. Then the weather clears, and what the alerts
table says is held against what the server has really taken.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sqlite3
import sys
import tempfile
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

from bench.storm_life import LOG, LOOKS, Weather, live
from bench.storm_receiver import StormReceiver, Taken, Told

CHANNELS = ("red", "blue")
#: How long one life is, in seconds: some from when the process begins, most from when it has taken up the database, so
#: that a busy machine, on which a start takes longer, sees as much of a storm.
YOUNG_SECONDS, LIFE_SECONDS = (0.01, 0.15), (0.0, 0.5)
YOUNG_SHARE = 0.2
#: How much faster than real time the storm runs.
SPEED = 60.0
#: Until the last life must have told all.
PATIENCE_SECONDS = 90.0


@dataclass
class Outcome:
    """What became of the storm. ``fired``, ``resolved`` and ``lost`` count each alert once for each channel.

    ``unseen`` are those that ended and fired anew while the process was dead or died: nobody could tell them apart.
    """

    kills: int = 0
    seconds: float = 0.0
    fired: int = 0
    resolved: int = 0
    unseen: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    notices: int = 0
    summaries: int = 0
    #: Notices that came in more than once, under one key: why nobody could know that they had been taken.
    repeats: Mapping[str, int] = field(default_factory=dict)
    unexplained: list[str] = field(default_factory=list)
    states: Mapping[str, int] = field(default_factory=dict)
    moods: Mapping[str, int] = field(default_factory=dict)
    out_of_order: int = 0
    intact: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost or told twice, and every repetition has its reason."""
        clean = not self.lost and not self.twice and not self.unexplained and not self.out_of_order
        return clean and self.fired > 0 and self.intact == "ok" and not self.states.get("failed")


def rage(folder: Path, kills: int, *, seed: int = 1, alerts: int = 24, catch_up_seconds: float = 300.0) -> Outcome:
    """Kill the process ``kills`` times in a storm of so many alerts, then let the weather clear, and look."""
    # One process that has imported everything is forked for each life: a start then takes milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.storm_life", "requests"])
    chance = random.Random(seed)
    began = time.monotonic()
    with StormReceiver(seed) as receiver:
        channels = tuple((name, receiver.url(name)) for name in CHANNELS)
        weather = Weather(str(folder), channels, alerts, time.time_ns() // 1_000_000, SPEED, catch_up_seconds)
        for life in range(kills):
            _live_and_die(context, weather._replace(life=life), chance)
        receiver.calm = True
        _live_to_the_end(context, weather._replace(life=kills, calm_ms=weather.now_ms()))
        outcome = judge(folder, receiver.book, kills)
        outcome.moods = {str(mood): count for mood, count in receiver.moods.items()}
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _live_and_die(context: ForkServerContext, weather: Weather, chance: random.Random) -> None:
    """One life, ended by ``kill -9``. Raises ``RuntimeError`` if it ends by itself."""
    here, there = context.Pipe()
    child = context.Process(target=live, args=(weather, there), daemon=True)
    child.start()
    if chance.random() < YOUNG_SHARE:
        child.join(chance.uniform(*YOUNG_SECONDS))
    else:
        here.poll(PATIENCE_SECONDS)
        child.join(chance.uniform(*LIFE_SECONDS))
    if child.exitcode is not None:
        raise RuntimeError(f"the process ended by itself, with status {child.exitcode}")
    child.kill()
    child.join()


def _live_to_the_end(context: ForkServerContext, weather: Weather) -> None:
    """The last life. Raises ``RuntimeError`` if it does not tell all."""
    _, there = context.Pipe()
    last = context.Process(target=live, args=(weather, there), daemon=True)
    last.start()
    last.join(PATIENCE_SECONDS)
    if last.exitcode != 0:
        last.kill()
        last.join()
        raise RuntimeError(f"the last life did not tell all: status {last.exitcode}")


def judge(folder: Path, book: Sequence[Taken], kills: int, log: str = LOG) -> Outcome:
    """Hold what the alerts table says against what was taken."""
    outcome = Outcome(kills=kills)
    with closing(sqlite3.connect(folder / "wakeless.db")) as connection:
        outcome.intact = connection.execute("PRAGMA integrity_check").fetchone()[0]
        outcome.states = dict(connection.execute("SELECT state, count(*) FROM outbox GROUP BY state"))
        rows = connection.execute(
            "SELECT id, fingerprint, firing_ms, resolved_ms FROM alerts WHERE firing_ms IS NOT NULL"
        ).fetchall()
    looks = _looks(folder / LOOKS)
    for channel in CHANNELS:
        taken = [one for one in book if one.channel == channel]
        _weigh(outcome, channel, [Alarm(*row) for row in rows], _keys(taken), looks)
        outcome.notices += len({one.key for one in taken})
        outcome.summaries += len({one.key for one in taken if one.is_summary})
        outcome.out_of_order += _disorder(taken)
    outcome.repeats, outcome.unexplained = _repeats(book, _unanswered(folder / log))
    return outcome


class Alarm(NamedTuple):
    """One alert of the table, from when it fired until it resolved."""

    id: int
    fingerprint: str
    firing_ms: int
    resolved_ms: int | None

    def told(self, *, firing: bool) -> Told:
        return Told(self.fingerprint, _moment(self.firing_ms), firing)


def _weigh(
    outcome: Outcome, channel: str, alarms: Sequence[Alarm], keys: Mapping[Told, set[str]], looks: Sequence[int] | None
) -> None:
    """Count what one channel was told of, and what not."""
    for episode in _episodes(alarms, looks):
        outcome.unseen += len(episode) - 1
        fired = [keys.get(alarm.told(firing=True), set()) for alarm in episode]
        over = [keys.get(alarm.told(firing=False), set()) for alarm in episode]
        outcome.fired += 1
        # A summary of what has fired and resolved meanwhile tells of both.
        if not any(fired) and not any(key.startswith("summary-") for found in over for key in found):
            outcome.lost.append(f"{channel}: alert {episode[0].id} fired")
        if episode[-1].resolved_ms is not None:
            outcome.resolved += 1
            outcome.lost += [] if over[-1] else [f"{channel}: alert {episode[-1].id} resolved"]
        for what, lists in (("fired", fired), ("resolved", over)):
            outcome.twice += [
                f"{channel}: alert {alarm.id} {what}: {sorted(found)}"
                for alarm, found in zip(episode, lists, strict=True)
                if len(found) > 1
            ]


def _looks(log: Path) -> list[int] | None:
    """When somebody has looked at the alerts that stand; None if nobody has written that down."""
    return sorted(int(line) for line in log.read_text().split()) if log.exists() else None


def _episodes(alarms: Sequence[Alarm], looks: Sequence[int] | None) -> list[list[Alarm]]:
    """The alerts as those can tell them apart who look at what stands.

    One that ends and fires anew while nobody looks, since the process is dead or dies, fires all the time to people.
    Where it is not known when somebody looked, every alert counts by itself.
    """
    episodes: list[list[Alarm]] = []
    latest: dict[str, list[Alarm]] = {}
    for alarm in sorted(alarms, key=lambda one: (one.firing_ms, one.id)):
        before = latest.get(alarm.fingerprint)
        ended_ms = before[-1].resolved_ms if before else None
        if before and looks is not None and ended_ms is not None and not _is_between(looks, ended_ms, alarm.firing_ms):
            before.append(alarm)
            continue
        latest[alarm.fingerprint] = [alarm]
        episodes.append(latest[alarm.fingerprint])
    return episodes


def _is_between(looks: Sequence[int], start_ms: int, end_ms: int) -> bool:
    """Whether somebody looked in ``[start_ms, end_ms)``."""
    return bisect_left(looks, start_ms) < bisect_left(looks, end_ms)


def _keys(taken: Sequence[Taken]) -> defaultdict[Told, set[str]]:
    """The notices, by their keys, that told of each alert."""
    keys: defaultdict[Told, set[str]] = defaultdict(set)
    for one in taken:
        for told in one.told:
            keys[told].add(one.key)
    return keys


def _disorder(taken: Sequence[Taken]) -> int:
    """How often an alert was said to fire after it was said to have resolved; repetitions do not count."""
    over: set[tuple[str, str]] = set()
    seen: set[str] = set()
    count = 0
    for one in taken:
        if one.key in seen:
            continue
        seen.add(one.key)
        for told in one.told:
            count += told.firing and (told.fingerprint, told.starts) in over
            over |= set() if told.firing else {(told.fingerprint, told.starts)}
    return count


def _unanswered(log: Path) -> set[str]:
    """The notices of which a process said that it got no answer in time."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return {line["key"] for line in lines if str(line.get("reason", "")).startswith("no answer")}


def _repeats(book: Sequence[Taken], unanswered: set[str]) -> tuple[dict[str, int], list[str]]:
    """Why a notice that had been taken came again, and those that should not have."""
    last: dict[tuple[str, str], Taken] = {}
    reasons: Counter[str] = Counter()
    unexplained = []
    for one in book:
        before = last.get((one.channel, one.key))
        last[one.channel, one.key] = one
        if before is None:
            continue
        if before.mood == "lost":  # the sender cannot know
            reasons["the service took it and cut the connection"] += 1
        elif before.life != one.life:
            reasons["the process was killed before it had written down the answer"] += 1
        elif before.mood == "late" or one.key in unanswered:
            reasons["the service took it and answered too late"] += 1
        else:
            unexplained.append(f"{one.channel}: {one.key}")
    return dict(reasons), unexplained


def _moment(time_ms: int) -> str:
    """RFC 3339 as the webhook writes it."""
    whole = datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{time_ms % 1000:03d}".rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def main() -> int:
    """Rage once and print what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--alerts", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--catch-up", type=float, default=300.0, help="seconds of the storm's time; 0: no summaries")
    parser.add_argument("--keep", type=Path, help="a new folder for the database and the logs")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True)
    with nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory(prefix="storm-") as folder:
        outcome = rage(
            Path(folder),
            options.kills,
            seed=options.seed,
            alerts=options.alerts,
            catch_up_seconds=options.catch_up,
        )
    print(json.dumps(asdict(outcome), indent=2))
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
