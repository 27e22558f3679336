"""The words that the world hears when the server is down and when it is back, in English or Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Literal, NamedTuple, TypeAlias

from supervisor.vigil import Word
from timeword import CHINESE, ENGLISH, Units, local_moment, span

Language: TypeAlias = Literal["en", "zh"]


class _Wording(NamedTuple):
    down: str
    up: str
    no_answer: str
    over: str
    cause: str
    ends: str
    lines: str
    service: str
    colon: str
    units: Units
    causes: Mapping[str, str]


_WORDINGS: Mapping[Language, _Wording] = {
    "en": _Wording(
        down="[DOWN] {service} does not answer",
        up="[UP] {service} is back: it was down for {span}",
        no_answer="No answer for {span}, since {since}. The supervisor keeps trying.",
        over="It was down from {since} to {until}.",
        cause="Cause",
        ends="Server processes that ended meanwhile",
        lines="Last lines",
        service="Service",
        colon=": ",
        units=ENGLISH,
        causes={
            "crash": "crash",
            "signal": "ended by a signal",
            "segfault": "crash in native code",
            "killed": "killed",
            "oom_kill": "out of memory",
            "hang": "hang",
            "restart": "restart",
            "stop": "stop",
            "power": "the machine was down",
            "unresponsive": "it runs, but does not answer",
        },
    ),
    "zh": _Wording(
        down="[宕机] {service} 没有响应",
        up="[恢复] {service} 已恢复：中断了 {span}",
        no_answer="已 {span} 没有响应，自 {since} 起。守护进程会继续尝试重启。",
        over="中断时间：{since} 至 {until}。",
        cause="原因",
        ends="期间退出的服务进程数",
        lines="最后输出",
        service="服务",
        colon="：",
        units=CHINESE,
        causes={
            "crash": "进程崩溃",
            "signal": "被信号终止",
            "segfault": "本地代码崩溃",
            "killed": "被强制终止",
            "oom_kill": "内存耗尽",
            "hang": "卡死",
            "restart": "重启",
            "stop": "停止",
            "power": "整机停机",
            "unresponsive": "进程在运行但没有响应",
        },
    ),
}


def compose(word: Word, service: str, language: Language, zone: tzinfo | None = None) -> tuple[str, str]:
    """Title and text of a word; times in ``zone`` (None: the machine's own)."""
    words, known = _WORDINGS[language], word.downtime
    shown = span((word.until_ms - known.since_ms) / 1000, words.units)
    since, until = local_moment(known.since_ms, zone), local_moment(word.until_ms, zone)
    if word.kind == "down":
        title, first = words.down.format(service=service), words.no_answer.format(span=shown, since=since)
    else:
        title, first = words.up.format(service=service, span=shown), words.over.format(since=since, until=until)
    cause = words.causes.get(known.cause, known.cause)
    lines = [first, f"{words.cause}{words.colon}{cause} ({known.summary})"]
    if known.ends > 1:
        lines.append(f"{words.ends}{words.colon}{known.ends}")
    lines.append(f"{words.service}{words.colon}{service}")
    if known.lines:
        lines += [f"{words.lines}{words.colon}".rstrip(), *known.lines]
    return title, "\n".join(lines)
