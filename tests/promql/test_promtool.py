"""Our answers beside those of Debian's promtool (Prometheus 2.x), where 2.x and 3.x agree.

They differ in whether a window holds the sample on its left edge, so everything is asked between samples.
"""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from collectors.sample import METRIC_NAME, STALE, Labels
from promql import Engine, Scalar, Vector
from tests.promql.memory import MemorySource
from tests.promql.notation import duration_ms, parse_labels

PROMTOOL = shutil.which("promtool")
pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: apt install prometheus)")

INTERVAL_MS = 60_000
TIMES_MS = (30_500, 12 * 60_000 + 15_250, 39 * 60_000 + 45_125)

EXPRESSIONS = """
requests_total
requests_total{path=~"/a|/b"}
requests_total{path!~"/a.*", code!="500"}
{__name__=~"temp.*", host=""}
temperature offset 3m
temperature @ 600
temperature @ 600 offset 2m
-temperature
+temperature
2 ^ 3 ^ 2
-2 ^ 2
7 % -3
-7 % 3
temperature % 7
1 - 2 - 3
temperature * 2 > 40
temperature > bool 20
20 < temperature
temperature == temperature
temperature != bool 21.5
requests_total / requests_total
requests_total / ignoring(code) group_left sum by (path) (requests_total)
sum by (path) (requests_total) / on (path) group_right requests_total
requests_total * on (path) group_left (team) owner
requests_total and on (path) owner{team="x"}
requests_total unless on (path) owner{team="x"}
temperature or requests_total
requests_total > on (path, code) requests_total offset 5m
sum(requests_total)
sum by (path) (requests_total)
sum without (code) (requests_total)
avg by (code) (requests_total)
min(temperature)
max by (host) (temperature)
count by (code) (requests_total)
group by (path) (requests_total)
stddev(requests_total)
stdvar by (code) (requests_total)
quantile(0.3, requests_total)
quantile by (code) (0.9, requests_total)
quantile(1.5, requests_total)
quantile(-1, requests_total)
topk(2, requests_total)
bottomk by (code) (1, requests_total)
topk(0, requests_total)
count_values("value", clamp_max(temperature, 22))
count_values by (host) ("v", round(temperature, 5))
rate(requests_total[5m])
rate(requests_total[10m])
increase(requests_total[7m])
irate(requests_total[5m])
idelta(temperature[5m])
delta(temperature[10m])
deriv(temperature[10m])
predict_linear(temperature[10m], 600)
changes(steps[15m])
resets(requests_total[20m])
resets(steps[20m])
avg_over_time(temperature[9m])
min_over_time(temperature[9m])
max_over_time(temperature[9m])
sum_over_time(temperature[9m])
count_over_time(temperature[9m])
last_over_time(temperature[9m])
present_over_time(temperature[9m])
absent_over_time(temperature[9m])
absent_over_time(nothing{a="b", c=~"d"}[9m])
stddev_over_time(temperature[9m])
stdvar_over_time(temperature[9m])
quantile_over_time(0.25, temperature[9m])
quantile_over_time(2, temperature[9m])
holes
sum_over_time(holes[6m])
rate(holes[10m])
count_over_time(holes[3m])
absent(temperature)
absent(nothing{a="b", c=~"d", e!="f"})
absent(sum(nothing))
histogram_quantile(0.5, latency_bucket)
histogram_quantile(0.9, rate(latency_bucket[10m]))
histogram_quantile(0.99, sum by (le) (rate(latency_bucket[10m])))
histogram_quantile(0.1, latency_bucket)
histogram_quantile(-1, latency_bucket)
histogram_quantile(2, latency_bucket)
histogram_quantile(0.5, latency_bucket{le!="+Inf"})
time()
timestamp(temperature)
timestamp(temperature offset 5m)
timestamp(abs(temperature))
vector(3)
vector(time())
scalar(sum(temperature))
scalar(temperature)
label_replace(requests_total, "kind", "$1-$2", "path", "/(.)(.*)")
label_replace(requests_total, "kind", "none", "path", "nomatch")
label_replace(temperature{host="one"}, "host", "", "host", ".*")
label_join(requests_total, "both", ":", "path", "code", "missing")
sort(temperature)
sort_desc(requests_total)
clamp(temperature, 20, 22)
clamp(temperature, 22, 20)
clamp_min(temperature, 21)
clamp_max(temperature, 21)
round(temperature)
round(temperature, 0.25)
round(-temperature, 7)
sgn(temperature - 21)
abs(temperature - 21)
ceil(temperature)
floor(temperature)
exp(temperature / 10)
ln(temperature)
log2(temperature)
log10(temperature - 21)
sqrt(temperature - 21)
sin(temperature)
cos(temperature)
tan(temperature)
asin(temperature / 100)
acos(temperature / 100)
atan(temperature)
sinh(temperature / 10)
cosh(temperature / 10)
tanh(temperature / 10)
asinh(temperature)
acosh(temperature)
atanh(temperature / 100)
deg(temperature)
rad(temperature)
pi() * 2
minute()
hour(vector(1700000000))
day_of_week(vector(1700000000))
day_of_month(vector(1709210000))
day_of_year(vector(1709210000))
days_in_month(vector(1709210000))
month(vector(1709210000))
year(vector(1709210000))
year(temperature * 1e7)
max_over_time(rate(requests_total[5m] offset 7s)[10m:2m])
avg_over_time(temperature[10m:90s])
sum_over_time(vector(1)[10m:])
rate(requests_total[10m:3m] offset 2m)
min_over_time(sum(temperature)[5m:30s] @ 1200)
quantile_over_time(0.5, (temperature > 20)[15m:])
sum(requests_total) / 0
sum(temperature) by (host) - on (host) max(temperature) by (host)
(temperature > 20) and (temperature < 23)
1 > bool 2
temperature - on (host) group_left () (temperature offset 1m)
bool_metric == 1 or vector(7)
NaN
-Inf
temperature * NaN
sum(nan_metric)
max(nan_metric)
min_over_time(nan_metric[5m])
avg(nan_metric)
nan_metric != nan_metric
sort(nan_metric)
quantile(0.5, nan_metric)
topk(3, nan_metric)
stddev_over_time(nan_metric[5m])
changes(nan_metric[10m])
""".strip().splitlines()


