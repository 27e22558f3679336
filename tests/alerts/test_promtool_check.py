"""``check-rules`` and ``promtool check rules`` agree on every file, good or bad."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from alerts.check import check_rules
from alerts.rule import STOCK_FILE
from tests.alerts.promtool import needs_promtool

pytestmark = needs_promtool

FILES = 900

#: Where we differ on purpose, each with what Debian's promtool (2.42) says: (the file, whether we take it).
NEWER = [
    # Fields that came with Prometheus 2.53 and 3.0.
    ("groups: [{name: g, query_offset: 1m, rules: []}]", True),
    ("groups: [{name: g, labels: {team: ml}, rules: []}]", True),
    # What the query language of Prometheus 3 knows, and Prometheus 2 does not.
    ("groups: [{name: g, rules: [{record: a, expr: 'sort_by_label(up, \"job\")'}]}]", True),
    ("groups: [{name: g, rules: [{record: a, expr: '{\"a.b\"}'}]}]", True),
    # A name that Prometheus 3 gave another function, and functions of native histograms, which Wakeless has none of.
    ("groups: [{name: g, rules: [{record: a, expr: 'holt_winters(up[5m], 0.5, 0.5)'}]}]", False),
    ("groups: [{name: g, rules: [{record: a, expr: 'histogram_sum(up)'}]}]", False),
    # Go 1.23 taught templates this.
    ("groups: [{name: g, rules: [{alert: A, expr: up, annotations: {a: '{{with 1}}{{else with 2}}{{end}}'}}]}]", True),
    # Annotations of our own have values of their own.
    ("groups: [{name: g, rules: [{alert: A, expr: up, annotations: {wakeless_in_a_row: few}}]}]", False),
]

GOOD = """groups:
  - name: one
    interval: 30s
    limit: 10
    rules:
      - alert: Down
        expr: up == 0
        for: 5m
        keep_firing_for: 1m
        labels: {severity: critical, level: "3"}
        annotations:
          summary: "{{ $labels.job }} is down: {{ $value | humanize }}"
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {a: b}
  - name: two
    rules: []
"""

#: One case a line: whole files, single rules, templates.
CASES = Path(__file__).with_name("rulefiles")


def cases(name: str) -> list[str]:
    return (CASES / name).read_text(encoding="utf-8").splitlines()


def our_verdicts(paths: Iterable[Path]) -> list[bool]:
    return [all(problem.level != "error" for problem in check_rules(path)) for path in paths]


def their_verdicts(paths: Sequence[Path]) -> list[bool]:
    """What promtool says of each file, all of them in one call."""
    found = subprocess.run(
        ["promtool", "check", "rules", "--lint=none", *map(str, paths)], capture_output=True, text=True, check=False
    )
    said = re.split(r"^Checking (\S+)$", found.stdout, flags=re.MULTILINE)[1:]
    taken = {name: "SUCCESS" in words for name, words in zip(said[::2], said[1::2], strict=True)}
    assert set(taken) == set(map(str, paths)), found.stderr
    return [taken[str(path)] for path in paths]


def _lacks_a_newer_field(path: Path) -> bool:
    """Whether promtool refuses a file for a group's labels only: see NEWER."""
    found = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    complaints = re.findall(r"^\s+line \d+: (.*)$", found.stdout + found.stderr, flags=re.MULTILINE)
    return bool(complaints) and all("not found in type rulefmt.RuleGroup" in one for one in complaints)


def compare(folder: Path, texts: Sequence[str]) -> None:
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"{number}.yml")
        paths[-1].write_bytes(text.encode("utf-8", "surrogateescape"))
    differ = [
        f"promtool {'takes' if theirs else 'refuses'} {path.read_text(errors='replace')!r}"
        for path, ours, theirs in zip(paths, our_verdicts(paths), their_verdicts(paths), strict=True)
        if ours != theirs and not (ours and _lacks_a_newer_field(path))
    ]
    assert not differ, "\n" + "\n".join(differ)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def a_template(text: str) -> str:
    return f"groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations:\n      a: {_block(text)}\n"


def _block(text: str) -> str:
    return "|-\n" + "\n".join(f"        {line}" for line in text.split("\n"))


