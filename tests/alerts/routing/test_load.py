"""A routing file is read as Alertmanager reads it, with its verdict; nothing in it is ignored without a word."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import apprise
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.routing.error import RoutingError
from alerts.routing.load import load_routing, parse_routing
from alerts.routing.tree import Routing
from tests.alerts.amtool import needs_amtool
from tests.alerts.routing.corpus import FILES, RECEIVERS

#: Apprise loads a module of Python's that is going to be removed.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

ROOT = Path(__file__).parents[3]
S1 = ROOT / "examples/s1/alertmanager.yml"
EVERYTHING = FILES[-1]


def _texts() -> list[str]:
    return [f"route: {{receiver: a}}\nreceivers:\n- name: a\n  {text}\n" for text in RECEIVERS] + [*FILES]


def _parse(text: str, folder: Path = Path()) -> Routing:
    return parse_routing(text, "routing.yml", folder)


def _problems(text: str) -> tuple[str, ...]:
    try:
        _parse(text)
    except RoutingError as error:
        return error.problems
    return ()


@needs_amtool
@pytest.mark.parametrize("text", _texts())
def test_the_verdict_is_that_of_amtool_check_config(text: str, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(text)
    judged = subprocess.run(["amtool", "check-config", str(file)], capture_output=True, check=False)
    problems = _problems(text)
    assert (judged.returncode == 0) == (not problems), (problems, judged.stdout)


@pytest.mark.parametrize("text", _texts())
def test_a_problem_is_one_line_that_names_the_file(text: str) -> None:
    for line in _problems(text):
        assert line.startswith("routing.yml: ")
        assert "\n" not in line


def test_the_file_of_s1_loads_and_says_what_it_does_in_another_way() -> None:
    routing = load_routing(S1)
    assert routing.root.receiver == "default"
    (critical,) = routing.root.routes
    assert (critical.receiver, critical.group_wait_ms, critical.group_interval_ms, critical.repeat_interval_ms) == (
        "critical-alerts",
        30_000,
        300_000,
        900_000,
    )
    assert routing.receivers["critical-alerts"].channels == ("critical-alerts.email", "critical-alerts.webhook")
    assert routing.unsupported == ()
    (note,) = routing.notes
    assert note.startswith("receivers[1].webhook_configs[0]: the hook of a feishu bot")
    urls = {spec.name: spec.url.get_secret_value() for spec in routing.channels}
    assert urls["critical-alerts.webhook"] == "feishu://xxxxx"
    mail: Any = apprise.Apprise.instantiate(urls["default.email"])
    assert (mail.smtp_host, mail.port, mail.user, mail.password, mail.secure_mode) == (
        "smtp.example.com",
        587,
        "alertmanager@example.com",
        "your_password",
        "starttls",
    )
    assert [address for _, address in mail.targets] == ["dev-team@example.com"]


def test_every_service_becomes_a_channel_that_apprise_understands_or_is_named() -> None:
    routing = _parse(EVERYTHING)
    names = [spec.name for spec in routing.channels]
    kinds = ["email", "webhook", "webhook-2", "slack", "discord", "telegram", "pushover", "opsgenie", "victorops"]
    assert names == [f"all.{kind}" for kind in [*kinds, "wechat"]]
    assert routing.receivers["all"].channels == tuple(names)
    for spec in routing.channels:
        if spec.kind == "apprise":
            assert apprise.Apprise.instantiate(spec.url.get_secret_value()) is not None, spec.name
    named = "\n".join(routing.unsupported)
    for part in ("templates", "email_configs[0]: headers", "slack_configs[0]: title", "opsgenie_configs[0]: priority"):
        assert part in named
    for service in ("pagerduty", "sns", "webex"):
        assert f"receivers[0].{service}_configs[0]: this service is not supported" in named


def test_a_webhook_is_called_with_its_header_and_gets_so_many_alerts_as_it_asks_for() -> None:
    spec = next(spec for spec in _parse(EVERYTHING).channels if spec.name == "all.webhook")
    assert (spec.kind, spec.url.get_secret_value(), spec.max_alerts) == ("webhook", "http://hook.example.com/a?b=c", 5)
    assert [(name, value.get_secret_value()) for name, value in spec.headers] == [("Authorization", "Basic dTpw")]


def test_a_mail_goes_to_bare_addresses_with_a_password_that_has_signs_in_it() -> None:
    spec = next(spec for spec in _parse(EVERYTHING).channels if spec.name == "all.email")
    mail: Any = apprise.Apprise.instantiate(spec.url.get_secret_value())
    assert mail.password == "pa:ss/word"
    assert sorted(address for _, address in mail.targets) == ["ann@example.com", "bob@example.com"]
    assert spec.send_resolved


def test_routes_inherit_what_they_do_not_say() -> None:
    root = _parse(EVERYTHING).root
    first, second = root.routes
    (below,) = first.routes
    assert (first.group_by_all, first.group_wait_ms, first.continues) == (True, 10_000, True)
    assert (below.group_by_all, below.group_wait_ms, below.receiver) == (True, 10_000, "all")
    assert (second.group_by, second.group_wait_ms, second.repeat_interval_ms) == (
        ("alertname", "cluster"),
        30_000,
        86_400_000,
    )
    assert below.key == '{}/{severity=~"critical|page",team!="db"}/{service="web",zone=~"^(?:eu-.*)$"}'


def test_routes_that_match_alike_are_told_apart() -> None:
    routing = _parse(
        "route: {receiver: a, routes: [{match: {x: y}, continue: true}, {match: {x: y}}]}\nreceivers: [{name: a}]\n"
    )
    ids = [route.id for route in routing.root.walk()]
    assert len(set(ids)) == 3
    assert len({route.key for route in routing.root.routes}) == 1


OURS = """
route:
  receiver: on-call
  routes:
    - levels: [3]
      escalation: [{after: 15m, receiver: boss}]
    - levels: [1, 2]
      quiet_hours: [{time_intervals: [nights], levels: [1]}]
