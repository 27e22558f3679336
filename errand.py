"""A program of its own: takes one word to one place and ends. The supervisor starts it and gives the order on stdin.

``{"errand": "notice", "url", "title", "body", "kind"}`` goes through Apprise, ``{"errand": "ping", "url", "body"}`` is
a GET, or a POST with a body. Exit status 0 when the other side took it; else 1 and why on stdout, without secrets.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from typing import Any

#: Seconds for one request; the supervisor ends the whole errand a little later.
PING_SECONDS = 10.0


def main() -> int:
    """Do what stdin says."""
    order = json.load(sys.stdin)
    problem = _notify(order) if order["errand"] == "notice" else _ping(order)
    if problem:
        print(problem.replace(order["url"], "***"))  # noqa: T201 - the answer to the supervisor
    return 1 if problem else 0


def _notify(order: dict[str, Any]) -> str:
    from alerts.delivery.receipt import DeliveryError
    from alerts.delivery.service import AppriseService, Letter
    from mask import deidentify

    try:
        letter = Letter(deidentify(order["title"]), deidentify(order["body"]), order["kind"])
        AppriseService(order["url"]).deliver(letter)
    except DeliveryError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything, and its text may hold the URL
        return f"the channel failed with {type(error).__name__}"
    return ""


def _ping(order: dict[str, Any]) -> str:
    body = None
    if order["body"]:
        from mask import deidentify

        body = deidentify(order["body"]).encode()
    request = urllib.request.Request(order["url"], data=body, headers={"User-Agent": "wakeless"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=PING_SECONDS):  # noqa: S310 - the settings allow HTTP only
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"the service answers {error.code}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return f"{type(reason).__name__}: {getattr(reason, 'strerror', None) or 'no connection'}"


if __name__ == "__main__":
    sys.exit(main())
