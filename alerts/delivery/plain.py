"""Channels that take words only, for the sender."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import SecretStr

from alerts.delivery.entry import kind_of
from alerts.delivery.message import Message
from alerts.delivery.receipt import DeliveryError, Receipt
from alerts.delivery.spec import ChannelSpec


class PlainChannels:
    """Channels by name, each sent the words of a notice as they were made."""

    def __init__(self, channels: Iterable[Any]) -> None:
        self._channels: Mapping[str, _PlainChannel] = {channel.name: _PlainChannel(channel) for channel in channels}

    def get(self, name: str) -> Any:
        return self._channels.get(name)


class _PlainChannel:
    def __init__(self, channel: Any) -> None:
        self.name = channel.name
        self.spec = ChannelSpec(channel.name, "apprise", SecretStr(f"{channel.name.partition('-')[0]}://"))
        self._channel = channel

    def send(self, message: Message, key: str, now_ms: int) -> Receipt:
        title, _, body = message.note.partition("\n")
        try:
            self._channel.send(title, body, kind_of(message))
        except Exception as error:
            raise DeliveryError(str(error)) from error
        return Receipt(title, body)
