from __future__ import annotations

import threading

import pytest

from storage.crew import Crew


def test_results_come_in_the_order_of_the_items() -> None:
    crew = Crew()
    for count in (0, 1, 15, 16, 17, 32, 33, 1000):
        assert crew.map(lambda item: item * 2, range(count)) == [item * 2 for item in range(count)]


def test_an_error_of_any_item_comes_out() -> None:
    def refuse(item: int) -> int:
        if item == 99:
            raise ValueError("no 99")
        return item

    with pytest.raises(ValueError, match="no 99"):
        Crew().map(refuse, range(100))


def test_many_may_ask_at_once() -> None:
    crew = Crew()
    found: list[list[int]] = []
    asking = [
        threading.Thread(target=lambda: found.append(crew.map(lambda item: item + 1, range(500)))) for _ in range(8)
    ]
    for one in asking:
        one.start()
    for one in asking:
        one.join(10)
    assert found == [list(range(1, 501))] * 8
