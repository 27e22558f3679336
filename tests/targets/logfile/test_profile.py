"""The profiles of well-known programs, against logs as these programs write them."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import re2

from config_target import LogTarget
from mask import mask
from targets.logfile.check import log_problems
from targets.logfile.entry import Entry
from targets.logfile.matching import Matcher
from targets.logfile.profile import PROFILES, load_profile

NAMES = sorted(path.stem for path in PROFILES.glob("*.yml"))

COMFYUI = """\
[2026-11-22 01:05:01.123] got prompt
[2026-11-22 01:05:02.001] Requested to load SDXL
[2026-11-22 01:05:02.901] loaded completely 9.5367431640625e+25 4897.0483474731445 True
[2026-11-22 01:05:05.000] 100%|##########| 20/20 [00:03<00:00,  6.51it/s]
[2026-11-22 01:05:06.123] Prompt executed in 4.98 seconds
[2026-11-22 01:06:01.123] got prompt
[2026-11-22 01:06:01.200] !!! Exception during processing !!! mat1 and mat2 shapes cannot be multiplied
[2026-11-22 01:06:01.203] Prompt executed in 0.08 seconds
[2026-11-22 01:07:01.123] got prompt
[2026-11-22 01:07:09.200] !!! Exception during processing !!! Allocation on device 0 would exceed allowed memory.
[2026-11-22 01:07:09.201] Got an OOM, unloading all loaded models.
[2026-11-22 01:07:09.203] Prompt executed in 8.07 seconds
[2026-11-22 01:08:01.123] Failed to validate prompt for output 9:
[2026-11-22 01:09:01.123] got prompt
[2026-11-22 01:10:02.123] Prompt executed in 61.00 seconds"""

VLLM = """\
INFO 11-22 01:05:01 [api_server.py:1065] Starting vLLM API server on http://0.0.0.0:8000
(APIServer pid=1) INFO 11-22 01:05:09 [loggers.py:259] Engine 000: Avg prompt throughput: 2.3 tokens/s, Avg generation \
throughput: 98.5 tokens/s, Running: 3 reqs, Waiting: 1 reqs, GPU KV cache usage: 61.5%, Prefix cache hit rate: 0.0%
(APIServer pid=1) INFO:     203.0.113.7:50300 - "POST /v1/chat/completions HTTP/1.1" 200 OK
(APIServer pid=1) INFO:     203.0.113.7:50300 - "POST /v1/chat/completions HTTP/1.1" 404 Not Found
WARNING 11-22 01:05:10 [scheduler.py:1057] Sequence group 7 is preempted by PreemptionMode.RECOMPUTE mode
(EngineCore_DP0 pid=64) ERROR 11-22 01:05:33 [core.py:866] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate
(APIServer pid=1) ERROR 11-22 01:05:34 [core_client.py:562] Engine core proc EngineCore_0 died unexpectedly, shutting"""

TRITON = """\
I1122 01:05:01.065593 1 onnxruntime.cc:2742] TRITONBACKEND_ModelInstanceFinalize: delete instance state
W1122 01:05:01.065593 1 server.cc:251] failed to enable peer access for some device pairs
E1122 01:05:02.065593 1 model_lifecycle.cc:621] failed to load 'face_test' version 1: Internal: out of memory
| face_test | 1       | UNAVAILABLE: Internal: unable to create TensorRT engine |
error: creating server: Internal - failed to load all models"""

NGINX = """\
203.0.113.7 - - [22/Nov/2026:01:05:01 +0000] "POST /predict HTTP/1.1" 200 612 "-" "curl/7.88.1"
203.0.113.7 - ada [22/Nov/2026:01:05:02 +0000] "GET / HTTP/1.1" 304 0 "-" "Mozilla/5.0 (X11; Linux) \\x22q\\x22" 0.012
203.0.113.7 - - [22/Nov/2026:01:05:03 +0000] "GET /x HTTP/1.1" 502 157 "-" "curl/7.88.1" rt=1.500 uct="0.001"
2026/11/22 01:05:03 [error] 31#31: *7 connect() failed (111: Connection refused) while connecting to upstream, client:
2026/11/22 01:05:04 [error] 31#31: *8 upstream timed out (110: Connection timed out) while reading response header
2026/11/22 01:05:04 [error] 31#31: *9 no live upstreams while connecting to upstream, client: 203.0.113.7
2026/11/22 01:05:05 [alert] 30#30: worker process 31 exited on signal 9
2026/11/22 01:05:06 [crit] 31#31: *10 SSL_do_handshake() failed (SSL: error:0A00006C) while SSL handshaking"""

