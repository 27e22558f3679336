"""What the supervisor sees of the server from outside, and whom it tells: channels, a heartbeat service, systemd."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from config import Settings
from ledger import Exit, Ledger
from supervisor.errand import Errand
from supervisor.heartbeat import Heartbeat
from supervisor.herald import Herald, Send
from supervisor.mask import Mask
from supervisor.probe import Probe
from supervisor.systemd import Systemd
from supervisor.vigil import Vigil, Word
from supervisor.wording import Language, compose

log = logging.getLogger("wakeless.supervisor")

#: Seconds between two questions, while the server answers and while it does not.
ASK_SECONDS, ASK_AGAIN_SECONDS = 5.0, 0.5
#: A server process that runs and has not answered for so long is beyond what the supervisor can mend: let systemd do
#: what it can. Longer than the worker's own heartbeat, so that the supervisor has had its turn.
WEDGED_SECONDS = 300.0


class Watch:
    """Everything is driven by :meth:`look`, and nothing waits. ``settings`` say whom to tell."""

    def __init__(self, settings: Settings, mask: Mask, systemd: Systemd, send: Send = Errand) -> None:
        own = settings.supervisor
        self._settings = settings
        self._mask = mask
        self._systemd = systemd
        self._offset_ms = time.time_ns() // 1_000_000 - round(time.monotonic() * 1000)
        self._down_seconds = own.down_seconds
        self._vigil = Vigil(settings.data_dir, own.down_seconds, self.now_ms())
        urls = own.channels or settings.alerts.channels
        self._herald = Herald(settings.data_dir, [url.get_secret_value() for url in urls], send)
        url = own.heartbeat_url
        self._heartbeat = Heartbeat(url.get_secret_value(), own.heartbeat_seconds, send) if url else None
        self._probe: Probe | None = None
        self._next_ask = 0.0

    def begin(self, address: Any, ledger: Ledger) -> None:
        """The socket listens on ``address``; take up what the last supervisor left."""
        self._probe = Probe(address)
        self._vigil.resume(ledger.exits(), _booted_ms())
        self._herald.resume()
        self._systemd.status("starting")

    def now_ms(self) -> int:
        """UTC milliseconds on a clock that does not jump when the machine's is set."""
        return self._offset_ms + round(time.monotonic() * 1000)

    def filenos(self) -> Iterable[int]:
        """What becomes readable when there is something to look at."""
        return () if self._probe is None or not self._probe.asking else (self._probe.fileno(),)

    def died(self, exit: Exit, delay: float) -> None:
        """The server process ended; the next one starts in ``delay`` seconds."""
        if self._probe is not None:
            self._probe.drop()
        self._next_ask = 0.0
        self._vigil.died(exit, self.now_ms())
        self._systemd.status(f"restarting after {exit.reason}: {exit.summary}; next start in {delay:.0f} s")

    def look(self, *, running: bool, safe_mode: bool) -> None:
        """One round: ask, hear, tell."""
        now, now_ms = time.monotonic(), self.now_ms()
        if self._probe is not None and running:
            self._ask(self._probe, now, now_ms, safe_mode)
        word = self._vigil.look(now_ms)
        if word is not None:
            self._tell(word, now_ms)
        self._herald.look(now, now_ms)
        down_seconds = self._vigil.down_ms(now_ms) / 1000
        if self._heartbeat is not None:
            known = self._vigil.downtime
            state: Literal["live", "down", "unsure"] = "live" if self._vigil.is_live else "unsure"
            if state != "live" and known is not None and (known.told or down_seconds >= self._down_seconds):
                state = "down"
            self._heartbeat.look(now, state, self._mask(known.summary) if known else "")
        if not running or down_seconds < WEDGED_SECONDS:
            self._systemd.pat(now)

    def stopping(self) -> None:
        """An orderly stop has begun."""
        self._systemd.stopping()
        self._herald.close()
        if self._heartbeat is not None:
            self._heartbeat.close()

    def _ask(self, probe: Probe, now: float, now_ms: int, safe_mode: bool) -> None:
        finding = probe.hear(now)
        if finding is not None and finding.live:
            self._vigil.answered(now_ms)
            self._systemd.ready()
            self._systemd.status("safe mode: serving the page without the model" if safe_mode else "serving")
        elif finding is not None:
            self._vigil.failed(now_ms, finding.why)
            self._systemd.status(f"not live: {finding.why}")
        if finding is not None:
            steady = finding.live and self._vigil.downtime is None
            self._next_ask = now + (ASK_SECONDS if steady else ASK_AGAIN_SECONDS)
        elif not probe.asking and now >= self._next_ask:
            probe.ask(now)

    def _tell(self, word: Word, now_ms: int) -> None:
        language: Language = "zh" if self._settings.language == "zh" else "en"
        title, body = compose(word, self._settings.name, language)
        (log.info if word.kind == "up" else log.error)("%s", title)
        self._herald.tell(title, body, good=word.kind == "up", now_ms=now_ms)


def _booted_ms(proc: Path = Path("/proc")) -> int:
    """When the machine booted; 0 where it cannot be read."""
    try:
        for line in (proc / "stat").read_text(encoding="ascii").splitlines():
            if line.startswith("btime "):
                return int(line.split()[1]) * 1000
    except (OSError, ValueError):
        pass
    return 0
