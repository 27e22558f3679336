"""The words of reports, in English and Chinese, and how numbers are said in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Literal, TypeAlias

from reports.advice import Advice, Number
from reports.forecast import Forecast
from reports.period import local
from timeword import CHINESE, ENGLISH, span

Language: TypeAlias = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

#: Each text as (English, Chinese).
TEXTS: Mapping[str, tuple[str, str]] = {
    "day": ("Day {first}", "{first} 日报"),
    "week": ("Week {first} to {last}", "{first} 至 {last} 周报"),
    "month": ("Month {month}", "{month} 月报"),
    "title": ("{service}: {period}", "{service}：{period}"),
    "report": ("REPORT", "报告"),
    "up": ("The service was up {ratio} of the time", "服务可用率 {ratio}"),
    "always_up": ("The service was up all of the time", "服务全程可用"),
    "never_there": ("There was no service yet", "当时还没有服务"),
    "no_data": (
        "There are no data for this period: it lies before the first start.",
        "该时段没有数据：它早于服务首次启动。",
    ),
    "down": (", down for {span}", "，中断 {span}"),
    "no_requests": ("nothing was asked of it", "没有请求"),
    "asked": ("{requests} requests, {share} failed, p95 {p95}", "{requests} 个请求，失败 {share}，p95 {p95}"),
    "asked_no_latency": ("{requests} requests, {share} failed", "{requests} 个请求，失败 {share}"),
    "covered": (" These numbers rest on {share} of the time.", "以上数字覆盖了 {share} 的时间。"),
    "so_far": (" The period is still under way.", "该时段尚未结束。"),
    "and": ("; ", "；"),
    "stop": (".", "。"),
    "Availability": ("Availability", "可用率"),
    "Requests": ("Requests", "请求数"),
    "Failed": ("Failed", "失败率"),
    "p95": ("Latency p95", "p95 延迟"),
    "GPU hours": ("GPU hours", "GPU 小时"),
    "Incidents": ("Incidents", "事件"),
    "Energy": ("GPU energy", "GPU 用电"),
    "Cost": ("Cost", "费用"),
    "Before": ("Before", "上一时段"),
    "Now": ("Now", "本时段"),
    "Change": ("Change", "变化"),
    "What": ("What", "项目"),
    "Traffic": ("Against the period before", "与上一时段相比"),
    "Outcomes": ("Outcomes and results", "结果分布"),
    "Count": ("Count", "数量"),
    "Share": ("Share", "占比"),
    "Busiest": ("Busiest hours", "最忙时段"),
    "Hour": ("Hour", "小时"),
    "Machine": ("GPU", "GPU"),
    "Mean load": ("Mean load", "平均负载"),
    "Peak memory": ("Peak memory", "显存峰值"),
    "Forecast": ("When it runs full", "容量预测"),
    "Errors": ("Top errors", "主要错误"),
    "Error": ("Error", "错误"),
    "Alerts": ("Alerts", "告警"),
    "Rule": ("Rule", "规则"),
    "Lasted": ("Lasted", "持续"),
    "Answers": ("Who answered", "谁确认了告警"),
    "Name": ("Name", "姓名"),
    "After": ("After, on average", "平均用时"),
    "Targets": ("Targets", "监控目标"),
    "Outages": ("Outages", "中断次数"),
    "Log": ("Found in logs", "日志命中"),
    "Lines": ("Lines", "行数"),
    "Cause": ("Cause", "原因"),
    "Began": ("Began", "开始"),
    "Advice": ("Advice", "建议"),
    "Notices": ("Notices: {sent} sent, {failed} failed.", "通知：已发 {sent} 条，失败 {failed} 条。"),
    "by_counter": ("by the board's own counter", "来自显卡计数器"),
    "by_power": ("by power over time", "按功率累计"),
    "Charts": ("Requests and failures", "请求与失败"),
    "Latency chart": ("Latency p95", "p95 延迟"),
    "Memory chart": ("GPU memory, peak", "显存峰值"),
    "Uptime chart": ("Availability by day", "每日可用率"),
    "Open": ("Open", "查看"),
    "lasts": ("still lasts", "仍在持续"),
    "nobody": ("{count} of {all} alerts were acknowledged.", "{all} 条告警中有 {count} 条被确认。"),
    "points": ("{points} points", "{points} 个百分点"),
}

ADVICE: Mapping[str, tuple[str, str]] = {
    "not_covered": (
        "Wakeless ran only {covered} of this time; what it did not see is not in these numbers.",
        "Wakeless 只运行了 {covered} 的时间，未观测到的部分不在以上数字中。",
    ),
    "vram_full": (
        "GPU memory of GPU {name} grows by {per_day} a day: at this pace it is full on {day}. Look for a leak,"
        " or plan for a larger card.",
        "GPU {name} 的显存每天增长 {per_day}，照此将在 {day} 用满：请检查泄漏，或规划更大的显卡。",
    ),
    "disk_full": (
        "The disk {name} grows by {per_day} a day: at this pace it is full on {day}. Delete, rotate or enlarge.",
        "磁盘 {name} 每天增长 {per_day}，照此将在 {day} 用满：请清理、轮转或扩容。",
    ),
    "gpu_bound": (
        "The GPU had no more to give in {busy} of the time: a lighter model, larger batches or another card help.",
        "GPU 有 {busy} 的时间已满载：可用更轻的模型、更大的批次，或增加显卡。",
    ),
    "vram_short": (
        "GPU {gpu} held up to {peak}, {share} of its memory: smaller batches or inputs keep it from running out.",
        "GPU {gpu} 显存最高占用 {peak}（{share}）：减小批次或输入可避免溢出。",
    ),
    "preprocess_bound": (
        "In {share} of the time requests waited while the GPU was idle, with the CPUs at {cpu}: decoding and"
        " pre-processing are the bottleneck. More CPU or lighter pre-processing help.",
        "有 {share} 的时间请求在排队而 GPU 空闲（CPU {cpu}）：瓶颈在解码和预处理，可增加 CPU 或减轻预处理。",
    ),
    "gpu_starved": (
        "In {share} of the time requests waited while the GPU was idle, and the CPUs were not busy either ({cpu}):"
        " something between them holds things up, such as a lock, one core, or reading the input.",
        "有 {share} 的时间请求在排队，而 GPU 空闲、CPU 也不忙（{cpu}）：瓶颈在两者之间，例如锁、单核或读取输入。",
    ),
    "small_batches": (
        "Batches held {batch} inputs on average while others waited ({share} of the time): a longer batch window or"
        " larger batches serve more at once.",
        "有请求排队时（{share} 的时间）批次平均只有 {batch} 个输入：可加长攒批时间或增大批次。",
    ),
    "disk_bound": (
        "The disk {device} was busy all the time in {share} of the windows: reading or writing holds things up.",
        "磁盘 {device} 在 {share} 的时间内持续繁忙：读写成了瓶颈。",
    ),
    "memory_short": ("The machine's memory was used up to {share}.", "主机内存最高用到 {share}。"),
    "failing": (
        "{share} of the requests failed ({failed}): begin with the top error below.",
        "{share} 的请求失败（{failed} 个）：请从下面的首要错误查起。",
    ),
    "out_of_memory": (
        "{count} requests failed for want of GPU memory: bound the size of inputs, or make batches smaller.",
        "{count} 个请求因显存不足失败：请限制输入大小或减小批次。",
    ),
    "refusing": (
        "{share} of the requests ({count}) were refused for want of room: one server does not carry this load.",
        "{share} 的请求（{count} 个）因容量不足被拒绝：单台服务器已承受不了这样的负载。",
    ),
    "slow": ("{share} of the requests took longer than {limit}.", "{share} 的请求耗时超过 {limit}。"),
    "restarts": (
        "The service was lost {count} times, {seconds} in all: each cold start costs that. See the incidents.",
        "服务中断了 {count} 次，共 {seconds}：每次冷启动都有代价，详见事件。",
    ),
    "unanswered": (
        "Nobody acknowledged {count} of {all} alerts: rules that nobody answers are noise, or go to the wrong people.",
        "{all} 条告警中有 {count} 条没人确认：无人理会的规则是噪声，或发错了人。",
    ),
    "not_told": (
        "Notices that could not be delivered: {count}. Test the channels.",
        "{count} 条通知未能送达：请测试渠道。",
    ),
}
_VERDICTS: Mapping[str, tuple[str, str]] = {
    "too_few": ("too few days to say", "天数太少，无法判断"),
    "no_trend": ("no trend", "没有趋势"),
    "falls": ("falls", "在下降"),
    "later": ("grows by {per_day} a day; not full within a year", "每天增长 {per_day}，一年内不会用满"),
    "full": ("grows by {per_day} a day; full on {day}", "每天增长 {per_day}，将在 {day} 用满"),
}
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def words(key: str, language: Language, **values: object) -> str:
    """A text with its values."""
    return TEXTS[key][LANGUAGES.index(language)].format(**values)


def say_share(value: float) -> str:
    """``99.95 %``; never rounded up to all or down to nothing."""
    percent = value * 100
    if 0 < percent < 0.01:
        return "< 0.01 %"
    if percent >= 99:
        whole = int(percent * 1000 + 1e-6) / 1000
        return f"{whole:.3f}".rstrip("0").rstrip(".") + " %"
    return f"{percent:.2f}".rstrip("0").rstrip(".") + " %" if percent < 10 else f"{percent:.1f} %"


def say_uptime(value: float) -> str:
    """A share of the time, rounded down: 99.95 % is not 100 %, and 98.08 % is 98.0 %."""
    return "100 %" if value >= 1 else say_share(value) if value >= 0.99 else f"{int(value * 1000) / 10:.1f} %"


def say_seconds(value: float) -> str:
    """Seconds of a request: ``84 ms``, ``1.2 s``."""
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def say_span(seconds: float, language: Language) -> str:
    """A length of time."""
    return span(seconds, CHINESE if language == "zh" else ENGLISH)


def say_bytes(value: float) -> str:
    """``12.3 GB``, in thousands."""
    size, unit = next(((size, unit) for size, unit in _SIZES if abs(value) >= size), (1.0, "B"))
    return f"{value / size:.3g} {unit}"


def say_count(value: float) -> str:
    """``1,234``."""
    return f"{value:,.0f}"


def say_day(time_ms: float, zone: tzinfo | None) -> str:
    """A date."""
    return local(round(time_ms), zone).strftime("%Y-%m-%d")


def say_change(value: float | None) -> str:
    """``+12 %``; a dash where nothing is to be compared."""
    if value is None:
        return "–"
    return f"{value * 100:+.0f} %" if abs(value) >= 0.005 else "±0 %"


def say_advice(advice: Advice, language: Language, zone: tzinfo | None) -> str:
    """One piece of advice with its numbers."""
    shown = {name: _shown(advice.key, name, value, language, zone) for name, value in advice.facts.items()}
    return ADVICE[advice.key][LANGUAGES.index(language)].format(**shown)


def say_forecast(one: Forecast, language: Language, zone: tzinfo | None) -> str:
    """What a forecast says; no date where there is none."""
    text = _VERDICTS[one.verdict][LANGUAGES.index(language)]
    day = "" if one.full_ms is None else say_day(one.full_ms, zone)
    return text.format(per_day="" if one.per_day is None else say_bytes(one.per_day), day=day)


def _shown(key: str, name: str, value: Number, language: Language, zone: tzinfo | None) -> str:
    if isinstance(value, str):
        return value
    if name == "seconds":
        return say_span(value, language)
    if name == "day":
        return say_day(value, zone)
    return _SHOWN.get(name, say_count)(value)


_SHOWN: Mapping[str, Callable[[float], str]] = {
    "share": say_share,
    "covered": say_share,
    "busy": say_share,
    "cpu": say_share,
    "per_day": say_bytes,
    "capacity": say_bytes,
    "peak": say_bytes,
    "limit": say_seconds,
    "batch": lambda value: f"{value:.2g}",
}
