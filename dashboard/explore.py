"""What the Explore page knows beforehand: the words of PromQL with their signatures, and queries to begin with.

Only what the evaluator supports is offered; a test holds that each of those words is described here.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal, NamedTuple

from dashboard.panels import Unit
from promql.support import AGGREGATIONS, FUNCTIONS

WordKind = Literal["function", "aggregation", "keyword"]


class Word(NamedTuple):
    """A function, an aggregation or a keyword; ``help`` is English, as the page's tables of messages have it."""

    name: str
    kind: WordKind
    signature: str
    help: str


class Example(NamedTuple):
    """A query that means something to somebody who runs a GPU."""

    title: str
    query: str


#: One word a line, as ``name(parameters): meaning``. v is an instant vector, r a range vector, s a scalar.
_FUNCTIONS = """
rate(r): Rise per second over the window, resets of the counter counted in.
irate(r): Rise per second between the last two samples of the window.
increase(r): Rise over the whole window, resets of the counter counted in.
delta(r): Difference between the window's end and its beginning, for gauges.
idelta(r): Difference between the last two samples of the window.
deriv(r): Slope per second, fitted through the window.
predict_linear(r, seconds s): Value that the fitted line reaches in so many seconds.
changes(r): How often the value changed in the window.
resets(r): How often the counter was reset in the window.
double_exponential_smoothing(r, smoothing s, trend s): Smoothed value; both factors lie between 0 and 1.
avg_over_time(r): Mean of the window.
min_over_time(r): Least value of the window.
max_over_time(r): Largest value of the window.
sum_over_time(r): Sum of the window.
count_over_time(r): How many samples the window has.
first_over_time(r): Oldest value of the window.
last_over_time(r): Newest value of the window.
present_over_time(r): 1 where the window has any sample.
absent_over_time(r): 1 where the window has no sample at all.
quantile_over_time(φ s, r): φ-quantile of the window, φ from 0 to 1.
stddev_over_time(r): Standard deviation of the window.
stdvar_over_time(r): Variance of the window.
mad_over_time(r): Median distance from the window's median.
ts_of_first_over_time(r): When the oldest sample of the window was taken.
ts_of_last_over_time(r): When the newest sample of the window was taken.
ts_of_max_over_time(r): When the window's largest value was taken.
ts_of_min_over_time(r): When the window's least value was taken.
histogram_quantile(φ s, v): φ-quantile of a histogram's buckets; keep the label le.
absent(v): 1 where the selector finds nothing: for alerts on what is missing.
scalar(v): The only value as a scalar; NaN where there is not exactly one.
vector(s): A scalar as a vector without labels.
time(): The time of evaluation, in seconds since 1970.
timestamp(v): When each sample was taken, in seconds since 1970.
label_replace(v, target, replacement, source, regex): Set a label from what a regex finds in another.
label_join(v, target, separator, source, …): Set a label to other labels' values, joined.
sort(v): By value, least first (table).
sort_desc(v): By value, largest first (table).
sort_by_label(v, label, …): By labels (table).
sort_by_label_desc(v, label, …): By labels, backwards (table).
clamp(v, min s, max s): Values held between two bounds.
clamp_min(v, min s): Values raised to a least one.
clamp_max(v, max s): Values lowered to a largest one.
round(v, to s = 1): Values rounded to multiples.
abs(v): Without the sign.
ceil(v): Rounded up.
floor(v): Rounded down.
sgn(v): −1, 0 or 1 by the sign.
sqrt(v): Square root.
exp(v): e to the power of the value.
ln(v): Natural logarithm.
log2(v): Logarithm to base 2.
log10(v): Logarithm to base 10.
sin(v): Sine.
cos(v): Cosine.
tan(v): Tangent.
asin(v): Arc sine.
acos(v): Arc cosine.
atan(v): Arc tangent.
sinh(v): Hyperbolic sine.
cosh(v): Hyperbolic cosine.
tanh(v): Hyperbolic tangent.
asinh(v): Inverse hyperbolic sine.
acosh(v): Inverse hyperbolic cosine.
atanh(v): Inverse hyperbolic tangent.
deg(v): Radians to degrees.
rad(v): Degrees to radians.
pi(): The number π.
minute(v = now): Minute of the hour, UTC.
hour(v = now): Hour of the day, UTC.
day_of_week(v = now): Day of the week, 0 is Sunday, UTC.
day_of_month(v = now): Day of the month, UTC.
day_of_year(v = now): Day of the year, UTC.
days_in_month(v = now): How many days the month has.
month(v = now): Month of the year, UTC.
year(v = now): The year, UTC.
"""
_AGGREGATIONS = """
sum(v): Sum of the series, by labels if you add by (…).
avg(v): Mean of the series.
min(v): Least of the series.
max(v): Largest of the series.
count(v): How many series there are.
group(v): 1 for each group of series.
stddev(v): Standard deviation of the series.
stdvar(v): Variance of the series.
quantile(φ s, v): φ-quantile of the series, φ from 0 to 1.
topk(k s, v): The k series with the largest values.
bottomk(k s, v): The k series with the least values.
count_values(label, v): How many series have each value.
"""
_KEYWORDS = """
by: Keep only these labels: sum by (gpu) (…).
without: Drop these labels, keep the others.
on: Match series by these labels alone.
ignoring: Match series by all labels but these.
group_left: Many series on the left match one on the right.
group_right: Many series on the right match one on the left.
bool: Answer 1 or 0 instead of leaving series out.
offset: Look back in time: metric offset 1h.
and: Series that are on both sides.
or: Series of the left side, and those only on the right.
unless: Series of the left side that are not on the right.
atan2: Arc tangent of two vectors.
"""
_ENTRY = re.compile(r"(\w+)(\(.*?\))?: (.+)")

