"""A channel holds secrets and gives reasons without them."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from alerts.delivery.channel import AppriseChannel, DeliveryError
from tests.alerts.delivery.receiver import Receiver

# Apprise's plug-in for encrypted mail imports it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

# --- secrets -----------------------------------------------------------------------------------------------------


def test_a_channels_name_says_what_it_is_and_holds_no_secret() -> None:
    url = "slack://TokenA/TokenB/TokenC/#general"
    name = AppriseChannel(url).name
    assert name.startswith("slack-")
    assert AppriseChannel(url).name == name
    assert AppriseChannel(url + "x").name != name
    assert "Token" not in name + repr(AppriseChannel(url))
    assert AppriseChannel("no url").name.startswith("unknown-")


def test_a_refusal_gives_a_reason_without_the_url(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver(403) as receiver:
        channel = AppriseChannel(receiver.url("a-secret-hook") + "?+X-Api-Key=another-secret")
        with pytest.raises(DeliveryError, match="403") as caught:
            channel.send("title", "body", "info")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    assert "secret" not in caplog.text


def test_a_server_that_is_not_there_is_a_reason_too() -> None:
    with Receiver() as receiver:
        url = receiver.url()
    with pytest.raises(DeliveryError, match=r"Connection error .*\[address\]"):
        AppriseChannel(url).send("title", "body", "info")


@pytest.mark.parametrize("url", ["nonsense://x", "no url", "tgram://bad"])
def test_a_url_that_apprise_does_not_know_is_said_so(url: str) -> None:
    assert "Apprise" in str(AppriseChannel(url).check())
    with pytest.raises(DeliveryError):
        AppriseChannel(url).send("title", "body", "info")


def test_a_good_url_passes_the_check() -> None:
    assert AppriseChannel("json://127.0.0.1/x").check() is None


def test_apprise_is_not_loaded_before_a_channel_needs_it() -> None:
    code = (
        "import sys, alerts.engine, alerts.delivery.sender, alerts.delivery.channel; sys.exit('apprise' in sys.modules)"
    )
    command: Sequence[str] = [sys.executable, "-c", code]
    assert subprocess.run(command, cwd=Path(__file__).parents[3], check=False).returncode == 0