def _data() -> dict[str, list[float | None]]:
    random.seed(7)
    data: dict[str, list[float | None]] = {}
    for path in ("/a", "/b", "/ab"):
        for code in ("200", "500"):
            total, counter = 1000.0 * len(path), []
            for minute in range(41):
                total = total + random.randint(0, 50) if minute != 17 else 3.0
                counter.append(total)
            data[f'requests_total{{path="{path}",code="{code}"}}'] = list(counter)
        data[f'owner{{path="{path}",team="{"x" if path == "/a" else "y"}"}}'] = [1.0] * 41
    for host in ("one", "two"):
        data[f'temperature{{host="{host}"}}'] = [round(21 + random.gauss(0, 3), 2) for _ in range(41)]
    data["temperature_total"] = [float(minute) for minute in range(41)]
    data["steps"] = [float(minute // 4 % 3) for minute in range(41)]
    data["holes"] = [5000.0 + minute if minute % 7 < 4 else None for minute in range(41)]
    data["holes"][9] = STALE
    data['nan_metric{a="1"}'] = [math.nan if minute % 2 == 0 else 4.0 for minute in range(41)]
    data['nan_metric{a="2"}'] = [float(minute) for minute in range(41)]
    for number, bound in enumerate(("0.1", "0.5", "1", "5", "+Inf")):
        data[f'latency_bucket{{le="{bound}"}}'] = [1000.0 + minute * (number + 1) * 3.0 for minute in range(41)]
    return data


def _word(value: float | None) -> str:
    if value is None:
        return "_"
    if math.isnan(value):
        return "stale" if math.copysign(1, value) and value is STALE else "NaN"
    return repr(value)


def _ask_promtool(folder: Path, expressions: list[str]) -> dict[tuple[str, int], dict[Labels, float]]:
    """Promtool is told to expect nothing, so that it complains with what it got."""
    series = [{"series": name, "values": " ".join(map(_word, values))} for name, values in _data().items()]
    asked = [
        {"expr": expression, "eval_time": f"{time}ms", "exp_samples": []}
        for expression in expressions
        for time in TIMES_MS
    ]
    tests = {
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": asked}],
    }
    file = folder / "test.yml"
    file.write_text(json.dumps(tests))
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, "test", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    answers: dict[tuple[str, int], dict[Labels, float]] = {}
    pattern = re.compile(r'expr: ("(?:[^"\\]|\\.)*"), time: (\S+),\s*\n\s*exp:.*\n\s*got:(.*)')
    for found in pattern.finditer(done.stdout + done.stderr):
        samples: dict[Labels, float] = {}
        rest = found[3].strip()
        while rest and rest != "nil":
            labels, rest = parse_labels(rest)
            value, _, rest = rest.partition(", ")
            samples[labels] = float(value)
        answers[json.loads(found[1]), duration_ms(found[2])] = samples
    assert answers, done.stdout + done.stderr
    return answers


def _ask_ourselves(engine: Engine, expression: str, time_ms: int) -> dict[Labels, float]:
    result = engine.instant(expression, time_ms)
    if isinstance(result, Scalar):
        return {(): result.value}
    assert isinstance(result, Vector)
    return dict(zip(result.labels, map(float, result.values), strict=True))


def _close(a: float, b: float) -> bool:
    return a == b or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(a) and math.isnan(b))


def test_it_answers_as_prometheus_does(tmp_path: Path) -> None:
    source = MemorySource()
    for name, values in _data().items():
        points = [(i * INTERVAL_MS, value) for i, value in enumerate(values) if value is not None]
        source.add(parse_labels(name)[0], points)
    engine = Engine(source)
    theirs = _ask_promtool(tmp_path, EXPRESSIONS)
    wrong = []
    for expression in EXPRESSIONS:
        for time_ms in TIMES_MS:
            ours = _ask_ourselves(engine, expression, time_ms)
            wanted = theirs.get((expression, time_ms), {})
            if set(ours) != set(wanted) or not all(_close(ours[labels], wanted[labels]) for labels in wanted):
                wrong.append(f"{expression} at {time_ms}\n  ours   {ours}\n  theirs {wanted}")
    assert not wrong, "\n".join(wrong)
    assert METRIC_NAME in dict(next(iter(theirs[EXPRESSIONS[0], TIMES_MS[0]])))
