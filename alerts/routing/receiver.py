"""A receiver of a routing file: every way by which the people behind it are reached, with two additions of ours."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from alerts.routing.integration import (
    Discord,
    Email,
    Integration,
    OpsGenie,
    PagerDuty,
    Pushover,
    Slack,
    Sns,
    Telegram,
    VictorOps,
    Webex,
    Webhook,
    Wechat,
)
from alerts.routing.scalar import Count, Section, Truth


class AppriseUrl(Integration):
    """Ours: any service that Apprise knows."""

    url: SecretStr
    language: Literal["en", "zh"] | None = None
    picture: Truth = True
    per_minute: Count = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "://" not in self.url.get_secret_value():
            raise ValueError("url is not an Apprise URL such as ntfys://topic")
        return self


class Named(Integration):
    """Ours: a channel of the settings or of the page, by its name."""

    channel: str = Field(min_length=1)


class ReceiverEntry(Section):
    """One receiver."""

    name: str = Field(min_length=1)
    email_configs: tuple[Email, ...] = ()
    webhook_configs: tuple[Webhook, ...] = ()
    slack_configs: tuple[Slack, ...] = ()
    discord_configs: tuple[Discord, ...] = ()
    telegram_configs: tuple[Telegram, ...] = ()
    pushover_configs: tuple[Pushover, ...] = ()
    opsgenie_configs: tuple[OpsGenie, ...] = ()
    victorops_configs: tuple[VictorOps, ...] = ()
    wechat_configs: tuple[Wechat, ...] = ()
    pagerduty_configs: tuple[PagerDuty, ...] = ()
    sns_configs: tuple[Sns, ...] = ()
    webex_configs: tuple[Webex, ...] = ()
    apprise_configs: tuple[AppriseUrl, ...] = ()
    wakeless_configs: tuple[Named, ...] = ()

    def integrations(self) -> list[tuple[str, Any]]:
        """Every way to reach it with its place in the file, in the order of this class."""
        return [
            (f"{name}[{index}]", entry)
            for name in type(self).model_fields
            if name != "name"
            for index, entry in enumerate(getattr(self, name))
        ]