def test_of_files_groups_and_rules_of_every_kind(tmp_path: Path) -> None:
    rules = [f"groups: [{{name: g, rules: [{{{rule}}}]}}]" for rule in cases("rules.txt")]
    compare(tmp_path, [GOOD, *cases("files.txt"), *rules])


def test_of_templates_of_every_kind(tmp_path: Path) -> None:
    several_lines = ["{{ `a\nb` }}", "{{ $value\n| humanize }}", '{{ "a\nb" }}', "{{\n}}"]
    compare(tmp_path, [a_template(text) for text in (*cases("templates.txt"), *several_lines)])


def test_of_text_that_is_hardly_yaml(tmp_path: Path) -> None:
    texts = [
        "", " ", "\n", "\t", "a: b: c", "groups:\n\t- name: g", "groups: [", "groups: }", "'",
        "%YAML 1.1\n---\ngroups: []",
        "groups: []\n---\ngroups: x", "groups: []\n...\nfoo", "---\n---\n", "!!map {groups: []}", "&a groups: []",
        "groups: &a [*a]", "? groups\n: []", "groups: []\ngroups: []", "\ufeffgroups: []", "groups: [] # ä 漢 🎈",
        "groups: []\n\x01", "groups: []\x00", "groups: \udcff", "{groups: []}", "[groups]", "groups: !!seq []",
        "groups: !foo []", "groups:\n- &g {name: g}\n- <<: *g\n  name: h", "groups:\n- &g {name: g}\n- *g",
        "groups: [{name: g, <<: {interval: 1m}}]", "groups: [{name: g, <<: [{limit: 1}, {limit: 2}]}]",
        'groups: [{name: "g\\u0001"}]', "groups: [{name: g\n}]", "groups:\n  - name: g\n   rules: []",
    ]  # fmt: skip
    compare(tmp_path, texts)


def mutations(text: str, chance: random.Random) -> str:
    """A good file in which one to three things have been done to lines or words."""
    lines = text.splitlines()
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                del lines[place]
            case 1:
                lines.insert(place, lines[chance.randrange(len(lines))])
            case 2:
                lines[place] = " " * chance.randint(0, 8) + lines[place].lstrip()
            case 3:
                at = chance.randrange(len(lines[place]) + 1)
                lines[place] = lines[place][:at] + chance.choice("{}[]:,'\"|>-#&*!%@`$.() 0a\\") + lines[place][at:]
            case 4:
                words = lines[place].split(" ")
                words[chance.randrange(len(words))] = chance.choice(
                    ["", "x", "5", "5m", "~", "[]", "{}", "'", "up", "a:"]
                )
                lines[place] = " ".join(words)
            case 5:
                at = chance.randrange(len(lines[place]) + 1)
                lines[place] = lines[place][:at] + lines[place][at + chance.randint(1, 4) :]
            case _:
                other = chance.randrange(len(lines))
                lines[place], lines[other] = lines[other], lines[place]
        if not lines:
            break
    return "\n".join(lines) + "\n"


_WORDS = """{{ }} - $labels $value .x . | ( ) "a" `a` 'a' if else end with range define template block break
1 0x1 1.5 $x := = , print humanize nil true /* */ x"""
PIECES = [*_WORDS.split(), " ", "{{ end }}", "{{ if 1 }}", "{{ range . }}", "{{ else }}"]


@pytest.mark.parametrize("seed", [1, 2])
def test_of_files_that_were_spoiled_at_random(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    stock = STOCK_FILE.read_text(encoding="utf-8").splitlines()
    rules = "\n".join(stock[:80])
    texts = [mutations(chance.choice([GOOD, rules]), chance) for _ in range(FILES // 3)]
    texts += [a_template("".join(chance.choices(PIECES, k=chance.randint(2, 9)))) for _ in range(FILES // 3)]
    texts += [
        a_template("{{ " + " ".join(chance.choices(PIECES[2:], k=chance.randint(1, 5))) + " }}")
        for _ in range(FILES // 3)
    ]
    compare(tmp_path, texts)


@pytest.mark.parametrize(("text", "taken"), NEWER)
def test_where_we_differ_it_is_on_purpose(tmp_path: Path, text: str, taken: bool) -> None:
    file = tmp_path / "0.yml"
    file.write_text(text)
    assert our_verdicts([file]) == [taken]
    assert their_verdicts([file]) == [not taken]
