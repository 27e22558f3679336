"""From a look to the alert: the stock rules over a prober's series, through a restart of both."""

from __future__ import annotations

from pathlib import Path

from alerts.engine import AlertEngine
from alerts.rule import load_stock
from alerts.state import Alert
from promql import Engine
from storage.series import SeriesStore
from targets.probe.outcome import Outcome
from tests.targets.probe.test_prober import BLIND, ILL, WELL, Scene, target


class House:
    """Series and rules of one process, fed by its prober."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.told: list[tuple[str, str]] = []
        self.begin()

    def begin(self) -> None:
        """As a process begins."""
        self.store = SeriesStore(self.scene.database)
        self.store.load()
        groups = [group for group in load_stock() if group.name == "wakeless-targets"]
        self.engine = AlertEngine(self.scene.database, Engine(self.store), groups)
        self.engine.load()

    def look(self, outcome: Outcome) -> None:
        """A look, five seconds after the last, and a tick."""
        self.scene.look(outcome)
        self.tick()

    def tick(self) -> None:
        self.store.append(self.scene.prober.collect(self.scene.now_ms))
        self.told += [(event.kind, event.alert.rule) for event in self.engine.evaluate(self.scene.now_ms)]

    def alert(self) -> Alert:
        (found,) = [alert for alert in self.engine.current() if alert.state == "firing"]
        return found


def test_down_is_told_with_its_reason_in_both_languages_and_up_once_it_is_over(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "wakeless.db", target())
    house = House(scene)
    for outcome in (WELL, ILL, ILL):
        house.look(outcome)
    alert = house.alert()
    assert (alert.rule, alert.level, alert.labels["severity"]) == ("TargetDown", 2, "critical")
    assert alert.text("summary", "en") == "comfy is down (http)"
    assert alert.text("description", "en") == "http: HTTP 503."
    assert alert.text("summary", "zh") == "comfy 不可用（http）"
    assert alert.text("description", "zh") == "http 探测失败，原因（原文）：HTTP 503。"
    for outcome in (WELL, WELL):
        house.look(outcome)
    assert house.told == [("fired", "TargetDown"), ("resolved", "TargetDown")]
    scene.database.dispose()


def test_a_kill_while_it_is_down_neither_ends_the_alert_nor_begins_another(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "wakeless.db", target())
    house = House(scene)
    for outcome in (WELL, ILL, ILL):
        house.look(outcome)
    before = house.alert()
    scene.die(seconds_away=30)
    house.begin()
    house.look(ILL)
    after = house.alert()
    assert (after.id, after.firing_ms) == (before.id, before.firing_ms)
    assert house.told == [("fired", "TargetDown")]
    scene.database.dispose()


def test_a_certificate_that_expires_soon_is_told_and_goes_on_to_be_while_the_target_is_down(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "wakeless.db", target("web"))
    house = House(scene)
    soon = Outcome(True, certificate_ends_ms=scene.now_ms + 3 * 86_400_000)
    for _ in range(13):
        house.look(soon)
    assert house.alert().text("summary", "en") == "The certificate of web expires in 2d 23h 58m 55s"
    house.look(ILL)
    scene.die(seconds_away=1)
    house.begin()
    for outcome in (ILL, BLIND, ILL):
        house.look(outcome)
    assert house.told == [("fired", "TargetCertificate"), ("fired", "TargetDown")]
    scene.database.dispose()


def test_what_cannot_be_told_for_ten_minutes_is_worth_a_note(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "wakeless.db", target("box", docker={"container": "x"}))
    house = House(scene)
    for _ in range(122):
        house.look(BLIND)
    alert = house.alert()
    assert (alert.rule, alert.level) == ("TargetUnknown", 1)
    assert "Docker's socket is not there" in alert.text("description", "en")
    scene.database.dispose()
