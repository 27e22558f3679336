"""The words of notices, in English and Chinese. Data, and the few forms that need more than a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from timeword import CHINESE, span

Language: TypeAlias = Literal["en", "zh"]
Tag: TypeAlias = Literal[
    "firing", "resolved", "acknowledged", "escalation", "summary", "action", "test", "report", "down", "up", "no_data"
]


class Wording(NamedTuple):
    """One language. Names in braces are filled in."""

    tags: Mapping[Tag, str]
    colon: str
    comma: str
    service: str
    time: str
    severity: str
    severities: Mapping[str, str]
    level: str
    advice: str
    runbook: str
    page: str
    acknowledge: str
    resolved: str
    so_far: str
    just_now: str
    since: str
    since_measured: str
    measured: str
    item: str
    item_measured: str
    item_over: str
    lasted: str
    was_down: str
    down: str
    acknowledged: str
    flapping: str
    no_data: str
    endings: Mapping[str, str]
    doings: Mapping[str, Mapping[str, str]]
    help: Mapping[bool | None, str]
    many: str
    count_one: str
    count_resolved: str
    all_resolved: str
    more: str
    more_names: str
    unacknowledged: str
    caught_up: str
    test_title: str
    test_body: str


ENGLISH = Wording(
    tags={
        "firing": "FIRING",
        "resolved": "RESOLVED",
        "acknowledged": "ACKNOWLEDGED",
        "escalation": "ESCALATION",
        "summary": "CATCH-UP",
        "action": "ACTION",
        "test": "TEST",
        "report": "REPORT",
        "down": "DOWN",
        "up": "UP",
        "no_data": "NO DATA",
    },
    colon=": ",
    comma=", ",
    service="Service",
    time="Time",
    severity="Severity",
    severities={},
    level="level {level}",
    advice="What to do",
    runbook="Runbook",
    page="Open",
    acknowledge="Acknowledge",
    resolved="Resolved",
    so_far="{span}",
    just_now="just now",
    since="It has been so since {since} ({span}).",
    since_measured="It has been so since {since} ({span}): {value} now, the threshold is {threshold}.",
    measured="It has been so since {since} ({span}): {value} now.",
    item="{summary} (since {since})",
    item_measured="{summary} (since {since}, now {value})",
    item_over="{summary} (after {span})",
    lasted="It was firing for {span}, from {since} to {until}.",
    was_down="It was down for {span}, from {since} to {until}.",
    down="It has been down since {since} ({span}).",
    acknowledged="Acknowledged by {by}: {reason}",
    flapping="It fired {times} times in {span}; you are told once until it is quiet.",
    no_data="There have been no data about it since {since}.",
    endings={
        "no_data": "It ended because its data ended; that does not mean that all is well.",
        "rule_removed": "It ended because its rule was removed.",
        "expired": "It ended because it was not sent again.",
    },
    doings={
        "reload_model": {
            "started": "The model is being reloaded by itself",
            "done": "The model was reloaded by itself",
            "failed": "The model could not be reloaded by itself",
            "skipped": "The model was not reloaded by itself",
        },
        "restart_process": {
            "started": "The process is being restarted by itself",
            "done": "The process was restarted by itself",
            "failed": "The process could not be restarted by itself",
            "skipped": "The process was not restarted by itself",
        },
        "rollback": {
            "started": "The last good version is being put back by itself",
            "done": "The last good version was put back by itself",
            "failed": "The last good version could not be put back by itself",
            "skipped": "The last good version was not put back by itself",
        },
    },
    help={True: "It helped.", False: "It did not help.", None: "Whether it helps is not known yet."},
    many="{firing} alerts",
    count_one="1 alert",
    count_resolved=", {resolved} resolved",
    all_resolved="{resolved} alerts are over",
    more="… and {count} more",
    more_names="{names} and {count} more",
    unacknowledged="Nobody has acknowledged it yet.",
    caught_up="Notices could not be sent for a while. This is how things stand now.",
    test_title="Wakeless reaches this channel",
    test_body="A test from {service}: alerts that are routed here will look like this.",
)

_ZH_DOINGS = {"reload_model": "重新加载模型", "restart_process": "重启进程", "rollback": "回退到上一个正常版本"}

CHINESE_WORDING = Wording(
    tags={
        "firing": "告警",
        "resolved": "恢复",
        "acknowledged": "已确认",
        "escalation": "升级",
        "summary": "补报",
        "action": "自动处理",
        "test": "测试",
        "report": "报告",
        "down": "中断",
        "up": "恢复",
        "no_data": "无数据",
    },
    colon="：",
    comma="、",
    service="服务",
    time="时间",
    severity="级别",
    severities={"critical": "严重", "error": "错误", "warning": "警告", "info": "提示"},
    level="{level} 级",
    advice="建议处理",
    runbook="处理手册",
    page="查看",
    acknowledge="确认告警",
    resolved="已恢复",
    so_far="已 {span}",
    just_now="刚刚",
    since="自 {since} 起（{span}）。",
    since_measured="自 {since} 起（{span}）：当前值 {value}，阈值 {threshold}。",
    measured="自 {since} 起（{span}）：当前值 {value}。",
    item="{summary}（自 {since} 起）",
    item_measured="{summary}（自 {since} 起，当前值 {value}）",
    item_over="{summary}（持续 {span}）",
    lasted="告警持续了 {span}，从 {since} 到 {until}。",
    was_down="中断 {span}，从 {since} 到 {until}。",
    down="自 {since} 起中断（{span}）。",
    acknowledged="{by} 已确认：{reason}",
    flapping="{span} 内触发了 {times} 次；平稳之前不再重复通知。",
    no_data="自 {since} 起没有数据。",
    endings={
        "no_data": "因数据中断而结束，不代表已恢复正常。",
        "rule_removed": "因规则被删除而结束。",
        "expired": "因发送方不再上报而结束。",
    },
    doings={
        name: {
            "started": f"正在自动{text}",
            "done": f"已自动{text}",
            "failed": f"自动{text}失败",
            "skipped": f"未自动{text}",
        }
        for name, text in _ZH_DOINGS.items()
    },
    help={True: "已见效。", False: "未见效。", None: "效果待确认。"},
    many="{firing} 条告警",
    count_one="1 条告警",
    count_resolved="，{resolved} 条已恢复",
    all_resolved="{resolved} 条告警已恢复",
    more="……还有 {count} 条",
    more_names="{names} 等 {count} 项",
    unacknowledged="还没有人确认。",
    caught_up="有一段时间通知发不出去，以下是目前的情况。",
    test_title="Wakeless 可以发到这里",
    test_body="来自 {service} 的测试：发往这里的告警会是这个样子。",
)

WORDINGS: Mapping[Language, Wording] = {"en": ENGLISH, "zh": CHINESE_WORDING}

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def lasting(seconds: float, language: Language) -> str:
    """How long, in whole words and the two largest units that count: ``2 hours 5 minutes``, ``2 小时 5 分钟``."""
    if language == "zh":
        return span(seconds, CHINESE)
    units = tuple(f"{name}s" for name, _ in _UNITS)
    words = span(seconds, (units[0], units[1], units[2], units[3])).split(" ")
    pairs = zip(words[::2], words[1::2], strict=True)
    return " ".join(f"{number} {unit[:-1] if number == '1' else unit}" for number, unit in pairs)
