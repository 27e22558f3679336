"""The words that attacks are made of, and the envelope that they come in."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from tests.faults.attack import Attack

seeds = st.integers(0, 2**32)
types = st.sampled_from(
    (
        "image/jpeg", "image/png", "image/webp", "application/json", "text/plain", "application/x-www-form-urlencoded",
        "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\xff", "*/*", "", ";",
        "application/json; charset=utf-7", "text/html; charset=" + "x" * 900, "application/octet-stream", "\xe9/\xe9",
    )
)  # fmt: skip
#: What no header, parameter or part of an address should be able to do harm with.
NASTY = (
    "", " ", "\t", "0", "-1", "1e999", "NaN", "inf", "-inf", "1_0", "٣", "9" * 400, "0x10", "null", "[]", "\xff",
    "%00", "%ff%fe", "%", "..", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "x" * 3000, "é" * 50, "💥",
    "' OR 1=1 --", "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", "a;b", "a,b", "🏳️‍🌈", "\u202e",
    "9223372036854775808", "-9223372036854775809", "1970-01-01T00:00:00Z", "99999-99-99", "1e308", "5m", "-5m", "1y999",
)  # fmt: skip
QUERIES = (
    "up", "sum(rate(up[5m]))", "rate(", "{}", '{__name__=~".*"}', "up[5m:1ms]", "up offset -1e9y", "((((((up))))))",
    "(" * 2000, "1" + "+1" * 2000, 'label_replace(up,"a","$1","b","(a+)+$")', '{a=~"(x+x+)+y"}', "topk(1e9,up)", "1/0",
    "quantile_over_time(2,up[1d])", "up @ 1e300", "-" * 900 + "1", "max_over_time(up[1d:1s])", "\0", "vector(1e999)",
    "absent(up{a='b'})", "count_values('\\xff', up)", "sum by (" + "a," * 500 + "b) (up)", "deriv(up[1h])",
)  # fmt: skip
NAMES = (
    "query", "time", "start", "end", "step", "match[]", "limit", "timeout", "lookback_delta", "page", "from", "to",
    "since", "before", "after", "metric", "resolution", "format", "columns", "type", "state", "outcome", "status",
    "name", "q", "stats", "dedup", "exclude_alerts", "panel", "series", "hours", "days", "language", "next",
)  # fmt: skip
HEADERS = (
    "X-Priority", "X-Request-Timeout", "X-Request-Id", "X-Envoy-Expected-Rq-Timeout-Ms", "Accept", "Accept-Language",
    "Accept-Encoding", "Cookie", "Authorization", "Range", "If-None-Match", "If-Modified-Since", "Host", "Origin",
    "Referer", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Traceparent", "User-Agent",
    "Content-Encoding", "Content-Range", "Expect", "TE", "Upgrade", "Connection", "Max-Forwards", "X-CSRF-Token",
    "Inference-Header-Content-Length", "X-HTTP-Method-Override", "Last-Event-ID", "Sec-Fetch-Site", "HTTP2-Settings",
    "X" * 300, "x_y", "__proto__", "Proxy", "Content-Disposition",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get", "G" * 30)
values = st.one_of(st.sampled_from(NASTY), st.text(max_size=60))


def request(
    line: str, body: bytes = b"", headers: tuple[tuple[str, str], ...] = (), *, length: str | None = ""
) -> bytes:
    """A request with a right length unless another (or none) is given."""
    head = [line, "Host: 127.0.0.1", "Connection: close", *(f"{name}: {value}" for name, value in headers)]
    if length is not None:
        head.append(f"Content-Length: {length or len(body)}")
    return "\r\n".join((*head, "", "")).encode("utf-8", "surrogatepass") + body


def post(kind: str, path: str, body: bytes, *headers: tuple[str, str]) -> Attack:
    return Attack(kind, (request(f"POST {path} HTTP/1.1", body, headers),))


def plain(text: str) -> str:
    """Without what would end the header that it is put into; that is for other attacks."""
    return re.sub(r"[\r\n]", "", text)