rotas:
  - {name: on-call, timezone: Asia/Shanghai, start: "2026-01-05 09:00", period: 1w, receivers: [ann, boss],
     overrides: [{from: "2026-02-01", to: "2026-02-03 12:00", receiver: boss}]}
time_intervals: [{name: nights, time_intervals: [{times: [{start_time: "22:00", end_time: "24:00"}]}]}]
receivers:
  - name: ann
    apprise_configs: [{url: "ntfys://topic", language: zh, send_resolved: false}]
  - name: boss
    wakeless_configs: [{channel: Boss' phone}]
"""


def test_rotas_escalation_quiet_hours_and_levels_are_read() -> None:
    routing = _parse(OURS)
    urgent, other = routing.root.routes
    assert [(step.after_ms, step.receiver) for step in urgent.escalation] == [(900_000, "boss")]
    assert (other.levels, other.quiet_hours[0].levels) == ((1, 2), (1,))
    assert urgent.matches({"severity": "critical"})
    assert not urgent.matches({"severity": "critical", "level": "1"})
    assert routing.receivers["boss"].channels == ("Boss' phone",)
    (spec,) = routing.channels
    assert (spec.name, spec.language, spec.send_resolved) == ("ann.apprise", "zh", False)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("receivers: [ann, boss]", "receivers: [ann, eve]", "rotas[0]: undefined receiver 'eve'"),
        ("timezone: Asia/Shanghai", "timezone: Mars/Base", "rotas[0].timezone: unknown time zone Mars/Base"),
        ("2026-01-05 09:00", "next week", "rotas[0].start: must be a local time such as"),
        ("2026-01-05 09:00", "2026-01-05T09:00Z", "rotas[0].start: must be a local time, without an offset"),
        ("period: 1w", "period: 3h", "rotas[0].period: must be one of"),
        ("2026-02-03 12:00", "2026-01-03", "rotas[0].overrides[0]: from must be before to"),
        ("after: 15m, receiver: boss", "after: 15m, receiver: eve", "route.routes[0]: undefined receiver 'eve'"),
        ("after: 15m", "after: 0s", "route.routes[0].escalation[0].after: cannot be zero"),
        ("[nights], levels: [1]", "[days], levels: [1]", "route.routes[1]: undefined time interval 'days'"),
        ("levels: [3]", "levels: [4]", "route.routes[0].levels: must be a list of levels"),
        ("name: on-call", "name: ann", "receivers: the name 'ann' is not unique"),
        ("ntfys://topic", "topic", "receivers[0].apprise_configs[0]: url is not an Apprise URL"),
    ],
)
def test_what_is_wrong_with_our_additions_is_named(old: str, new: str, message: str) -> None:
    assert old in OURS
    assert any(message in line for line in _problems(OURS.replace(old, new, 1)))


def test_all_problems_of_a_file_are_told_at_once() -> None:
    problems = _problems("route: {receiver: x, group_wait: 5}\nfoo: 1\nreceivers: [{name: a, webhook_configs: [{}]}]\n")
    assert len(problems) == 3


@pytest.mark.parametrize(
    "text",
    [
        "receivers: [{name: a, webhook_configs: [{url: 'ftp://s3cr3t'}]}]",
        "receivers: [{name: a, webhook_configs: [{url: 'http://s3cr3t:x/'}]}]",
        "receivers: [{name: a, slack_configs: [{api_url: 's3cr3t'}]}]",
        "receivers: [{name: a, telegram_configs: [{bot_token: [s3cr3t], chat_id: 5}]}]",
        "receivers: [{name: a, telegram_configs: [{bot_token: s3cr3t, chat_id: s3cr3t}]}]",
        "global: {smtp_auth_password: {s3cr3t: 5}}",
        "global: {smtp_auth_password: s3cr3t, smtp_auth_password_file: x}",
        "global: {smtp_auth_password: 's3cr3t}",
        "global:\n  smtp_auth_password: s3cr3t\n bad: [",
        "receivers: [{name: a, apprise_configs: [{url: s3cr3t}]}]",
    ],
)
def test_no_problem_holds_a_secret(text: str) -> None:
    problems = _problems(f"route: {{receiver: a}}\n{text}\n")
    assert problems
    assert "s3cr3t" not in "\n".join(problems)


def test_a_routing_does_not_show_its_secrets() -> None:
    shown = repr(_parse(EVERYTHING))
    for secret in ("pa:ss", "XXXXXXXX", "SECRET", "dTpw", "11111111-2222"):
        assert secret not in shown


def test_a_secret_in_a_file_of_its_own_is_read_and_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    text = """
route: {receiver: a}
receivers:
  - name: a
    email_configs: [{to: a@b.com, from: c@d.com, smarthost: "h:25", auth_username: u, auth_password_file: key}]
"""
    missing = _parse(text, tmp_path)
    assert missing.channels == ()
    assert missing.unsupported == (
        "receivers[0].email_configs[0]: auth_password_file cannot be read; nothing is sent there",
    )
    (tmp_path / "key").write_text("s3cr3t\n")
    (spec,) = _parse(text, tmp_path).channels
    assert ":s3cr3t@" in spec.url.get_secret_value()


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(RoutingError, match="cannot be read"):
        load_routing(tmp_path / "none.yml")
    (tmp_path / "bytes.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(RoutingError, match="is not UTF-8"):
        load_routing(tmp_path / "bytes.yml")


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["5m", "a", "http://x/", "x=y"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["route", "receivers", "receiver", "name", "routes", "match", "matchers", "group_by"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(YAML)
def test_nothing_but_its_own_error_comes_of_any_file(tree: object) -> None:
    for line in _problems(yaml.safe_dump(tree)):
        assert line.startswith("routing.yml: ")
