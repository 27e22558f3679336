"""Of a dump of all threads, the stack that explains the end is kept, whoever got the signal."""

from __future__ import annotations

from supervisor.evidence import CALL, telling

OTHERS = [line for number in range(40) for line in (f"Thread 0x{number} (most recent call first):", "  File x")]
MODEL = [
    "Thread 0x77 (most recent call first):",
    '  File "model.py", line 7 in predict',
    '  File "model/worker.py", line 9 in _main',
]
MAIN = ["Current thread 0x99 (most recent call first):", *(f'  File "main.py", line {line}' for line in range(30))]


def test_of_a_hang_that_the_server_noticed_itself_the_models_stack_is_kept() -> None:
    assert telling(["started", *OTHERS, *MODEL, *OTHERS], 25) == MODEL
    assert telling(["started", *OTHERS, *MODEL, *OTHERS, "the last word"], 25) == [*MODEL, "the last word"]


def test_of_a_hang_that_was_ended_from_outside_the_models_stack_is_kept_beside_the_one_that_got_the_signal() -> None:
    told = telling(["the last word", "Fatal Python error: Aborted", "", *OTHERS, *MODEL, *MAIN, "", "Extension: x"], 25)
    assert told[:2] == ["the last word", "Fatal Python error: Aborted"]
    assert told[2] == MAIN[0]
    assert told[-3:] == MODEL
    assert len(told) <= 25


def test_a_model_thread_that_crashed_is_told_once() -> None:
    model = ["Current thread 0x77 (most recent call first):", *MODEL[1:]]
    assert telling(["Fatal Python error: Segmentation fault", "", *OTHERS, *model, ""], 25)[1:] == model


def test_a_dump_of_long_ago_is_not_what_it_died_of() -> None:
    later = [f"line {number}" for number in range(100)]
    assert telling([*MODEL, *later], 25) == later[-25:]


def test_of_a_hang_in_decode_its_thread_is_kept_not_those_that_wait_for_their_turn() -> None:
    waiting = ["Thread 0x55 (most recent call first):", '  File "model/codec.py", line 1 in _decoding']
    decoding = [
        "Thread 0x66 (most recent call first):",
        '  File "shop.py", line 7 in decode',
        '  File "model/exchange.py", line 9 in read',
        '  File "model/codec.py", line 9 in read',
    ]
    told = telling(["Fatal Python error: Aborted", "", *MODEL, *decoding, *waiting, *MAIN], 25, CALL)
    assert told[1:] == [*MAIN[: (25 - 1) // 2], *decoding]
