"""The recovery ladder by the clock: each failure really happens in a real server while four clients go on asking.

    python -m bench.recovery [--only hang] [--leak]      prints a table; 7 minutes, with --leak 10 more

Every failure gets a server of its own with the default settings, except: a watchdog of two seconds, a result with NaN
is a failure, and a model eight times as slow is reloaded. *Noticed* counts from the request that fails to the end of
the process or the beginning of a remedy; *ready again* from there on after a death, from that request otherwise. The
request that brings the failure about is not counted among the lost.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.rung import (
    HEADER,
    WATCHDOG_SECONDS,
    Measure,
    Row,
    death,
    hang,
    leak,
    loop,
    shortage,
    sickness,
    starvation,
)
from bench.witness import Witness, wait_for
from tests.running import RunningServer

SETTINGS: Mapping[str, Any] = {
    "MODEL__PATH": "tests.faults.peril:Peril",
    "MODEL__DEVICE": "cpu",
    "MODEL__WATCHDOG_SECONDS": WATCHDOG_SECONDS,
    "MODEL__REJECT_NAN": "true",
    "MODEL__DRIFT_RELOAD_RATIO": 8,
    "SUPERVISOR__BACKOFF_MAX_SECONDS": 60,
    "SUPERVISOR__CRASH_LOOP_COUNT": 5,
    "AUTH__ANONYMOUS": "viewer",
}
#: What an ordinary client sends.
BODY = b'{"value": 1.5, "number": 1}'
#: So many answers make a server that is in its stride; the drift needs some to compare with.
WARM_ANSWERS = 300


@dataclass(frozen=True)
class Case:
    """One failure; ``peril`` is what the model is told to do, ``own`` are settings of its server."""

    name: str
    measure: Measure
    peril: str = ""
    own: Mapping[str, Any] = field(default_factory=dict)

    def run(self, folder: Path) -> Row:
        """Bring it about in a fresh server and measure."""
        with RunningServer(folder, **{**SETTINGS, **self.own}) as server:
            if self.measure is not loop:
                server.wait_until_ready()
            with Witness(server.port, BODY) as witness:
                if self.measure is not loop:
                    wait_for(lambda: witness.counts(0)["answered"] >= WARM_ANSWERS, "the first answers")
                return self.measure(self.name, self.peril, server, witness)


CASES = (
    Case("out of memory in batches", shortage),
    Case("exception storm", sickness, "storm"),
    Case("answers become NaN", sickness, "nan"),
    Case("answers become wrong", sickness, "rot"),
    Case("slow death, to 30 times as slow", sickness, "slow"),
    Case("exit() in a library", death, "exit"),
    Case("`SIGKILL`", death, "kill"),
    Case("segmentation fault", death, "segfault"),
    Case("lost CUDA context, in CUDA's words", death, "assert"),
    Case("memory control group full", starvation, "eat"),
    Case("hang in Python", hang, "hang"),
    Case("hang in native code", hang, "hang-native"),
    Case("hang in native code, GIL held", hang, "hang-gil"),
    Case("hang in a regular expression, GIL held", hang, "hang-pattern"),
    Case("hang in `decode`", hang, "decode-hang"),
    Case("hang in `decode`, GIL held", hang, "decode-hang-gil"),
    Case("crash at each start", loop, own={"MODEL__PATH": "tests.faults.slow:CrashingModel"}),
    Case(
        "hang at each start",
        loop,
        own={"MODEL__PATH": "tests.faults.peril:EndlessLoad", "MODEL__LOAD_SECONDS": WATCHDOG_SECONDS},
    ),
    Case("crash at each third request", loop, own={"MODEL__PATH": "tests.faults.peril:ThirdRequest"}),
)
LEAK = Case("leak of 2 MB a second", leak)


def course(folder: Path, only: str, *, with_leak: bool) -> Iterator[Row]:
    """Measure each failure whose name contains ``only``, one after the other."""
    cases = (*CASES, LEAK) if with_leak else CASES
    for number, case in enumerate(cases):
        if only in case.name:
            yield case.run(folder / f"case-{number}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="failures whose name contains this")
    parser.add_argument("--leak", action="store_true", help="with a leak, which takes minutes to become plain")
    chosen = parser.parse_args()
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for row in course(Path(folder), chosen.only, with_leak=chosen.leak):
            print(row, flush=True)


if __name__ == "__main__":
    main()
