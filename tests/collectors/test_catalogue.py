"""The catalogue holds every metric, and the page shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from collectors.catalogue import METRICS, family_of, main, renewed

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "metrics.md"


def test_the_page_shows_the_catalogue_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == renewed(page), "run: python -m collectors.catalogue docs/metrics.md"


def test_the_command_prints_the_tables_and_renews_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "| `gpu_power_watts` | gauge | watts |" in capsys.readouterr().out
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- catalogue -->\nold\n<!-- /catalogue -->\nafter\n", encoding="utf-8")
    main([str(page)])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "\nold\n" not in text
    assert "`gpu_power_watts`" in text


def test_it_refuses_a_page_without_marks() -> None:
    with pytest.raises(ValueError, match="no <!-- catalogue -->"):
        renewed("a page")


def test_every_metric_has_a_meaning_and_a_unit_that_its_name_ends_in() -> None:
    for metric in METRICS.values():
        assert metric.help.endswith("."), metric.name
        assert metric.section, metric.name
        base = metric.name.removesuffix("_total")
        assert (metric.type == "counter") == (base != metric.name), metric.name
        if metric.unit and metric.unit != "bytes/second":
            assert base.endswith(f"_{metric.unit}"), metric.name


def test_every_name_in_the_room_is_in_the_catalogue() -> None:
    """A literal that looks like a metric's name in a collector's source is one."""
    sources = [path for path in (ROOT / "collectors").glob("*.py") if path.name != "catalogue.py"]
    named = re.compile(r'(?:Sample\(|_single\(|_each\(|_labelled\(|_counter\(|_histogram\(|_gauge\()\s*"(\w+)"')
    found = {name for path in sources for name in named.findall(path.read_text(encoding="utf-8"))}
    assert len(found) > 60
    assert not {name for name in found if family_of(name) is None}


def test_a_histograms_samples_lead_to_their_family_and_only_theirs() -> None:
    for suffix in ("", "_bucket", "_sum", "_count"):
        found = family_of(f"inference_batch_size{suffix}")
        assert found is not None
        assert found.name == "inference_batch_size"
    assert family_of("gpu_power_watts_count") is None
    assert family_of("nobody_knows") is None
