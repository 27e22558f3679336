"""Outages and remedies of a real server that really dies: one entry for each, and a restart that is done once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.running import RunningServer, eventually

ALWAYS = """
groups:
- name: own
  rules:
  - alert: AnswersAreEmpty
    expr: process_start_time_seconds > 0
    labels: {severity: critical, wakeless_action: restart_process}
"""


def outages(server: RunningServer, headers: dict[str, str]) -> list[dict[str, Any]]:
    found = server.json("/api/incidents", **headers)["incidents"]
    return [one for one in found if one["part_of"] is None and one["kind"] not in ("planned", "remedy")]


def test_two_kills_and_the_alerts_about_them_are_one_entry(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"MODEL__ENABLED": "false", "ALERTS__EVALUATION_INTERVAL_SECONDS": 1}
    with RunningServer(tmp_path / "data", **settings) as server:
        headers = server.token()
        for kills in (1, 2):
            server.kill_worker()
            server.wait_until_alive()
            eventually(
                lambda kills=kills: sum(  # type: ignore[misc]
                    one["kind"] == "process" for one in server.json("/api/incidents", **headers)["incidents"]
                ) == kills,
                what=f"the incident of kill {kills}",
            )  # fmt: skip
        eventually(lambda: server.json("/api/alerts", **headers)["alerts"], what="ProcessRestarted")
        # The second kill is noted first, and joined in the same tick.
        eventually(lambda: len(outages(server, headers)) == 1, what="both kills in one entry")
        (only,) = outages(server, headers)
        eventually(lambda: server.json(f"/api/incidents/{only['id']}", **headers)["alerts"], what="its alert")
        story = server.json(f"/api/incidents/{only['id']}", **headers)
        assert (only["kind"], only["cause"], only["over_ms"]) == ("process", "killed", None)
        assert {alert["rule"] for alert in story["alerts"]} == {"ProcessRestarted"}
        assert [part["cause"] for part in story["parts"]] == ["killed"]
        assert {line["kind"] for line in story["entries"]} >= {"state", "fired"}
        assert len(outages(server, headers)) == 1
        uptime = server.json("/api/uptime", **headers)
        assert 0 < uptime["windows"]["90d"] < 1
        assert uptime["windows"]["90d"] == uptime["windows"]["24h"]


def test_a_restart_that_an_alert_asks_for_is_done_once_and_judged_by_the_next_process(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(ALWAYS)
    settings: dict[str, Any] = {
        "MODEL__ENABLED": "false",
        "ALERTS__RULES": rules,
        "ALERTS__STOCK_RULES": "false",
        "ALERTS__EVALUATION_INTERVAL_SECONDS": 1,
        "ALERTS__ACTION_HELP_SECONDS": 4,
    }
    with RunningServer(tmp_path / "data", **settings) as server:
        headers = server.token()

        def action() -> dict[str, Any] | None:
            """The only action there is, once it has been judged."""
            if not server.answers("/health/live"):
                return None
            try:
                found = server.json("/api/actions", **headers)["actions"]
            except OSError:  # it is on its way to the next process
                return None
            return found[0] if len(found) == 1 and found[0]["helped"] is not None else None

        one = eventually(action, what="the verdict")
        assert one is not None
        assert (one["action"], one["state"], one["helped"]) == ("restart_process", "done", False)
        assert one["outcome"] == "a new process has started"
        restarts = [one for one in server.json("/api/incidents", **headers)["incidents"] if one["kind"] == "planned"]
        assert [restart["detail"]["actor"] for restart in restarts] == ["wakeless"]
        audit = server.json("/api/audit", **headers)["entries"]
        assert [entry["actor"] for entry in audit if entry["action"] == "alert.action"] == ["wakeless"]
