"""The routing through the API: the tree, who is on call, and why one does or does not hear of an alert."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.dashboard.house import House, MakeHouse

FILE = """
route:
  receiver: on-call
  group_by: [alertname]
  group_wait: 90s
  routes:
    - match: {severity: critical}
      receiver: boss
      escalation: [{after: 15m, receiver: on-call}]
      quiet_hours: [{time_intervals: [ever], levels: [2]}]
time_intervals: [{name: ever, time_intervals: [{years: ["2000:2200"]}]}]
inhibit_rules: [{source_match: {alertname: Down}, target_match: {alertname: Slow}}]
rotas: [{name: on-call, start: "2026-01-05 09:00", receivers: [ann, boss]}]
receivers:
  - {name: ann, webhook_configs: [{url: "https://open.feishu.cn/open-apis/bot/v2/hook/s3cr3t"}]}
  - {name: boss, webhook_configs: [{url: "http://s3cr3t.example.com/"}], sns_configs: [{topic_arn: x}]}
"""


def _house(make_house: MakeHouse, tmp_path: Path, text: str = FILE) -> House:
    file = tmp_path / "routing.yml"
    file.write_text(text)
    return make_house(alerts={"routing": file})


def _explain(house: House, **labels: str) -> Any:
    answer = house.visitor().post("/api/routing/explain", headers=house.token("viewer"), json={"labels": labels})
    assert answer.status_code == 200
    return answer.get_json()


def _view(house: House) -> Any:
    return house.visitor().get("/api/routing", headers=house.token("viewer")).get_json()


def test_the_routing_of_a_file_is_shown_whole_and_without_its_secrets(make_house: MakeHouse, tmp_path: Path) -> None:
    house = _house(make_house, tmp_path)
    shown = _view(house)
    assert "s3cr3t" not in str(shown)
    tree = shown["tree"]
    assert (tree["receiver"], tree["group_wait"], tree["group_by"]) == ("on-call", "1m30s", ["alertname"])
    (below,) = tree["routes"]
    assert below["matchers"] == ['severity="critical"']
    assert below["escalation"] == [{"after": "15m", "receiver": "on-call"}]
    assert shown["receivers"] == [
        {"name": "ann", "channels": ["ann.webhook"]},
        {"name": "boss", "channels": ["boss.webhook"]},
    ]
    (rota,) = shown["rotas"]
    assert {rota["now"], rota["next"]} == {"ann", "boss"}
    assert rota["until_ms"] > 0
    assert [line.split(":")[0] for line in shown["unsupported"]] == ["receivers[1].sns_configs[0]"]
    assert len(shown["notes"]) == 1


def test_explain_says_who_hears_and_by_which_route(make_house: MakeHouse, tmp_path: Path) -> None:
    found = _explain(_house(make_house, tmp_path), alertname="A", severity="critical")
    assert found["receivers"] == [{"name": "boss", "channels": ["boss.webhook"]}]
    assert found["route"] == ['route.routes[0] {}/{severity="critical"}']
    assert found["muted_by"] == []


def test_explain_says_what_keeps_an_alert_back(make_house: MakeHouse, tmp_path: Path) -> None:
    found = _explain(_house(make_house, tmp_path), alertname="A", severity="critical", level="2")
    assert found["muted_by"] == ["the quiet hours ever"]
    assert found["routes"][0]["muted_by"] == [{"kind": "quiet_hours", "names": ["ever"]}]


def test_without_a_file_levels_decide(make_house: MakeHouse) -> None:
    house = make_house(alerts={"channels": ["json://127.0.0.1:9/"]})
    shown = _view(house)
    assert (shown["file"], shown["unsupported"], shown["rotas"]) == (None, [], [])
    assert _explain(house, alertname="A", severity="info")["receivers"] == []
    (receiver,) = _explain(house, alertname="A", severity="critical")["receivers"]
    assert len(receiver["channels"]) == 1


def test_a_question_without_labels_is_refused(make_house: MakeHouse) -> None:
    house = make_house()
    for body in ({}, {"labels": ["a"]}, {"labels": {"a": 5}}, {"labels": {}, "other": 1}):
        answer = house.visitor().post("/api/routing/explain", headers=house.token("viewer"), json=body)
        assert answer.status_code in (400, 422)
