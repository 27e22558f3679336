"""The services that a receiver of a routing file may name, with their fields, as Alertmanager 0.25 knows them."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from alerts.routing.http_config import HttpConfig, Tls, one_of
from alerts.routing.scalar import Count, GoDuration, HostPort, SecretAddress, Section, Truth, WebAddress, Whole

_RESERVED = frozenset(
    (
        "routing_key",
        "message_type",
        "state_message",
        "entity_display_name",
        "monitoring_tool",
        "entity_id",
        "entity_state",
    )
)
_RESPONDERS = re.compile(r"team|teams|user|escalation|schedule")


class Integration(Section):
    """What all ways to reach people have in common."""

    send_resolved: Truth = True


class WebIntegration(Integration):
    """One that is called over HTTP."""

    http_config: HttpConfig | None = None


class Email(Integration):
    send_resolved: Truth = False
    to: str = Field(min_length=1)
    from_: str = Field("", alias="from")
    hello: str = ""
    smarthost: HostPort = ""
    auth_username: str = ""
    auth_password: SecretStr | None = None
    auth_password_file: str = ""
    auth_secret: SecretStr | None = None
    auth_identity: str = ""
    headers: dict[str, str] = Field({})
    html: str = ""
    text: str = ""
    require_tls: Truth | None = None
    tls_config: Tls | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [name.lower() for name in self.headers]
        for name in (name for name in names if names.count(name) > 1):
            raise ValueError(f"duplicate header {name!r}")
        return self


class Webhook(WebIntegration):
    url: WebAddress
    max_alerts: Count = 0


class SlackField(Section):
    title: str = Field(min_length=1)
    value: str = Field(min_length=1)
    short: Truth | None = None


class SlackConfirm(Section):
    text: str = Field(min_length=1)
    title: str = ""
    ok_text: str = ""
    dismiss_text: str = ""


class SlackAction(Section):
    type: str = Field(min_length=1)
    text: str = Field(min_length=1)
    url: str = ""
    style: str = ""
    name: str = ""
    value: str = ""
    confirm: SlackConfirm | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.url and not self.name:
            raise ValueError("a Slack action needs a name or a url")
        return self


class Slack(WebIntegration):
    send_resolved: Truth = False
    api_url: SecretAddress | None = None
    api_url_file: str = ""
    channel: str = ""
    username: str = ""
    color: str = ""
    title: str = ""
    title_link: str = ""
    pretext: str = ""
    text: str = ""
    fields: tuple[SlackField, ...] = ()
    short_fields: Truth = False
    footer: str = ""
    fallback: str = ""
    callback_id: str = ""
    icon_emoji: str = ""
    icon_url: str = ""
    image_url: str = ""
    thumb_url: str = ""
    link_names: Truth = False
    mrkdwn_in: tuple[str, ...] = ()
    actions: tuple[SlackAction, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        one_of(self.api_url, self.api_url_file, "api_url & api_url_file")
        return self


class Discord(WebIntegration):
    webhook_url: SecretAddress
    title: str = ""
    message: str = ""


class Telegram(WebIntegration):
    api_url: WebAddress | None = None
    bot_token: SecretStr = Field(min_length=1)
    chat_id: Whole
    message: str = ""
    disable_notifications: Truth = False
    parse_mode: Literal["", "Markdown", "MarkdownV2", "HTML"] = "HTML"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.chat_id == 0:
            raise ValueError("chat_id must not be 0")
        return self


class Pushover(WebIntegration):
    user_key: SecretStr = Field(min_length=1)
    token: SecretStr = Field(min_length=1)
    title: str = ""
    message: str = ""
    url: str = ""
    url_title: str = ""
    sound: str = ""
    priority: str = ""
    retry: GoDuration = "1m"
    expire: GoDuration = "1h"
    html: Truth = False


class Responder(Section):
    id: str = ""
    name: str = ""
    username: str = ""
    type: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.id or self.name or self.username):
            raise ValueError("a responder needs an id, a username or a name")
        if "{{" not in self.type and not _RESPONDERS.fullmatch(self.type.lower()):
            raise ValueError("the type of a responder must be team, teams, user, escalation or schedule")
        return self


class OpsGenie(WebIntegration):
    api_key: SecretStr | None = None
    api_key_file: str = ""
    api_url: WebAddress | None = None
    message: str = ""
    description: str = ""
    source: str = ""
    details: dict[str, str] = Field({})
    entity: str = ""
    responders: tuple[Responder, ...] = ()
    actions: str = ""
    tags: str = ""
    note: str = ""
    priority: str = ""
    update_alerts: Truth = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        one_of(self.api_key, self.api_key_file, "api_key & api_key_file")
        return self


class VictorOps(WebIntegration):
    api_key: SecretStr | None = None
    api_key_file: str = ""
    api_url: WebAddress | None = None
    routing_key: str = Field(min_length=1)
    message_type: str = ""
    state_message: str = ""
    entity_display_name: str = ""
    monitoring_tool: str = ""
    custom_fields: dict[str, str] = Field({})

    @model_validator(mode="after")
    def _check(self) -> Self:
        one_of(self.api_key, self.api_key_file, "api_key & api_key_file")
        for name in sorted(_RESERVED & set(self.custom_fields)):
            raise ValueError(f"the custom field {name} is one that VictorOps has itself")
        return self


class Wechat(WebIntegration):
    send_resolved: Truth = False
    api_secret: SecretStr | None = None
    corp_id: str = ""
    message: str = ""
    api_url: WebAddress | None = None
    to_user: str = ""
    to_party: str = ""
    to_tag: str = ""
    agent_id: str = ""
    message_type: Literal["", "text", "markdown"] = ""


class PagerDuty(WebIntegration):
    service_key: SecretStr | None = None
    service_key_file: str = ""
    routing_key: SecretStr | None = None
    routing_key_file: str = ""
    url: WebAddress | None = None
    client: str = ""
    client_url: str = ""
    description: str = ""
    details: dict[str, str] = Field({})
    images: tuple[dict[Literal["src", "alt", "href"], str], ...] = ()
    links: tuple[dict[Literal["href", "text"], str], ...] = ()
    source: str = ""
    severity: str = ""
    class_: str = Field("", alias="class")
    component: str = ""
    group: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.service_key or self.service_key_file or self.routing_key or self.routing_key_file):
            raise ValueError("a service_key or a routing_key is missing")
        one_of(self.service_key, self.service_key_file, "service_key & service_key_file")
        one_of(self.routing_key, self.routing_key_file, "routing_key & routing_key_file")
        return self


class SigV4(Section):
    region: str = ""
    access_key: str = ""
    secret_key: SecretStr | None = None
    profile: str = ""
    role_arn: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError("access_key and secret_key go together")
        return self


class Sns(WebIntegration):
    api_url: str = ""
    sigv4: SigV4 = SigV4()
    topic_arn: str = ""
    phone_number: str = ""
    target_arn: str = ""
    subject: str = ""
    message: str = ""
    attributes: dict[str, str] = Field({})

    @model_validator(mode="after")
    def _check(self) -> Self:
        # An odd number of them, as Alertmanager has it.
        if (bool(self.topic_arn) + bool(self.target_arn) + bool(self.phone_number)) % 2 == 0:
            raise ValueError("needs one of target_arn, topic_arn and phone_number")
        return self


class Webex(WebIntegration):
    api_url: WebAddress | None = None
    message: str = ""
    room_id: str = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.http_config is None or self.http_config.authorization is None:
            raise ValueError("http_config.authorization is missing")
        return self