SYSTEMD = """\
Nov 22 01:05:01 gpu1 systemd[1]: Started comfyui.service - ComfyUI.
Nov 22 01:05:02 gpu1 kernel: python3[31337]: segfault at 0 ip 00007f2e0c9be8d8 sp 00007ffd43a1b2c0 error 4 in libc.so.6
Nov 22 01:05:02 gpu1 systemd[1]: comfyui.service: Main process exited, code=dumped, status=11/SEGV
Nov 22 01:05:02 gpu1 systemd[1]: comfyui.service: Failed with result 'core-dump'.
Nov 22 01:05:03 gpu1 systemd[1]: comfyui.service: Scheduled restart job, restart counter is at 5.
Nov 22 01:05:04 gpu1 kernel: Out of memory: Killed process 31338 (python3) total-vm:48512344kB, anon-rss:31002132kB
Nov 22 01:05:05 gpu1 kernel: NVRM: Xid (PCI:0000:01:00): 79, pid=31338, GPU has fallen off the bus.
Nov 22 01:05:06 gpu1 systemd[1]: comfyui.service: Start request repeated too quickly."""


def matcher(profile: str, *patterns: dict[str, Any]) -> Matcher:
    settings = {"path": "/x.log", "profile": profile, "patterns": list(patterns)}
    return Matcher("it", "x.log", LogTarget.model_validate(settings))


def fed(one: Matcher, log: str) -> Matcher:
    one.feed([Entry(line, 1000, 1, len(line) + 1) for line in log.split("\n")], 1000)
    return one


def metrics(one: Matcher) -> dict[str, float]:
    """The profile's own metrics: value by name and labels, without target and source; no buckets."""
    found = {}
    for sample in one.samples(1000):
        if not sample.name.startswith("log_") and not sample.name.endswith("_bucket"):
            labels = ",".join(f"{name}={value}" for name, value in sample.labels if name not in ("target", "source"))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_there_is_a_file_for_each_profile_that_the_settings_know() -> None:
    known = next(get_args(one) for one in get_args(LogTarget.model_fields["profile"].annotation) if get_args(one))
    assert sorted(known) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_well_and_says_what_to_do_in_both_languages(name: str) -> None:
    profile = load_profile(name)
    assert log_problems(LogTarget(path="/x.log", profile=name)) == []  # type: ignore[arg-type]  # one of the known
    for pattern in profile.patterns:
        assert (pattern.settings.level == 0) == (pattern.settings.metric is not None), pattern.title
        if pattern.settings.level > 0:
            assert pattern.settings.advice, pattern.title
            assert any("\u4e00" <= one <= "\u9fff" for one in pattern.advice_zh or ""), pattern.title
    if profile.multiline is not None:
        re2.compile(profile.multiline)


@pytest.mark.parametrize(
    ("profile", "log", "active"),
    [
        ("comfyui", COMFYUI, {"Execution error", "Out of memory", "Inference over 30 s", "Prompt refused"}),
        ("vllm", VLLM, {"Out of memory", "Engine died"}),
        ("triton", TRITON, {"Model failed to load", "Out of memory", "Server could not start"}),
        ("nginx", NGINX, {"Critical", "No upstream left", "Upstream failed"}),
        (
            "systemd",
            SYSTEMD,
            {"Crashed", "Unit failed", "Restart loop", "Killed for want of memory", "GPU error (Xid)"},
        ),
    ],
    ids=["comfyui", "vllm", "triton", "nginx", "systemd"],
)
def test_a_profile_finds_what_is_wrong_and_nothing_else(profile: str, log: str, active: set[str]) -> None:
    assert fed(matcher(profile), log).active == active


