"""The headers with which a request says how important it is and how long it waits."""

from __future__ import annotations

from contextlib import suppress

import pytest
from flask import Request
from hypothesis import given as having
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from dashboard.problem import Problem
from dashboard.terms import TIMEOUTS, read_terms
from tests.dashboard.house import House


def headers(**given: str) -> Headers:
    environ = {f"HTTP_{name.upper()}": value for name, value in given.items()}
    return Request(EnvironBuilder(environ_base=environ).get_environ()).headers


def test_a_request_without_them_is_normal_and_has_the_time_that_the_settings_give() -> None:
    found = read_terms(headers(), None)
    assert (found.priority, found.timeout_seconds, found.caller) == ("normal", None, None)


@pytest.mark.parametrize(("value", "rank"), [("high", 0), (" Normal ", 1), ("LOW", 2)])
def test_a_priority_is_one_of_three_words(value: str, rank: int) -> None:
    assert read_terms(headers(X_Priority=value), None).rank == rank


def test_the_shortest_of_all_timeouts_counts_each_in_its_unit() -> None:
    given = {"X_Request_Timeout": "2.5", "X_Request_Timeout_Seconds": "7", "X_Envoy_Expected_Rq_Timeout_Ms": "1500"}
    assert read_terms(headers(**given), None).timeout_seconds == 1.5
    del given["X_Envoy_Expected_Rq_Timeout_Ms"]
    assert read_terms(headers(**given), None).timeout_seconds == 2.5


@pytest.mark.parametrize("value", ["", "0", "0.0", "-1", "nan", "inf", "1e3", "1_0", "1,5", "ten", "\u0663", "9" * 12])
@pytest.mark.parametrize("header", TIMEOUTS)
def test_a_timeout_that_is_no_number_of_seconds_is_refused_by_name(header: str, value: str) -> None:
    with pytest.raises(Problem, match=header) as bad:
        read_terms(headers(**{header.replace("-", "_"): value}), None)
    assert (bad.value.status, bad.value.extra["field"]) == (400, header)


@having(st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=40))
def test_whatever_a_header_says_is_read_or_refused(value: str) -> None:
    for header in ("X_Priority", *(name.replace("-", "_") for name in TIMEOUTS)):
        with suppress(Problem):  # anything else that it raises is a failure
            read_terms(headers(**{header: value}), None)


def test_predict_answers_a_bad_header_with_400_and_counts_it_as_bad_input(house: House) -> None:
    answer = house.visitor().post("/predict", data=b"x", headers={"X-Priority": "urgent"})
    assert answer.status_code == 400
    assert answer.get_json()["detail"] == "The header X-Priority must be one of high, normal, low."
    assert answer.get_json()["field"] == "X-Priority"
