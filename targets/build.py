"""Makes what watches from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from config import Settings, SettingsError
from storage.engine import Database
from storage.record import AuditLog
from targets.check import problems
from targets.logfile.watch import LogWatch
from targets.probe.prober import Prober
from targets.remedy.ladder import Ladder
from targets.roster import Roster
from targets.scrape.inbox import Inbox
from targets.scrape.scraper import Scraper
from targets.watcher import Watcher


def build(
    settings: Settings,
    database: Database,
    *,
    clock_ms: Callable[[], int],
    audit: AuditLog,
    seal: Callable[[str], bytes],
    unseal: Callable[[bytes], str],
    unreadable: type[Exception],
    muted: Callable[[Mapping[str, str], int], Sequence[str]],
    forbidden: str | None,
    on_profiles: Callable[[list[str]], None],
) -> Watcher:
    """Everything that watches beside the model. Nothing runs, connects or reads before :meth:`Watcher.start`.

    ``seal`` and ``unseal`` encrypt the targets of the page, ``unreadable`` is what they raise; ``muted`` names what
    keeps a target's remedies back, ``forbidden`` why there are none at all; ``on_profiles`` hears which profiles are in
    use. Raises :class:`config.SettingsError` for targets that cannot be watched as they are described.
    """
    wrong = problems(settings.targets)
    if wrong:
        raise SettingsError(wrong[0])
    return Watcher(
        roster=Roster(database, settings.targets, encrypt=seal, decrypt=unseal, unreadable=unreadable),
        prober=Prober(database, clock_ms),
        scraper=Scraper(clock_ms),
        logs=LogWatch(database, clock_ms),
        inbox=Inbox(settings.ingest.max_series),
        ladder=Ladder(database, clock_ms, audit=audit, muted=muted, forbidden=forbidden),
        on_profiles=on_profiles,
    )