#: What an empty page offers.
EXAMPLES = (
    Example("VRAM in use, share of each GPU", "gpu_memory_used_bytes / gpu_memory_total_bytes"),
    Example("Temperature of each GPU", "max by (gpu) (gpu_temperature_celsius)"),
    Example(
        "Latency, 95 % of requests are faster",
        "histogram_quantile(0.95, sum by (le) (rate(inference_request_duration_seconds_bucket[5m])))",
    ),
    Example(
        "Share of requests that fail",
        'sum(rate(inference_requests_total{outcome=~"error|oom|timeout"}[5m]))'
        " / sum(rate(inference_requests_total[5m]))",
    ),
    Example("Requests per second, by outcome", "sum by (outcome) (rate(inference_requests_total[5m]))"),
    Example("VRAM in an hour, at this pace", "predict_linear(gpu_memory_used_bytes[15m], 3600)"),
    Example("What holds the clocks down", "gpu_throttle_active > 0"),
    Example("Where the CPU time goes", "sum by (mode) (rate(cpu_seconds_total[1m]))"),
)

#: The units of panels, as one chooses them.
UNITS: dict[Unit, str] = {
    "count": "plain number",
    "per_second": "per second",
    "ratio": "percent",
    "seconds": "seconds",
    "bytes": "bytes",
    "bytes_per_second": "bytes per second",
    "celsius": "°C",
    "watts": "watts",
    "hertz": "hertz",
}


def _table(text: str, kind: WordKind) -> list[Word]:
    found = []
    for line in text.strip().splitlines():
        match = _ENTRY.fullmatch(line)
        assert match is not None, line
        name, parameters, meaning = match.groups()
        found.append(Word(name, kind, name + (parameters or ""), meaning))
    return found


def described() -> list[Word]:
    """Every word that is described, whether or not the evaluator has it."""
    return _table(_FUNCTIONS, "function") + _table(_AGGREGATIONS, "aggregation") + _table(_KEYWORDS, "keyword")


@cache
def words() -> tuple[Word, ...]:
    """What the page completes: the words that the evaluator has."""
    evaluated = {"function": set(FUNCTIONS), "aggregation": set(AGGREGATIONS)}
    return tuple(word for word in described() if word.kind == "keyword" or word.name in evaluated[word.kind])
