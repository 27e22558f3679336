"""A database from before outages were joined: what was over stays as it is, what lasts is taken up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from storage.engine import Database, open_database
from storage.migrations.upgrade import upgrade
from tests.alerts.outage.scene import MINUTE, T0, Scene

INCIDENT = "INSERT INTO incidents (kind, cause, summary, started_ms, ended_ms, detail) VALUES (?, ?, '', ?, ?, '{}')"
ALERT = (
    'INSERT INTO alerts (fingerprint, rule, "group", state, severity, level, labels, annotations, active_ms, firing_ms,'
    " resolved_ms, seen_ms) VALUES (?, ?, 'g', ?, 'critical', 3, '{}', '{}', ?, ?, ?, ?)"
)


def test_history_stays_as_it_is_and_what_lasts_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "wakeless.db"
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("PRAGMA auto_vacuum = INCREMENTAL")
        plain.execute("PRAGMA journal_mode = WAL")
    old = Database.open(path)
    upgrade(old, to="0002")
    with old.begin() as connection:
        for kind, cause, start, end in (
            ("process", "segfault", 0, MINUTE),
            ("process", "killed", 2 * MINUTE, 3 * MINUTE),
            ("model", "load_failed", 4 * MINUTE, None),
        ):
            connection.exec_driver_sql(INCIDENT, (kind, cause, T0 + start, None if end is None else T0 + end))
        for rule, state, resolved in (("Old", "resolved", T0 + MINUTE), ("Hot", "firing", None)):
            connection.exec_driver_sql(ALERT, (rule, rule, state, T0, T0, resolved, T0))
    old.dispose()
    scene = Scene(open_database(path))
    scene.follow(10 * MINUTE)
    found = {one.cause: one for one in scene.incidents.recent(10)}
    assert (found["segfault"].part_of, found["segfault"].over_ms) == (None, T0 + MINUTE)
    lasting = found["killed"].id  # what still lasts began soon after it
    assert (found["load_failed"].part_of, found["killed"].over_ms) == (lasting, None)
    assert scene.members() == {1: 0, 2: lasting}
    scene.database.dispose()
