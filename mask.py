"""What must not be kept or leave the house: paths and internal addresses, secrets, and what tells of a person.

Every expression is tried once at each place and never takes back what it has read (possessive, or between characters
that it cannot hold), so that the time is linear in the text: a log line may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address

SECRET = "[secret]"
EMAIL = "[email]"
NUMBER = "[number]"
PATH = "[path]"
ADDRESS = "[address]"
HOST = "[host]"

#: Our own endpoints look like paths and say nothing about the machine.
_ENDPOINTS = re.compile(r"/(?:health|predict|metrics|api|live)(?![\w.-])")
_SEGMENT = r"[^\s/\\\"'`<>|:;,()\[\]{}，。；：、（）【】“”]+"
_PATHS = re.compile(
    rf"file://\S+|(?<![\w/.~-])~?(?:/{_SEGMENT})+/?|(?<!\w)[A-Za-z]:\\(?:{_SEGMENT}\\?)*|\\\\{_SEGMENT}\\(?:{_SEGMENT}\\?)*"
)
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w])(?!\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_HOSTS = re.compile(r"(?<![\w.-])(?:[\w-]+\.)+(?:local|internal|intranet|lan|corp|home|localdomain)(?![\w-])(?!\.\w)")


def deidentify(text: str) -> str:
    """``text`` with absolute paths, addresses that are not public, and names of internal hosts masked."""
    text = _PATHS.sub(lambda match: match[0] if _ENDPOINTS.match(match[0]) else PATH, text)
    text = _IPV4.sub(lambda match: _mask_address(match[0]), text)
    text = _IPV6.sub(lambda match: _mask_address(match[0]), text)
    return _HOSTS.sub(HOST, text)


def _mask_address(text: str) -> str:
    try:
        return text if ip_address(text).is_global else ADDRESS
    except ValueError:
        return text


# --- secrets ------------------------------------------------------------------------------------------------------

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END)[\s\S])*+(?:-----END[^\n-]{0,60}-----)?"
)
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_LINE = re.compile(r"\s*+[A-Za-z0-9+/=]{16,}+\s*+")
#: What is known by its looks.
_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_-]{16,}+|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}+|gsk_[A-Za-z0-9]{20,}+|nvapi-[\w-]{20,}+"
    r"|gh[pousr]_[A-Za-z0-9]{20,}+|github_pat_\w{20,}+|glpat-[\w-]{16,}+|hf_[A-Za-z0-9]{20,}+|r8_[A-Za-z0-9]{20,}+"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}+(?![0-9A-Za-z])|LTAI[0-9A-Za-z]{12,}+|AKID[0-9A-Za-z]{13,}+|AIza[\w-]{30,}+"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}+|npm_[A-Za-z0-9]{30,}+|pypi-[\w-]{30,}+|wl_[\w-]{24,}+"
    r"|SG\.[\w-]{16,64}+\.[\w-]{16,64}+)"
)
_JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{4,}+(?:\.[\w-]*+)?")
#: Addresses that let anyone post who knows them.
_WEBHOOKS = re.compile(
    r"(?i)(hooks\.slack\.com/(?:services|workflows)/|/open-apis/bot/v2/hook/|api\.telegram\.org/bot"
    r"|discord(?:app)?\.com/api/webhooks/)([^\s\"'<>?]++)"
)
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)(?:[^\s/?#@\"'<>]*+@)++")
_AUTHORIZATION = re.compile(
    r"(?i)(authorization\\?[\"']?[ \t]*+[:=][ \t]*+\\?[\"']?)(?:([a-z0-9-]{1,30}+)[ \t]++)?([^\r\n\"'\\]++)"
)
_SCHEMES = {"basic", "bearer", "digest", "negotiate", "ntlm", "token", "apikey", "aws4-hmac-sha256", "hawk", "key"}
_BARE_SCHEME = re.compile(r"(?i)(?<![a-z0-9])(bearer|basic)([ \t]++)([\w.~+/=-]{8,}+)")
_COOKIE = re.compile(r"(?i)(cookie2?\\?[\"']?[ \t]*+[:=][ \t]*+\\?[\"']?)([^\r\n\"'\\]++)")
_PAIR = re.compile(r"[^\s=]++=")
#: A name, and what leads from it to its value. A name is read whole, whether a value follows or not.
_NAME = re.compile(
    r"([^\W\d][\w.-]*+)(?:(\\?[\"']?[ \t]*+(?:=>|:=|[:=：]++|%3[dD])[ \t]*+(?:[\[(](?=\\?[\"']))?)|([ \t]++))?"
)
_VALUE = re.compile(
    r"(?P<open>\\?[\"'])(?:(?!(?P=open))(?:\\[^\r\n]|[^\r\n\\]))*+"
    r"|(?:[^\s\"'\\&;,<>()\[\]{}，；]|,(?![\w.-]{0,64}[=:\s]|$)|\\(?![\"']))++"
)
#: So much of a value tells whether it is a secret; all of it would be read again for each name within it.
_HEAD = 128
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")
_ALWAYS = {"password", "passwd", "passphrase", "passcode", "secret", "apikey", "apitoken", "accesstoken", "authtoken"}
_ALWAYS |= {"userpassword", "dbpassword", "clientsecret", "secretkey", "accesskey", "privatekey", "signingkey", "pwd"}
_KEYS = {
    "api",
    "access",
    "secret",
    "private",
    "signing",
    "encryption",
    "auth",
    "account",
    "master",
    "license",
    "shared",
}
_WORDS_OF_MODELS = {"eos", "bos", "pad", "unk", "mask", "sep", "cls", "stop", "next", "max", "first", "last", "per"}
#: Names whose values are secrets where they look like one, and words otherwise.
_PERHAPS = {"key", "pass", "auth", "sid", "sessid", "sessionid", "session", "jsessionid", "phpsessid", "signature"}
_PERHAPS |= {"sig", "credential", "credentials", "csrftoken", "xsrf", "nonce", "ticket", "sign", "subkey"}
_CHINESE = ("密码", "口令", "密钥", "令牌", "私钥")
_NOT_SECRET = re.compile(r"(?i)(?:none|null|nil|true|false|undefined|yes|no|on|off|empty|unset|set|\*+|\.+|x+|-+|)")

# --- people -------------------------------------------------------------------------------------------------------

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}+@((?:[A-Za-z0-9-]{1,63}+\.){1,8})([A-Za-z]{2,24})(?![A-Za-z0-9-])"
)
#: What follows the @ of a unit of systemd.
_UNITS = {"service", "socket", "timer", "target", "mount", "automount", "slice", "scope", "device", "path", "swap"}
_RESIDENT = re.compile(r"(?a)(?<![\w.-])\d{17}[\dXx](?![\w-])")
_CARD = re.compile(r"(?a)(?<![\w.-])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{13,19})(?![\w-])(?!\.\d)")
_ISSUERS = re.compile(r"62|4|5[1-5]|2[2-7]|3[4-7]|60|65|81")
_PHONE = re.compile(
    r"(?a)(?<![\w.+-])(?:\+\d(?:[ -]?\d){9,13}|(?:(?:0086|86)[ -]?)?1[3-9]\d(?:\d{8}|[ -]\d{4}[ -]\d{4}))"
    r"(?![\w-])(?!\.\d)(?![ \t]?(?:bytes|[KMGT]i?B|tokens|ns|us|ms|B)\b)"
)
_NAMED = re.compile(r"([\w.-]{1,40})[\"']?[ \t]{0,2}[:=][ \t]{0,2}[\"']?\Z")
_NAMES_OF_PHONES = re.compile(r"(?i)phone|mobile|tel|cell|contact|user|account|login|member|sms|from|to\Z|[^\x00-\x7f]")
_BIRTHDAY = re.compile(r"(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")


def mask(text: str) -> str:
    """``text`` without secrets, without what tells of people, without paths and internal addresses."""
    return _settled(lambda now: deidentify(_mask_once(now)), text)


def mask_secrets(text: str) -> str:
    """``text`` without passwords, tokens, keys, cookies, mail addresses, and numbers of phones, cards and persons."""
    return _settled(_mask_once, text)


def _settled(step: Callable[[str], str], text: str) -> str:
    """Repeat until nothing changes: what a mask has cut may leave a neighbour that reads differently without it."""
    for _ in range(8):
        before, text = text, step(text)
        if text == before:
            break
    return text


def _mask_once(text: str) -> str:
    text = _mask_key_ends(_PRIVATE_KEY.sub(SECRET, text))
    text = _USERINFO.sub(rf"\1{SECRET}@", text)
    text = _WEBHOOKS.sub(rf"\1{SECRET}", text)
    text = _AUTHORIZATION.sub(_mask_authorization, text)
    text = _COOKIE.sub(lambda found: found[1] + SECRET if _PAIR.match(found[2]) else found[0], text)
    text = _BARE_SCHEME.sub(lambda found: found[1] + found[2] + SECRET if _is_random(found[3], 8) else found[0], text)
    text = _JWT.sub(SECRET, text)
    text = _TOKENS.sub(SECRET, text)
    text = _mask_named(text)
    text = _EMAIL.sub(lambda found: found[0] if found[2].lower() in _UNITS else EMAIL, text)
    text = _RESIDENT.sub(lambda found: NUMBER if _is_resident(found[0]) else found[0], text)
    text = _CARD.sub(lambda found: NUMBER if _is_card(found[0]) else found[0], text)
    return _PHONE.sub(_mask_phone, text)


def _mask_key_ends(text: str) -> str:
    """Mask the last lines of private keys whose beginning is not there."""
    if _KEY_END.search(text) is None:
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        if _KEY_END.search(line):
            line = _KEY_END.sub(SECRET, line)
            while lines and _KEY_LINE.fullmatch(lines[-1]):
                del lines[-1]
        lines.append(line)
    return "\n".join(lines)


def _mask_authorization(found: re.Match[str]) -> str:
    head, scheme, value = found[1], found[2], found[3]
    if scheme is not None and scheme.lower() in _SCHEMES:
        return f"{head}{scheme} {SECRET}"
    words = value if scheme is None else f"{scheme} {value}"
    return head + SECRET if _is_random(words.split(maxsplit=1)[0] if words.split() else "", 8) else found[0]


def _mask_named(text: str) -> str:
    """Mask the values of names such as ``password``, ``api_key`` or ``--token``, however they are written."""
    parts, done, at = [], 0, 0
    while found := _NAME.search(text, at):
        at = found.end()
        kind = _kind_of(found[1])
        flag = found[3] is not None and text[max(0, found.start() - 2) : found.start()] == "--"
        if kind is None or not (found[2] or flag):
            continue
        head = _VALUE.match(text, at, at + _HEAD)
        if head is None:
            continue
        opening = head["open"] or ""
        loose = found[2] is not None and found[2] != found[2].strip() and not opening
        if _is_secret(kind, head[0][len(opening) :], loose=loose) and (value := _VALUE.match(text, at)):
            parts += [text[done:at], opening, SECRET]
            done = at = value.end()
    return "".join([*parts, text[done:]]) if parts else text


def _kind_of(name: str) -> str | None:
    """``always``, ``token`` or ``perhaps``: how surely the value of ``name`` is a secret; None: it is none."""
    if name.endswith(_CHINESE):
        return "always"
    words = [word.lower() for word in _CAMEL.split(name[-80:]) if word]
    if not words:
        return None
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _ALWAYS or (last == "key" and before in _KEYS):
        return "always"
    if last == "token":
        return None if before in _WORDS_OF_MODELS else "token"
    return "perhaps" if last in _PERHAPS else None


def _is_secret(kind: str, value: str, *, loose: bool) -> bool:
    """Whether a value is to be masked. ``loose``: it stands after a blank, as words do in a sentence."""
    if value == SECRET or _NOT_SECRET.fullmatch(value) or value.startswith(("/", "[path]")):
        return False
    if kind == "always":
        return True
    if kind == "token":
        return _is_random(value, 8) or not (loose or value.isdigit())
    return _is_random(value, 16)


def _is_random(value: str, least: int) -> bool:
    """Whether it looks like drawn by lot: long, and of letters and digits, or of both cases within a word."""
    if len(value) < least:
        return False
    digits = any(one.isdigit() for one in value)
    letters = any(one.isalpha() for one in value)
    mixed = len(value) >= 12 and any(one.isupper() for one in value[1:]) and any(one.islower() for one in value)
    return (digits and letters) or mixed or (len(value) >= 20 and digits)


def _is_resident(text: str) -> bool:
    """Whether it is the number of a Chinese identity card: a birthday in it, and its check digit right."""
    if not text[:17].isascii() or _BIRTHDAY.fullmatch(text[6:14]) is None:
        return False
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(text[:17]))
    return "10X98765432"[total % 11] == text[17].upper()


def _is_card(text: str) -> bool:
    """Whether it is the number of a bank card: an issuer's beginning, and Luhn's check digit right."""
    digits = [int(one) for one in text if one.isdigit()]
    if not 13 <= len(digits) <= 19 or _ISSUERS.match(text) is None:
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1


def _mask_phone(found: re.Match[str]) -> str:
    """A number under a name that is not of people (``size=``) is none of a phone."""
    named = _NAMED.search(found.string[max(0, found.start() - 48) : found.start()])
    plain = found[0].isdigit()
    return found[0] if plain and named is not None and _NAMES_OF_PHONES.search(named[1]) is None else NUMBER
