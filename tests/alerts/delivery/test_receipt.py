"""Whether a notice that was not taken may have arrived all the same: it decides whether it can join a summary."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from alerts.delivery.receipt import DeliveryError
from alerts.delivery.spec import ChannelSpec
from alerts.delivery.webhook import WebhookChannel
from tests.alerts.delivery.box import fact, message
from tests.alerts.delivery.receiver import Receiver
from tests.alerts.world import START_MS
from tests.running import free_port


def refusal(url: str) -> DeliveryError:
    channel = WebhookChannel(ChannelSpec("hook", "webhook", SecretStr(url)))
    with pytest.raises(DeliveryError) as caught:
        channel.send(message(fact()), "key", START_MS)
    return caught.value


@contextmanager
def hanging_up() -> Iterator[str]:
    """A service that reads what it gets and closes without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(20)


def test_a_service_that_says_no_has_not_taken_it() -> None:
    with Receiver(500) as receiver:
        error = refusal(receiver.url().replace("json://", "http://"))
    assert (error.permanent, error.unclear) == (False, False)


def test_a_service_that_is_not_there_has_not_taken_it() -> None:
    assert not refusal(f"http://127.0.0.1:{free_port()}/").unclear


def test_a_name_that_does_not_resolve_has_not_taken_it() -> None:
    assert not refusal("http://no-such-host.invalid/").unclear


def test_a_service_that_hangs_up_without_an_answer_may_have_taken_it() -> None:
    with hanging_up() as url:
        error = refusal(url)
    assert error.unclear
    assert str(error) == "the connection was closed before an answer came"


@pytest.mark.parametrize(
    ("error", "unclear"),
    [
        (DeliveryError("no words on it"), True),
        (DeliveryError("come back later", retry_after_seconds=5.0), False),
        (DeliveryError("never", permanent=True), False),
        (DeliveryError("said so", unclear=False), False),
    ],
)
def test_an_error_that_does_not_say_counts_as_unclear_unless_there_was_an_answer(
    error: DeliveryError, unclear: bool
) -> None:
    assert error.unclear == unclear
