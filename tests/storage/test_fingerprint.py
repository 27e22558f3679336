from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.fingerprint import LONGEST, fingerprint_of


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (
            "The picture is 5000×300 pixels, at most 4096 are taken.",
            "The picture is 8000×9000 pixels, at most 4096 are taken.",
            "The picture is <n>×<n> pixels, at most <n> are taken.",
        ),
        (
            "CUDA out of memory. Tried to allocate 2.50 GiB.",
            "CUDA out of memory. Tried to allocate 19.07 GiB.",
            "CUDA out of memory. Tried to allocate <n> GiB.",
        ),
        (
            "cannot open /srv/in/a.jpg: No such file",
            "cannot open /tmp/b/c.png: No such file",
            "cannot open <path>: No such file",
        ),
        ("KeyError: 'width'", 'KeyError: "height of it"', "KeyError: <text>"),
        (
            "job 0f8fad5b-d9cb-469f-a165-70867728950e timed out after 30s",
            "job 7c9e6679-7425-40de-944b-e07fc1f90ae7 timed out after 5s",
            "job <id> timed out after <n>s",
        ),
        ("refused by 10.0.0.7:8188", "refused by 192.168.1.20:80", "refused by <address>"),
        ("segfault at 0x7ffd1", "segfault at 0xdeadbeef", "segfault at <id>"),
        ("GET http://a.local/x?k=1 failed", "GET https://b/y failed", "GET <url> failed"),
        ("at 2026-11-21T09:22:45.798Z it ended", "at 2025-01-01 00:00:00 it ended", "at <time> it ended"),
        ("code E1\n  of 3", "code E2 of 44", "code E<n> of <n>"),
    ],
)
def test_what_differs_each_time_is_left_out(one: str, other: str, common: str) -> None:
    assert fingerprint_of(one) == fingerprint_of(other) == common


def test_errors_of_different_kinds_stay_apart() -> None:
    assert fingerprint_of("The model's decode failed.") != fingerprint_of("The model's encode failed.")


def test_of_a_traceback_the_last_line_counts() -> None:
    trace = "Traceback (most recent call last):\n  File '/a/b.py', line {}\n" + "x" * 5000 + "\nValueError: no {}"
    assert fingerprint_of(trace.format(3, 4)) == fingerprint_of(trace.format(77, 8)) == "ValueError: no <n>"


@given(st.text(max_size=3000))
def test_any_text_has_a_short_fingerprint_that_stays_what_it_is(text: str) -> None:
    found = fingerprint_of(text)
    assert len(found) <= LONGEST
    assert fingerprint_of(text) == found


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_numbers_make_no_difference(one: int, other: int) -> None:
    assert fingerprint_of(f"row {one} of {other}") == "row <n> of <n>"
