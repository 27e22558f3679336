"""What must not leave the house in a notice: file paths, internal addresses, internal host names."""

from __future__ import annotations

import re
from ipaddress import ip_address

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
