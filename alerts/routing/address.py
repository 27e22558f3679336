"""The ways of a routing file to reach people, as channels: a webhook as it is, everything else as an Apprise URL."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from pydantic import SecretStr

from alerts.delivery.spec import ChannelSpec
from alerts.routing import integration as kinds
from alerts.routing.http_config import HttpConfig
from alerts.routing.receiver import AppriseUrl
from alerts.routing.schema import Global

#: Fields that change nothing here and lose nothing: how a connection is made, not what it carries.
_INDIFFERENT = frozenset({"follow_redirects", "enable_http2"})


class Unreachable(Exception):
    """A way to reach people that does not exist here; the message says why, without secrets."""


@dataclass
class Reader:
    """Turns one receiver's integrations into channels, and gathers what is left out and what is done otherwise."""

    folder: Path
    shared: Global
    unsupported: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def channel(self, place: str, name: str, entry: Any) -> ChannelSpec | None:
        """The channel behind one integration, or None where there is none, which ``unsupported`` tells."""
        maker, used = _MAKERS[type(entry)]
        try:
            spec = maker(self, place, name, entry)
        except Unreachable as error:
            self.unsupported.append(f"{place}: {error}; nothing is sent there")
            return None
        ignored = sorted(entry.model_fields_set - used - {"send_resolved", "http_config"})
        if ignored:
            names = ", ".join(name.rstrip("_") for name in ignored)
            self.unsupported.append(f"{place}: {names}: not used; notices have words and looks of their own")
        return spec

    def secret(self, inline: SecretStr | None, file: str, what: str) -> str:
        """A secret that is in the file or in one of its own. Raises :class:`Unreachable`."""
        if inline is not None:
            return inline.get_secret_value()
        if not file:
            raise Unreachable(f"{what} is missing")
        try:
            return (self.folder / file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise Unreachable(f"{what}_file cannot be read") from None

    def plain_http(self, place: str, found: HttpConfig | None) -> None:
        """Name what an Apprise channel does not do of an ``http_config``."""
        for name in sorted(_given(found or self.shared.http_config) - _INDIFFERENT):
            self.unsupported.append(f"{place}: http_config.{name}: not used")

    def headers(self, place: str, found: HttpConfig | None) -> tuple[tuple[str, SecretStr], ...]:
        """The header by which a webhook knows us; what else an ``http_config`` asks for is named."""
        found = found or self.shared.http_config
        if found is None:
            return ()
        ways = {"basic_auth", "authorization", "bearer_token", "bearer_token_file"}
        for name in sorted(_given(found) - _INDIFFERENT - ways):
            self.unsupported.append(f"{place}: http_config.{name}: not used")
        value = self._authorization(found)
        return (("Authorization", SecretStr(value)),) if value else ()

    def _authorization(self, found: HttpConfig) -> str:
        if found.basic_auth is not None:
            auth = found.basic_auth
            has_password = auth.password is not None or auth.password_file
            password = self.secret(auth.password, auth.password_file, "password") if has_password else ""
            return "Basic " + base64.b64encode(f"{auth.username}:{password}".encode()).decode()
        if found.authorization is not None:
            key = self.secret(found.authorization.credentials, found.authorization.credentials_file, "credentials")
            return f"{found.authorization.type.strip()} {key}"
        if found.bearer_token is not None or found.bearer_token_file:
            return f"Bearer {self.secret(found.bearer_token, found.bearer_token_file, 'bearer_token')}"
        return ""


def bot_url(address: str) -> str | None:
    """The Apprise URL of a chat bot's hook, or None for any other address."""
    parts = urlsplit(address)
    host, path = (parts.hostname or "").lower(), parts.path.rstrip("/")
    query = parse_qs(parts.query)
    last = quote(path.rsplit("/", 1)[-1], safe="")
    if host == "open.feishu.cn" and "/bot/v2/hook/" in path:
        return f"feishu://{last}"
    if host == "open.larksuite.com" and "/bot/v2/hook/" in path:
        return f"lark://{last}"
    if host == "qyapi.weixin.qq.com" and query.get("key"):
        return f"wecombot://{quote(query['key'][0], safe='')}"
    if host == "oapi.dingtalk.com" and query.get("access_token"):
        return f"dingtalk://{quote(query['access_token'][0], safe='')}"
    if host == "hooks.slack.com" and path.startswith("/services/"):
        return f"slack:/{path.removeprefix('/services')}"
    match = re.search(r"/api/webhooks/(\d+)/([\w-]+)$", path)
    if host in ("discord.com", "discordapp.com") and match is not None:
        return f"discord://{match[1]}/{match[2]}"
    return None


def _apprise(name: str, url: str, entry: kinds.Integration, **options: Any) -> ChannelSpec:
    return ChannelSpec(
        name, "apprise", SecretStr(url), send_resolved=entry.send_resolved, least_level=1, origin="routing", **options
    )


def _email(reader: Reader, place: str, name: str, entry: kinds.Email) -> ChannelSpec:
    shared = reader.shared
    smarthost = entry.smarthost or shared.smtp_smarthost
    host, _, port = smarthost.rpartition(":")
    host = host.strip("[]") or "localhost"
    user = entry.auth_username or shared.smtp_auth_username
    password = ""
    if user:
        own = entry.auth_password is not None or entry.auth_password_file
        inline = entry.auth_password if own else shared.smtp_auth_password
        file = entry.auth_password_file if own else shared.smtp_auth_password_file
        password = _password(reader, inline, file)
    if entry.auth_secret or shared.smtp_auth_secret or entry.auth_identity or shared.smtp_auth_identity:
        reader.unsupported.append(f"{place}: auth_secret and auth_identity: not used; PLAIN or LOGIN with the password")
    secure = shared.smtp_require_tls if entry.require_tls is None else entry.require_tls
    mode = "ssl" if port == "465" else "starttls" if secure else "insecure"
    sender = entry.from_ or shared.smtp_from
    options = {"smtp": host, "from": sender, "to": _addresses(entry.to), "mode": mode}
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    scheme = "mailto" if mode == "insecure" else "mailtos"
    shown = f"[{host}]" if ":" in host else host
    return _apprise(name, f"{scheme}://{login}{shown}:{port}/?{urlencode(options)}", entry)


def _password(reader: Reader, inline: SecretStr | None, file: str) -> str:
    """A password, or nothing where none is given."""
    return reader.secret(inline, file, "auth_password") if inline is not None or file else ""


def _addresses(text: str) -> str:
    """``Ann <ann@x.org>, bob@x.org`` as bare addresses."""
    return ",".join(re.sub(r"^.*<([^<>]+)>$", r"\1", part.strip()) for part in text.split(",") if part.strip())


def _webhook(reader: Reader, place: str, name: str, entry: kinds.Webhook) -> ChannelSpec:
    address = entry.url.get_secret_value()
    bot = bot_url(address)
    if bot is not None:
        scheme = bot.partition(":")[0]
        reader.notes.append(
            f"{place}: the hook of a {scheme} bot, which cannot read Alertmanager's payload: it gets one it can show"
        )
        reader.plain_http(place, entry.http_config)
        return _apprise(name, bot, entry)
    return ChannelSpec(
        name,
        "webhook",
        entry.url,
        send_resolved=entry.send_resolved,
        least_level=1,
        max_alerts=entry.max_alerts,
        headers=reader.headers(place, entry.http_config),
        origin="routing",
    )


def _slack(reader: Reader, place: str, name: str, entry: kinds.Slack) -> ChannelSpec:
    reader.plain_http(place, entry.http_config)
    inline = entry.api_url or (None if entry.api_url_file else reader.shared.slack_api_url)
    file = entry.api_url_file or reader.shared.slack_api_url_file
    url = bot_url(reader.secret(inline, file, "api_url"))
    if url is None:
        raise Unreachable("api_url is not a hook of hooks.slack.com")
    channel = entry.channel.removeprefix("#")
    return _apprise(name, f"{url}/%23{quote(channel, safe='')}" if channel else url, entry)


def _discord(reader: Reader, place: str, name: str, entry: kinds.Discord) -> ChannelSpec:
    reader.plain_http(place, entry.http_config)
    url = bot_url(entry.webhook_url.get_secret_value())
    if url is None:
        raise Unreachable("webhook_url is not a hook of discord.com")
    return _apprise(name, url, entry)


def _telegram(reader: Reader, place: str, name: str, entry: kinds.Telegram) -> ChannelSpec:
    reader.plain_http(place, entry.http_config)
    address = entry.api_url or reader.shared.telegram_api_url
    if address is not None and urlsplit(address.get_secret_value()).hostname != "api.telegram.org":
        raise Unreachable("an api_url other than api.telegram.org is not supported")
    silent = "?silent=yes" if entry.disable_notifications else ""
    return _apprise(
        name, f"tgram://{quote(entry.bot_token.get_secret_value(), safe=':')}/{entry.chat_id}/{silent}", entry
    )


def _pushover(reader: Reader, place: str, name: str, entry: kinds.Pushover) -> ChannelSpec:
    reader.plain_http(place, entry.http_config)
    user, token = (quote(part.get_secret_value(), safe="") for part in (entry.user_key, entry.token))
    sound = f"?{urlencode({'sound': entry.sound})}" if entry.sound else ""
    return _apprise(name, f"pover://{user}@{token}/{sound}", entry)


def _opsgenie(reader: Reader, place: str, name: str, entry: kinds.OpsGenie) -> ChannelSpec:
    reader.plain_http(place, entry.http_config)
    inline = entry.api_key or (None if entry.api_key_file else reader.shared.opsgenie_api_key)
    key = reader.secret(inline, entry.api_key_file or reader.shared.opsgenie_api_key_file, "api_key")
    address = entry.api_url or reader.shared.opsgenie_api_url
    host = urlsplit(address.get_secret_value()).hostname if address is not None else "api.opsgenie.com"
    if host not in ("api.opsgenie.com", "api.eu.opsgenie.com"):
        raise Unreachable("an api_url other than Opsgenie's own is not supported")
    return _apprise(name, f"opsgenie://{quote(key, safe='')}/?region={'eu' if '.eu.' in host else 'us'}", entry)


def _victorops(reader: Reader, place: str, name: str, entry: kinds.VictorOps) -> ChannelSpec:
    reader.plain_http(place, entry.http_config)
    if entry.api_url is not None or reader.shared.victorops_api_url is not None:
        raise Unreachable("an api_url of your own is not supported")
    inline = entry.api_key or (None if entry.api_key_file else reader.shared.victorops_api_key)
    key = reader.secret(inline, entry.api_key_file or reader.shared.victorops_api_key_file, "api_key")
    return _apprise(name, f"splunk://{quote(entry.routing_key, safe='')}@{quote(key, safe='')}/wakeless", entry)


def _wechat(reader: Reader, place: str, name: str, entry: kinds.Wechat) -> ChannelSpec:
    reader.plain_http(place, entry.http_config)
    secret = reader.secret(entry.api_secret or reader.shared.wechat_api_secret, "", "api_secret")
    corporation = entry.corp_id or reader.shared.wechat_api_corp_id
    if entry.api_url is not None or reader.shared.wechat_api_url is not None:
        raise Unreachable("an api_url of your own is not supported")
    if any("{{" in text for text in (entry.to_user, entry.to_party, entry.to_tag, entry.agent_id)):
        raise Unreachable("templates in to_user, to_party, to_tag and agent_id are not supported")
    people = [part for part in entry.to_user.split("|") if part]
    people += [f"#{part}" for part in entry.to_party.split("|") if part]
    people += [f"+{part}" for part in entry.to_tag.split("|") if part]
    login = f"{quote(corporation, safe='')}:{quote(secret, safe='')}@{quote(entry.agent_id, safe='')}"
    to = f"?{urlencode({'to': ','.join(people)})}" if people else ""
    return _apprise(name, f"wechat://{login}/{to}", entry)


def _apprise_url(reader: Reader, place: str, name: str, entry: AppriseUrl) -> ChannelSpec:
    options = {"language": entry.language, "picture": entry.picture, "per_minute": float(entry.per_minute)}
    return _apprise(name, entry.url.get_secret_value(), entry, **options)


def _nowhere(reader: Reader, place: str, name: str, entry: kinds.Integration) -> ChannelSpec:
    raise Unreachable("this service is not supported; apprise_configs may reach it")


def _given(found: HttpConfig | None) -> set[str]:
    return set() if found is None else set(found.model_fields_set)


Maker = Callable[[Reader, str, str, Any], ChannelSpec]

#: How each integration becomes a channel, and which of its fields are used.
_MAKERS: Mapping[type[kinds.Integration], tuple[Maker, frozenset[str]]] = {
    kinds.Email: (
        _email,
        frozenset(
            {"to", "from_", "hello", "smarthost", "auth_username", "auth_password", "auth_password_file", "require_tls"}
            | {"auth_secret", "auth_identity"}
        ),
    ),
    kinds.Webhook: (_webhook, frozenset({"url", "max_alerts"})),
    kinds.Slack: (_slack, frozenset({"api_url", "api_url_file", "channel"})),
    kinds.Discord: (_discord, frozenset({"webhook_url"})),
    kinds.Telegram: (_telegram, frozenset({"api_url", "bot_token", "chat_id", "disable_notifications", "parse_mode"})),
    kinds.Pushover: (_pushover, frozenset({"user_key", "token", "sound"})),
    kinds.OpsGenie: (_opsgenie, frozenset({"api_key", "api_key_file", "api_url"})),
    kinds.VictorOps: (_victorops, frozenset({"api_key", "api_key_file", "routing_key"})),
    kinds.Wechat: (
        _wechat,
        frozenset({"api_secret", "corp_id", "to_user", "to_party", "to_tag", "agent_id", "message_type"}),
    ),
    kinds.PagerDuty: (_nowhere, frozenset(kinds.PagerDuty.model_fields)),
    kinds.Sns: (_nowhere, frozenset(kinds.Sns.model_fields)),
    kinds.Webex: (_nowhere, frozenset(kinds.Webex.model_fields)),
    AppriseUrl: (_apprise_url, frozenset({"url", "language", "picture", "per_minute"})),
}
