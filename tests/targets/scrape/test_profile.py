"""Profiles ask for what the programs publish, are documented, fire for what they are for, and come and go by name."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.rule import PROFILES, Rule, load_profile, profile_file
from alerts.ruling.rulebook import Rulebook
from alerts.ruling.source import RuleSource
from collectors.sample import METRIC_NAME, Matcher
from dashboard.panels import BadPanel, Panel, profile_files, read_panels
from promql import parse
from storage.engine import open_database
from targets.scrape.exposition import Reader
from tests.targets.scrape.test_peers import needs_debian, node

__all__ = ["node"]  # the fixture

HERE = Path(__file__).parent
RUNBOOK = HERE.parents[2] / "docs" / "runbook.md"
NAMES = sorted(file.stem for file in PROFILES.glob("*.yml"))
RULES = [rule for name in NAMES for group in load_profile(name) for rule in group.rules if isinstance(rule, Rule)]


def published(body: bytes) -> set[str]:
    return {dict(labels)[METRIC_NAME] for labels in Reader(lambda labels: labels).read(body).meanings}


def asked(name: str) -> set[str]:
    """Every metric that a profile's rules and panels name."""
    panels = [panel for panel in read_panels(profile_files([name])) if isinstance(panel, Panel)]
    texts = [rule.expr for group in load_profile(name) for rule in group.rules]
    lines = [line for panel in panels if panel.id.startswith(name) for line in panel.lines]
    texts += [line.query(60_000, 60_000, peak=peak) for line in lines for peak in {False, bool(line.peak)}]
    every = [matcher for text in texts for matchers in parse(text).selectors() for matcher in matchers]
    return {matcher.value for matcher in every if isinstance(matcher, Matcher) and matcher.name == METRIC_NAME}


@pytest.mark.parametrize("name", ["vllm", "triton", "dcgm"])
def test_a_profile_asks_for_what_the_documentation_names(name: str) -> None:
    assert asked(name) <= published((HERE / "sample" / f"{name}.txt").read_bytes())


@needs_debian
def test_the_profile_of_node_exporter_asks_for_what_the_real_one_publishes(node: str) -> None:
    with urllib.request.urlopen(f"http://{node}/metrics") as answer:
        found = published(answer.read())
    assert asked("node") <= found


@pytest.mark.parametrize("name", NAMES)
def test_promtool_and_the_board_find_nothing_wrong(name: str) -> None:
    panels = read_panels(profile_files([name]))
    assert not [str(panel) for panel in panels if isinstance(panel, BadPanel)]
    assert [panel for panel in panels if isinstance(panel, Panel) and panel.id.startswith(name)]
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool")
    verdict = subprocess.run([promtool, "check", "rules", profile_file(name)], capture_output=True, check=False)
    assert verdict.returncode == 0, verdict.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_is_told_in_two_languages_and_in_the_runbook(rule: Rule) -> None:
    for part in ("summary", "description", "action"):
        assert rule.annotations[part].text
        assert re.search(r"[\u4e00-\u9fff]", rule.annotations[f"{part}_zh"].text)
    assert rule.annotations["runbook_url"].text.endswith(f"/runbook#{rule.name}")
    assert rule.labels["level"].text in ("1", "2", "3")
    assert f"\n## {rule.name}\n" in RUNBOOK.read_text(encoding="utf-8")