@pytest.mark.parametrize(
    ("profile", "log", "expected"),
    [
        (
            "comfyui",
            COMFYUI,
            {
                "comfyui_prompts_total{}": 4.0,
                "comfyui_prompt_duration_seconds_count{}": 4.0,
                "comfyui_prompt_duration_seconds_sum{}": pytest.approx(74.13),
            },
        ),
        (
            "vllm",
            VLLM,
            {
                "vllm_log_requests_total{code=200}": 1.0,
                "vllm_log_requests_total{code=404}": 1.0,
                "vllm_log_requests_running{}": 3.0,
                "vllm_log_requests_waiting{}": 1.0,
                "vllm_log_kv_cache_usage_ratio{}": 0.615,
                "vllm_log_generation_tokens_per_second{}": 98.5,
            },
        ),
        ("triton", TRITON, {"triton_log_entries_total{severity=W}": 1.0, "triton_log_entries_total{severity=E}": 1.0}),
        (
            "nginx",
            NGINX,
            {
                "nginx_log_requests_total{class=2}": 1.0,
                "nginx_log_requests_total{class=3}": 1.0,
                "nginx_log_requests_total{class=5}": 1.0,
                "nginx_log_request_duration_seconds_sum{class=3}": 0.012,
                "nginx_log_request_duration_seconds_count{class=3}": 1.0,
                "nginx_log_request_duration_seconds_sum{class=5}": 1.5,
                "nginx_log_request_duration_seconds_count{class=5}": 1.0,
            },
        ),
        ("systemd", SYSTEMD, {"systemd_log_restarts_total{}": 1.0}),
    ],
    ids=["comfyui", "vllm", "triton", "nginx", "systemd"],
)
def test_a_profile_makes_metrics_of_lines(profile: str, log: str, expected: dict[str, float]) -> None:
    assert metrics(fed(matcher(profile), log)) == expected


@pytest.mark.parametrize("keyword", ["Failed to decode image", "Model not loaded", "Out of memory", "Execution error"])
def test_the_four_keywords_of_an_image_service_are_in_the_profile(keyword: str) -> None:
    assert keyword in fed(matcher("comfyui"), f"ERROR {keyword}: x").active


def test_three_failures_within_5_minutes_are_urgent() -> None:
    one = matcher("comfyui")
    for at, urgent in ((0, False), (60_000, False), (120_000, True)):
        one.feed([Entry("Execution error in node 7", at, 1, 26)], at)
        assert ("Three execution errors" in one.active) == urgent


@pytest.mark.parametrize(
    ("took", "slow"),
    [
        ("29.99 seconds", False),
        ("30.01 seconds", True),
        ("120.00 seconds", True),
        ("00:12:34", True),
        ("3.1 seconds", False),
    ],
)
def test_an_inference_over_30_s_is_a_time_out(took: str, slow: bool) -> None:
    assert ("Inference over 30 s" in fed(matcher("comfyui"), f"Prompt executed in {took}").active) == slow


def test_a_keyword_of_ones_own_sets_the_level_of_the_profiles_pattern_and_finds_what_that_finds() -> None:
    one = fed(matcher("comfyui", {"match": "Out of memory", "level": 1}), "torch.OutOfMemoryError: CUDA out of memory.")
    (labels,) = [dict(s.labels) for s in one.samples(1000) if s.name == "log_pattern_active" and s.value]
    assert labels == {"target": "it", "pattern": "Out of memory", "level": "1"}


def test_an_expression_of_ones_own_stands_for_the_profiles() -> None:
    own = {"name": "Out of memory", "regex": "OOM!", "level": 2}
    assert fed(matcher("comfyui", own), "CUDA out of memory").active == frozenset()


@pytest.mark.parametrize("name", NAMES)
def test_advice_reaches_its_reader_whole(name: str) -> None:
    """Notices are masked on their way out; what is ours holds nothing that looks like a path or an address."""
    advice = [(pattern.settings.advice, pattern.advice_zh) for pattern in load_profile(name).patterns]
    told = [words for pair in advice for words in pair if words]
    assert told
    assert [mask(words) for words in told] == told
