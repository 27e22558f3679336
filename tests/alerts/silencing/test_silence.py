"""Silences begin, change and end as Alertmanager's do, and outlive a restart."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine as Database
from sqlalchemy import delete, update

from alerts.silencing import silence as room
from alerts.silencing.index import Index
from alerts.silencing.matching import LabelMatcher, match_all, parse_matchers
from alerts.silencing.silence import Silence, SilenceError, Silences
from storage.tables import SilenceRow

NOW = 1_700_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE


def wanted(text: str = "service=db", *, starts_ms: int = NOW, ends_ms: int = NOW + HOUR, id: str = "") -> Silence:
    return Silence(id, tuple(parse_matchers(text)), starts_ms, ends_ms, "ada", "new disk")


@pytest.fixture
def silences(database: Database) -> Silences:
    return Silences(database)


def test_it_mutes_what_matches_while_it_is_active(silences: Silences) -> None:
    id = silences.put(wanted(starts_ms=NOW + MINUTE), NOW)
    db, web = {"service": "db", "alertname": "Down"}, {"service": "web"}
    assert silences.mutes(db, NOW) == []
    assert silences.mutes(db, NOW + MINUTE) == [id]
    assert silences.mutes(web, NOW + MINUTE) == []
    assert silences.mutes(db, NOW + HOUR - 1) == [id]
    assert silences.mutes(db, NOW + HOUR) == []


def test_it_outlives_a_restart(silences: Silences, database: Database) -> None:
    id = silences.put(wanted('service=~"d.", zone!="a"'), NOW)
    again = Silences(database)
    again.load(NOW + MINUTE)
    assert again.mutes({"service": "db"}, NOW + MINUTE) == [id]
    assert again.get(id) == silences.get(id)


def test_it_expires_at_once_and_only_once(silences: Silences) -> None:
    id = silences.put(wanted(), NOW)
    silences.expire(id, NOW + MINUTE)
    assert silences.mutes({"service": "db"}, NOW + MINUTE) == []
    ended = silences.expire(id, NOW + 2 * MINUTE)
    assert ended.ends_ms == NOW + MINUTE
    assert ended.state(NOW + MINUTE) == "expired"
    with pytest.raises(SilenceError) as caught:
        silences.expire("nothing", NOW)
    assert caught.value.kind == "not_found"


def test_one_that_has_not_begun_ends_without_ever_having_been(silences: Silences) -> None:
    id = silences.put(wanted(starts_ms=NOW + HOUR, ends_ms=NOW + 2 * HOUR), NOW)
    ended = silences.expire(id, NOW)
    assert (ended.starts_ms, ended.ends_ms) == (NOW, NOW)
    assert silences.mutes({"service": "db"}, NOW + HOUR) == []


def test_it_never_begins_in_the_past(silences: Silences) -> None:
    id = silences.put(wanted(starts_ms=NOW - HOUR), NOW)
    found = silences.get(id)
    assert found is not None
    assert found.starts_ms == NOW


def test_a_longer_end_or_other_words_leave_it_the_same_silence(silences: Silences) -> None:
    id = silences.put(wanted(), NOW)
    change = replace(wanted(id=id, ends_ms=NOW + 5 * HOUR), comment="takes longer")
    assert silences.put(change, NOW + MINUTE) == id
    assert silences.mutes({"service": "db"}, NOW + 4 * HOUR) == [id]
    assert [one.comment for one in silences.all(NOW)] == ["takes longer"]


def test_other_matchers_make_it_another_silence_and_end_the_first(silences: Silences) -> None:
    id = silences.put(wanted(), NOW)
    other = silences.put(wanted("service=web", id=id), NOW + MINUTE)
    assert other != id
    first, second = silences.get(id), silences.get(other)
    assert first is not None
    assert second is not None
    assert first.state(NOW + MINUTE) == "expired"
    assert second.starts_ms == NOW + MINUTE
    assert silences.mutes({"service": "db"}, NOW + MINUTE) == []
    assert silences.mutes({"service": "web"}, NOW + MINUTE) == [other]


def test_another_start_of_an_active_one_makes_it_another_silence(silences: Silences) -> None:
    id = silences.put(wanted(), NOW)
    assert silences.put(wanted(id=id, starts_ms=NOW + 10 * MINUTE), NOW + MINUTE) != id


def test_one_to_come_may_be_moved(silences: Silences) -> None:
    id = silences.put(wanted(starts_ms=NOW + MINUTE), NOW)
    assert silences.put(wanted(id=id, starts_ms=NOW + 2 * MINUTE), NOW) == id
    assert silences.put(wanted(id=id, starts_ms=NOW - MINUTE), NOW) != id


def test_an_expired_one_that_is_sent_again_begins_anew(silences: Silences) -> None:
    id = silences.put(wanted(), NOW)
    silences.expire(id, NOW + 1)
    other = silences.put(wanted(id=id), NOW + MINUTE)
    assert other != id
    assert silences.mutes({"service": "db"}, NOW + MINUTE) == [other]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (replace(wanted(), matchers=()), "at least one matcher required"),
        (wanted('service=""'), "at least one matcher must not match the empty string"),
        (wanted("service=~.*, zone=~a|"), "at least one matcher must not match the empty string"),
        (wanted("a:b=c"), 'invalid label matcher 0: invalid label name "a:b"'),
        (wanted(ends_ms=NOW), "start time must be before end time"),
        (wanted(starts_ms=NOW - HOUR, ends_ms=NOW - MINUTE), "end time can't be in the past"),
        (replace(wanted(), comment="x" * 2001), "comment has 2001 characters"),
        (replace(wanted(), created_by="x" * 201), "createdBy has 201 characters"),
        (wanted(",".join(["a=b"] * 101)), "101 matchers; 100 are allowed"),
        (wanted("a=" + "b" * 9000), "matchers of more than 8192 characters"),
    ],
)
def test_what_cannot_be_a_silence_is_refused(silences: Silences, bad: Silence, reason: str) -> None:
    with pytest.raises(SilenceError, match=reason) as caught:
        silences.put(bad, NOW)
    assert caught.value.kind == "invalid"
    assert silences.all(NOW) == []


def test_one_that_must_not_have_an_empty_label_is_a_silence(silences: Silences) -> None:
    id = silences.put(wanted('service!=""'), NOW)
    assert silences.mutes({"service": "x"}, NOW) == [id]
    assert silences.mutes({}, NOW) == []


def test_a_change_that_is_refused_leaves_the_silence_as_it_was(silences: Silences) -> None:
    id = silences.put(wanted(), NOW)
    with pytest.raises(SilenceError):
        silences.put(wanted('service=""', id=id), NOW)
    with pytest.raises(SilenceError, match="not found"):
        silences.put(wanted(id="6a3d30b8-6f5f-4a2a-9b1c-000000000000"), NOW)
    assert silences.mutes({"service": "db"}, NOW) == [id]


def test_they_are_listed_in_alertmanagers_order(silences: Silences) -> None:
    late = silences.put(wanted(ends_ms=NOW + 3 * HOUR), NOW)
    soon = silences.put(wanted(ends_ms=NOW + HOUR), NOW)
    later = silences.put(wanted(starts_ms=NOW + 2 * HOUR, ends_ms=NOW + 9 * HOUR), NOW)
    next_one = silences.put(wanted(starts_ms=NOW + HOUR, ends_ms=NOW + 9 * HOUR), NOW)
    gone = silences.put(wanted(), NOW)
    silences.expire(gone, NOW + 1)
    just_gone = silences.put(wanted(), NOW)
    silences.expire(just_gone, NOW + 2)
    assert [one.id for one in silences.all(NOW + 3)] == [soon, late, next_one, later, just_gone, gone]
    assert [one.id for one in silences.live(NOW + 3)] == [soon, late, next_one, later]


def test_they_are_found_by_their_matchers(silences: Silences) -> None:
    both = silences.put(wanted("service=db, zone=a"), NOW)
    one = silences.put(wanted("service=db"), NOW)
    silences.put(wanted("service=~db"), NOW)
    assert {found.id for found in silences.all(NOW, parse_matchers("service=db"))} == {both, one}


def test_there_are_only_so_many(silences: Silences, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_LIVE", 2)
    monkeypatch.setattr(room, "MAX_KEPT", 4)
    first, _ = silences.put(wanted(), NOW), silences.put(wanted(), NOW)
    with pytest.raises(SilenceError) as caught:
        silences.put(wanted(), NOW)
    assert caught.value.kind == "full"
    other = silences.put(wanted("service=web", id=first), NOW + 1)  # takes its place
    for _ in range(5):
        silences.expire(other, NOW + 2)
        other = silences.put(wanted(ends_ms=NOW + HOUR), NOW + 2)
    assert len(silences.all(NOW + 2)) <= 4
    assert len(silences.live(NOW + 2)) == 2
    assert silences.put(wanted(starts_ms=NOW + HOUR, ends_ms=NOW + 2 * HOUR), NOW + HOUR)  # those have ended by now


def test_what_expired_long_ago_is_forgotten(silences: Silences) -> None:
    old, new = silences.put(wanted(), NOW), silences.put(wanted(ends_ms=NOW + 5 * HOUR), NOW)
    assert silences.forget(NOW + 2 * HOUR) == 1
    assert silences.get(new) is not None
    assert [one.id for one in silences.all(NOW)] == [new]
    assert old != new


def test_one_that_cannot_be_read_hides_no_other(silences: Silences, database: Database) -> None:
    broken, good = silences.put(wanted(), NOW), silences.put(wanted(), NOW)
    with database.begin() as connection:
        connection.execute(update(SilenceRow).where(SilenceRow.id == broken).values(matchers=[{"name": "a"}]))
    again = Silences(database)
    again.load(NOW)
    assert again.mutes({"service": "db"}, NOW) == [good]


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["make", "change", "expire", "wait"]),
        st.integers(0, 5),  # which silence
        st.sampled_from(["service=db", 'service!="db"', "zone=~a|b", "service=db, zone="]),
        st.integers(-2, 3),  # when it starts and how long it lasts, in hours
        st.integers(1, 4),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_memory_never_knows_other_than_the_database(
    database: Database, steps: list[tuple[str, int, str, int, int]]
) -> None:
    with database.begin() as connection:
        connection.execute(delete(SilenceRow))
    silences, made, now = Silences(database), [""], NOW
    for action, which, text, start, hours in steps:
        id = made[which % len(made)]
        starts_ms = now + start * HOUR
        with suppress(SilenceError):
            match action:
                case "make":
                    made.append(silences.put(wanted(text, starts_ms=starts_ms, ends_ms=starts_ms + hours * HOUR), now))
                case "change":
                    change = wanted(text, starts_ms=starts_ms, ends_ms=starts_ms + hours * HOUR, id=id)
                    made.append(silences.put(change, now))
                case "expire":
                    silences.expire(id, now)
                case "wait":
                    now += hours * HOUR // 2
        again = Silences(database)
        again.load(now)
        for labels in ({"service": "db"}, {"service": "web", "zone": "a"}, {"service": "db", "zone": "b"}, {}):
            active = [
                one.id for one in silences.all(now) if match_all(one.matchers, labels) and one.state(now) == "active"
            ]
            assert sorted(silences.mutes(labels, now)) == sorted(again.mutes(labels, now)) == sorted(active)


_MATCHERS = st.lists(
    st.builds(
        LabelMatcher, st.sampled_from("abc"), st.sampled_from(["", "x", "y", "x|y"]), st.booleans(), st.booleans()
    ),
    min_size=1,
    max_size=3,
)


@given(
    st.lists(_MATCHERS, max_size=6), st.dictionaries(st.sampled_from(["a", "b", "alertname"]), st.sampled_from("xy"))
)
def test_the_index_finds_what_asking_each_would_find(many: list[list[LabelMatcher]], labels: dict[str, str]) -> None:
    index = Index((matchers, number) for number, matchers in enumerate(many))
    wanted = [number for number, one in enumerate(many) if match_all(one, labels)]
    for _ in range(2):  # the second time from memory
        assert sorted(index.of(labels)) == wanted


def test_the_index_remembers_only_so_many_label_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.silencing.index.MAX_KNOWN", 3)
    index = Index([(parse_matchers("a=~x.*"), "it")])
    for number in range(10):
        assert index.of({"a": f"x{number}"}) == ("it",)
        assert index.of({"a": f"y{number}"}) == ()
    assert len(index._known) <= 3
