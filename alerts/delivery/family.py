"""Families of services: how each is written to, and how much it takes. Limits as the services document them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alerts.delivery.service import Markup, Traits

#: The characters that a text message carries 160 of; with any other in it there is room for 70.
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = frozenset("^{}\\[~]|€")


@dataclass(frozen=True, slots=True)
class Family:
    """``limit`` is of title and body together, in characters or in bytes of UTF-8; ``brief`` is one short text.

    ``newline`` is what ends a line in its markup. ``picture``: it shows a file to a person.
    ``escapes``: its markdown knows the backslash; where it does not, a stray asterisk does less harm than backslashes.
    ``spells_links``: a link shows its address, since its text may be read without the markup. ``page``: it takes a
    whole page with tables and pictures in it.
    """

    markup: Markup = "text"
    limit: int = 8_000
    unit: Literal["characters", "bytes", "sms"] = "characters"
    brief: bool = False
    newline: str = "\n"
    picture: bool = False
    escapes: bool = False
    spells_links: bool = False
    page: bool = False

    def fits(self, text: str) -> bool:
        """Whether a text is short enough."""
        if self.unit == "bytes":
            return len(text.encode()) <= self.limit
        if self.unit == "characters":
            return len(text) <= self.limit
        if all(character in _GSM or character in _GSM_EXTENDED for character in text):
            return len(text) + sum(character in _GSM_EXTENDED for character in text) <= 160
        return len(text.encode("utf-16-le")) // 2 <= 70


MAIL = Family("html", 30_000, newline="<br>", picture=True, spells_links=True, page=True)
#: 4096 characters after Telegram has read the tags; tags and entities are counted here, to be safe.
TELEGRAM = Family("html", 4_000, newline="<br>", picture=True)
SLACK = Family("markdown", 8_000, picture=True)
DISCORD = Family("markdown", 1_950, picture=True, escapes=True)
#: 20 000 bytes of JSON, in which a Chinese character takes twice what it takes in UTF-8.
DINGTALK = Family("markdown", 9_000, "bytes", newline="\n\n")
FEISHU = Family("text", 9_000, "bytes")
WECOM = Family("text", 2_000, "bytes", picture=True)
SMS = Family("text", 160, "sms", brief=True)
PLAIN = Family()

_MAIL_SCHEMES = [
    "mailto",
    "mailtos",
    "sendgrid",
    "mailgun",
    "ses",
    "azure",
    "o365",
    "sparkpost",
    "smtp2go",
    "postmark",
    "resend",
    "brevo",
    "mailersend",
]
_FAMILIES = {
    **dict.fromkeys(_MAIL_SCHEMES, MAIL),
    "tgram": TELEGRAM,
    "slack": SLACK,
    "discord": DISCORD,
    "dingtalk": DINGTALK,
    "feishu": FEISHU,
    "lark": FEISHU,
    "wecombot": WECOM,
}
#: A service that takes no more than this carries text messages.
_SMS_CHARACTERS = 200


def family_of(scheme: str, traits: Traits | None = None) -> Family:
    """How to write to the service behind an Apprise ``scheme``, given what Apprise knows of it."""
    known = _FAMILIES.get(scheme)
    if known is not None:
        return known
    if traits is None or traits.body_limit <= 0:
        return PLAIN
    if traits.body_limit <= _SMS_CHARACTERS:
        return SMS
    return Family(limit=min(traits.body_limit, PLAIN.limit))
