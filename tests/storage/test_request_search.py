from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, update

import storage.request_search as module
from storage.record import RequestEntry, RequestLog
from storage.request_sample import RequestSample
from storage.request_search import Place, RequestSearch, Wanted
from storage.tables import RequestRow

T0 = 1_795_000_000_000
FOREVER = T0 * 2


def entry(number: int, outcome: str = "ok", **more: Any) -> RequestEntry:
    given: dict[str, Any] = {
        "request_id": f"r{number}",
        "time_ms": T0 + number,
        "status": 200,
        "outcome": outcome,
        "model": "card",
        "version": "1",
        "total_seconds": number / 100,
    }
    return RequestEntry(**(given | more))


def fill(engine: Engine, *entries: RequestEntry) -> RequestSearch:
    log = RequestLog(engine)
    for one in entries:
        log.add(one)
    log.flush()
    return RequestSearch(engine)


def everything(search: RequestSearch, wanted: Wanted, limit: int, **more: Any) -> list[str]:
    """All pages, one after the other."""
    found: list[str] = []
    before: Place | None = None
    while True:
        page = search.page(wanted, limit, before, **more)
        found += [one.request_id for one in page.entries]
        if page.next is None:
            return found
        assert before is None or page.next < before
        before = Place.parse(str(page.next))


def test_requests_are_found_by_each_thing_and_by_all_together(engine: Engine) -> None:
    search = fill(
        engine,
        entry(1, "error", error="No layer 7", route="/predict", result_class=None, status=500),
        entry(2, result_class="id_card", route="/predict"),
        entry(3, result_class="passport", route="/v2/models/<model>/infer"),
        entry(4, "error", error="No LAYER 9 (100%_x)", route="/v2/models/<model>/infer"),
        entry(5, "oom", error="Out of memory"),
    )

    def ids(**wanted: Any) -> list[str]:
        return [one.request_id for one in search.page(Wanted(T0, FOREVER, **wanted), 10).entries]

    assert ids() == ["r5", "r4", "r3", "r2", "r1"]
    assert ids(request_id="r3") == ["r3"]
    assert ids(route="/predict") == ["r2", "r1"]
    assert ids(result_class="passport") == ["r3"]
    assert ids(outcome="error") == ["r4", "r1"]
    assert ids(outcome="ok") == ["r3", "r2"]
    assert ids(text="no layer") == ["r4", "r1"]
    assert ids(text="0%_") == ["r4"]
    assert ids(text="%") == ["r4"]
    assert ids(min_seconds=0.04) == ["r5", "r4"]
    assert ids(fingerprint="No layer <n>") == ["r1"]
    assert ids(outcome="error", route="/predict", text="layer") == ["r1"]
    assert [one.request_id for one in search.page(Wanted(T0 + 2, T0 + 3), 10).entries] == ["r3", "r2"]