#: Per rule: series in promtool's notation at 1 m, and the minute at which it fires.
H = 'job="j",instance="i:1"'
M = f'{H},model_name="m"'
TROUBLES: dict[str, tuple[dict[str, str], int]] = {
    "VllmStalled": ({f"vllm:generation_tokens_total{{{M}}}": "5x20", f"vllm:prompt_tokens_total{{{M}}}": "9x20",
                     f"vllm:num_requests_running{{{M}}}": "3x20"}, 10),
    "VllmQueue": ({f"vllm:num_requests_waiting{{{M}}}": "30x20"}, 10),
    "VllmCacheFull": ({f"vllm:gpu_cache_usage_perc{{{M}}}": "0.99x20"}, 10),
    "VllmPreemptions": ({f"vllm:num_preemptions_total{{{M}}}": "0+60x30"}, 20),
    "VllmFirstTokenSlow": ({f'vllm:time_to_first_token_seconds_bucket{{{M},le="5"}}': "0x30",
                            f'vllm:time_to_first_token_seconds_bucket{{{M},le="10"}}': "0+10x30",
                            f'vllm:time_to_first_token_seconds_bucket{{{M},le="+Inf"}}': "0+10x30",
                            f"vllm:time_to_first_token_seconds_count{{{M}}}": "0+10x30"}, 20),
    "VllmErrors": ({f'vllm:request_success_total{{{M},finished_reason="stop"}}': "0+50x30",
                    f'vllm:request_success_total{{{M},finished_reason="error"}}': "0+5x30"}, 20),
    "TritonFailures": ({f'nv_inference_request_failure{{{H},model="m",reason="BACKEND"}}': "0+10x30",
                        f'nv_inference_request_success{{{H},model="m"}}': "0+50x30"}, 20),
    "TritonQueue": ({f'nv_inference_pending_request_count{{{H},model="m"}}': "99x20"}, 10),
    "TritonQueueSlow": ({f'nv_inference_queue_duration_us{{{H},model="m"}}': "0+120000000x30",
                         f'nv_inference_request_success{{{H},model="m"}}': "0+60x30"}, 20),
    "TritonGpuMemoryHigh": ({f'nv_gpu_memory_used_bytes{{{H},gpu_uuid="g"}}': "99x30",
                             f'nv_gpu_memory_total_bytes{{{H},gpu_uuid="g"}}': "100x30"}, 20),
    "DcgmXid": ({f'DCGM_FI_DEV_XID_ERRORS{{{H},gpu="0"}}': "0x8 79x12"}, 12),
    "DcgmTemperatureHigh": ({f'DCGM_FI_DEV_GPU_TEMP{{{H},gpu="0"}}': "91x20"}, 5),
    "DcgmMemoryHigh": ({f'DCGM_FI_DEV_FB_USED{{{H},gpu="0"}}': "99x20",
                        f'DCGM_FI_DEV_FB_FREE{{{H},gpu="0"}}': "1x20"}, 15),
    "DcgmRowRemapFailed": ({f'DCGM_FI_DEV_ROW_REMAP_FAILURE{{{H},gpu="0"}}': "1x20"}, 5),
    "DcgmUncorrectable": ({f'DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS{{{H},gpu="0"}}': "0x8 1x12"}, 12),
    "NodeDiskAlmostFull": ({f'node_filesystem_avail_bytes{{{H},fstype="ext4"}}': "5x20",
                            f'node_filesystem_size_bytes{{{H},fstype="ext4"}}': "100x20",
                            f'node_filesystem_readonly{{{H},fstype="ext4"}}': "0x20"}, 10),
    "NodeDiskFullSoon": ({f'node_filesystem_avail_bytes{{{H},fstype="ext4"}}': "4000-10x150",
                          f'node_filesystem_size_bytes{{{H},fstype="ext4"}}': "10000x150",
                          f'node_filesystem_readonly{{{H},fstype="ext4"}}': "0x150"}, 120),
    "NodeReadOnly": ({f'node_filesystem_readonly{{{H},fstype="ext4"}}': "0x8 1x12"}, 12),
    "NodeMemoryHigh": ({f"node_memory_MemAvailable_bytes{{{H}}}": "5x20",
                        f"node_memory_MemTotal_bytes{{{H}}}": "100x20"}, 10),
    "NodeOomKill": ({f"node_vmstat_oom_kill{{{H}}}": "0x8 1x12"}, 12),
    "NodeLoadHigh": ({f"node_load5{{{H}}}": "9x30",
                      f'node_cpu_seconds_total{{{H},cpu="0",mode="idle"}}': "0+1x30"}, 20),
}  # fmt: skip


def test_every_rule_of_a_profile_fires_for_its_trouble_and_is_quiet_without_it(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool")
    assert set(TROUBLES) == {rule.name for rule in RULES}
    bare = []
    for name in NAMES:
        groups = yaml.safe_load(profile_file(name).read_text(encoding="utf-8"))["groups"]
        for rule in (rule for group in groups for rule in group["rules"]):
            rule.pop("annotations")
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump({"groups": groups}))
        bare.append(f"{name}.yml")
    tests = []
    for rule in RULES:
        series, minute = TROUBLES[rule.name]
        firing = f'count(ALERTS{{alertname="{rule.name}",alertstate="firing"}})'
        asked_for = [{"expr": firing, "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": 1}]}]
        if any("x8 " in text for text in series.values()):  # all is well for eight minutes
            asked_for.append({"expr": f'ALERTS{{alertname="{rule.name}"}}', "eval_time": "7m", "exp_samples": []})
        inputs = [{"series": one, "values": text} for one, text in series.items()]
        test: dict[str, Any] = {"interval": "1m", "input_series": inputs, "promql_expr_test": asked_for}
        tests.append(test)
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": bare, "evaluation_interval": "1m", "tests": tests}))
    verdict = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_the_rules_of_a_profile_come_and_go_with_its_name(tmp_path: Path) -> None:
    database = open_database(tmp_path / "wakeless.db")
    own = tmp_path / "own.yml"
    own.write_text("groups: [{name: own, rules: [{alert: VllmQueue, expr: 'vllm:num_requests_waiting > 3'}]}]")
    source = RuleSource([own], Rulebook(database), stock=False)

    def names(groups: Any) -> set[str]:
        return {rule.name for group in groups for rule in group.rules}

    assert names(source.load(0)) == {"VllmQueue"}
    source.set_profiles(["vllm", "no-such"])
    groups = source.poll(1)
    assert groups is not None
    assert names(groups) == {rule.name for rule in RULES if rule.name.startswith("Vllm")}
    [queue] = [rule for group in groups for rule in group.rules if rule.name == "VllmQueue"]
    assert queue.expr == "vllm:num_requests_waiting > 3"
    assert [state.path for state in source.states()][:1] == ["profile/vllm.yml"]
    source.set_profiles(["vllm"])
    assert source.poll(2) is None
    source.set_profiles([])
    assert names(source.poll(3)) == {"VllmQueue"}
    database.dispose()
