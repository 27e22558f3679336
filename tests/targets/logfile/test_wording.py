"""What lines read like, and which of them are of one kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mask import SECRET
from targets.logfile.wording import fingerprint, plain, readable, told


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2026-11-22 01:05:01,123 boom", "2026-11-23 11:15:21,999 boom"),
        ("request 01937a3f2c8e5d4b failed", "request ab0d7a3f2c8e9d4b failed"),
        ("id 7f2e0c9b-e8d8-4f31-9a7c-01937a3f2c8e", "id 8a2e0c9b-a8d8-4f31-9a7c-01937a3f2c8f"),
        ("tried to allocate 2.50 GiB at 0x7f2e", "tried to allocate 12.00 GiB at 0xffff"),
        ("no such file '/srv/a b.png'", "no such file '/data/c.png'"),
        ("open /srv/one/x.png: denied", "open /var/lib/y.jpg: denied"),
        ('name "ada" is taken', 'name "bob" is taken'),
        ("boom   boom", "boom boom "),
    ],
)
def test_what_differs_from_line_to_line_is_no_other_kind(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


def test_other_words_are_another_kind() -> None:
    assert fingerprint("mat1 and mat2 shapes cannot be multiplied") != fingerprint("expected scalar type Half")
    assert fingerprint("can't open it") != fingerprint("can't close it")


def test_colours_and_links_of_a_terminal_go() -> None:
    assert plain("\x1b[1;31mERROR\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x1b\\ end\x1b(B") == "ERROR link end"


def test_a_line_is_cut_between_words() -> None:
    assert readable("alpha beta gamma", 12) == "alpha beta…"
    assert readable("x" * 500, 300) == "x" * 299 + "…"


def test_a_secret_that_is_cut_is_masked_before() -> None:
    key = "sk-" + "abc123" * 10
    for before in range(40):
        assert "abc123" not in told("w " * before + f"using {key}", 60)
    assert told(f"using {key}", 60) == f"using {SECRET}"


@given(st.text(), st.integers(10, 100))
def test_whatever_is_told_is_short_and_clean(text: str, limit: int) -> None:
    said = told(text, limit)
    assert len(said) <= limit
    assert "\n" not in said or "\n" in text
    assert not set("\x00\x1b\r\u202e") & set(said)
    assert fingerprint(text) == fingerprint(text)


@pytest.mark.parametrize("part", ["a", "a-", "'", '"', "/a", "\x1b[", "\x1b]", "1", "a1.", "~", "é"])
def test_a_hostile_line_takes_no_more_than_its_length(part: str) -> None:
    text = part * (64 * 1024 // len(part))
    assert len(plain(text)) <= len(text)
    assert len(fingerprint(text)) == 16
    assert len(told(text, 200)) <= 200