def test_what_is_found_is_what_was_noted(engine: Engine) -> None:
    noted = entry(1, "error", error="x", fingerprint="x", input={"width": 3}, route="/predict", queue_seconds=0.1)
    assert fill(engine, noted).page(Wanted(T0, FOREVER), 10).entries == [noted]


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 7), st.integers(1, 6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_hold_each_request_once_whatever_their_size_and_that_of_blocks(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, times: list[int], limit: int, block: int
) -> None:
    """Several requests may have one time, and a page may end between them."""
    monkeypatch.setattr(module, "BLOCK", block)
    with engine.begin() as connection:
        connection.execute(RequestRow.__table__.delete())  # type: ignore[attr-defined]
    outcomes = ["ok", "error"]
    entries = [
        entry(number, outcomes[time % 2], time_ms=T0 + time, error="x" if time % 2 else None)
        for number, time in enumerate(times)
    ]
    search = fill(engine, *entries)
    for wanted in (Wanted(T0, FOREVER), Wanted(T0, FOREVER, outcome="error"), Wanted(T0 + 1, T0 + 2, outcome="ok")):
        fitting = [
            one
            for one in entries
            if wanted.start_ms <= one.time_ms <= wanted.end_ms and wanted.outcome in (None, one.outcome)
        ]
        expected = [one.request_id for one in sorted(fitting, key=lambda one: (-one.time_ms, -entries.index(one)))]
        assert everything(search, wanted, limit) == expected
        assert everything(search, wanted, limit, seconds=-1.0) == expected


def test_a_search_whose_time_is_over_says_how_far_it_has_come(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    search = fill(engine, *(entry(number, result_class="rare" if number == 1 else None) for number in range(1, 8)))
    page = search.page(Wanted(T0, FOREVER, result_class="rare"), 5, seconds=-1.0)
    assert (page.entries, page.complete) == ([], False)
    assert page.next is not None
    assert everything(search, Wanted(T0, FOREVER, result_class="rare"), 5, seconds=-1.0) == ["r1"]


@pytest.mark.parametrize("text", ["", "1", "-1", "1-", "a-b", "1-2-3", "9223372036854775808-1", "١-٢"])
def test_a_page_goes_on_only_where_one_has_ended(text: str) -> None:
    with pytest.raises(ValueError, match="must be the next of a page before"):
        Place.parse(text)


def test_errors_are_told_by_kind(engine: Engine) -> None:
    search = fill(
        engine,
        *(entry(number, "error", error=f"No layer {number}") for number in range(1, 8)),
        entry(20, "oom", error="No layer 1"),
        entry(21, "bad_input", error="Too large"),
        entry(22),
    )
    groups = search.errors(T0, FOREVER)
    assert [(one.fingerprint, one.outcome, one.count) for one in groups] == [
        ("No layer <n>", "error", 7),
        ("Too large", "bad_input", 1),
        ("No layer <n>", "oom", 1),
    ]
    first = groups[0]
    assert (first.text, first.first_ms, first.last_ms) == ("No layer 7", T0 + 1, T0 + 7)
    assert first.example_ids == ["r7", "r6", "r5", "r4", "r3"]
    assert [one.count for one in search.errors(T0 + 2, T0 + 4)] == [3]
    assert len(search.errors(T0, FOREVER, limit=1)) == 1


def test_errors_from_before_there_were_fingerprints_are_grouped_as_well(engine: Engine) -> None:
    search = fill(engine, *(entry(number, "error", error=f"No layer {number}") for number in range(1, 5)))
    with engine.begin() as connection:
        connection.execute(update(RequestRow).where(RequestRow.time_ms <= T0 + 2).values(fingerprint=None))
    (group,) = search.errors(T0, FOREVER)
    assert (group.fingerprint, group.count, group.text) == ("No layer <n>", 4, "No layer 4")


# --- sums --------------------------------------------------------------------------------------------------------

_REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 5 * 3_600_000),
        st.sampled_from(["ok", "cached", "error", "timeout"]),
        st.sampled_from([None, "id_card", "passport"]),
        st.floats(0, 100),
    ),
    max_size=50,
)


@given(_REQUESTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sums_equal_those_of_a_plain_computation(
    engine: Engine, requests: list[tuple[int, str, str | None, float]]
) -> None:
    with engine.begin() as connection:
        connection.execute(RequestRow.__table__.delete())  # type: ignore[attr-defined]
    fill(
        engine,
        *(
            entry(0, outcome, time_ms=T0 + time, result_class=kind, total_seconds=seconds)
            for time, outcome, kind, seconds in requests
        ),
    )
    found = RequestSample(engine).sum(T0, T0 + 10**9, shift_ms=1_800_000)
    assert (found.count, found.every) == (len(requests), 1)
    assert found.outcomes == Counter(one[1] for one in requests)
    assert found.classes == Counter(one[2] for one in requests if one[2])
    durations = sorted(one[3] for one in requests)
    if durations:
        assert found.mean == pytest.approx(sum(durations) / len(durations))
        assert found.p95 == durations[-(-len(durations) * 95 // 100) - 1]
        assert found.max == durations[-1]
    hours = Counter((T0 + one[0] + 1_800_000) // 3_600_000 * 3_600_000 - 1_800_000 for one in requests)
    assert {hour.start_ms: hour.count for hour in found.hours} == hours
    failed = sum(one[1] in ("error", "timeout") for one in requests)
    assert sum(hour.failed for hour in found.hours) == failed


def test_of_many_requests_every_nth_is_summed_up(engine: Engine) -> None:
    fill(engine, *(entry(number, "error" if number % 10 == 0 else "ok", error=None) for number in range(1, 1001)))
    found = RequestSample(engine, most=300).sum(T0, FOREVER)
    assert (found.count, found.every) == (1000, 4)
    assert sum(found.outcomes.values()) == pytest.approx(1000, abs=4)
    assert found.mean == pytest.approx(5.0, abs=0.1)
    assert found.max == 10.0


def test_inputs_of_a_window_come_with_what_is_known_of_them(engine: Engine) -> None:
    fill(
        engine,
        *(entry(number, route="/predict", input={"width": number}) for number in range(1, 200)),
        entry(300, "error", error="No 1", input={"width": 1}),
        entry(301, "oom", error="Full", input={"width": 2}),
    )
    sample = RequestSample(engine)
    good = sample.inputs(T0, FOREVER, ("ok",), 20)
    assert 10 < len(good) <= 20
    assert all(one["route"] == "/predict" and one["version"] == "1" for one in good)
    assert min(one["width"] for one in good) < 60, "spread over the window, not its newest alone"
    assert sorted(one["width"] for one in sample.inputs(T0, FOREVER, ("error", "oom"), 20)) == [1, 2]
    assert [one["width"] for one in sample.inputs(T0, FOREVER, ("error", "oom"), 20, fingerprint="No <n>")] == [1]
