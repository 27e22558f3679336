"""The runbook is served by ourselves, a section for each rule."""

from __future__ import annotations

import re

from alerts.rule import Rule, load_stock
from tests.dashboard.house import House


def page(house: House, language: str = "en") -> str:
    client = house.visitor()
    client.get(f"/language/{language}")
    answer = client.get("/runbook", headers=house.token("viewer"))
    assert answer.status_code == 200
    return answer.text


def test_each_rule_has_a_place_that_its_link_leads_to(calm: House) -> None:
    text = page(calm)
    for group in load_stock():
        for rule in group.rules:
            if isinstance(rule, Rule):
                assert f'<h2 id="{rule.name}">' in text


def test_links_stay_within_the_page(calm: House) -> None:
    article = page(calm).split("<article", 1)[1].split("</article>", 1)[0]
    links = re.findall(r'href="([^"]*)"', article)
    assert links
    assert all(re.fullmatch(r"#\w+", link) and f'id="{link[1:]}"' in article for link in links)


def test_a_reader_of_chinese_finds_what_the_rules_say_in_chinese(calm: House) -> None:
    assert "磁盘使用率超过 85% 已持续 5 分钟" in page(calm, "zh")
    assert "磁盘使用率超过" not in page(calm)
