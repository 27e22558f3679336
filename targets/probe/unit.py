"""Asks systemd for a unit, where there is systemd."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from config_target import SystemdProbe
from targets.probe.outcome import Outcome

ABSENT = "systemd does not run this machine"
_PROPERTIES = ("LoadState", "ActiveState", "SubState", "Type", "Result")
_BOOTED = Path("/run/systemd/system")


def look(settings: SystemdProbe, *, program: str = "systemctl", booted: Path = _BOOTED) -> Outcome:
    """Ask once. ``booted`` is there where systemd runs (see sd_booted(3))."""
    began = time.monotonic()
    if not booted.exists():
        return Outcome(None, ABSENT)
    try:
        answer = subprocess.run(  # noqa: S603 - a list, no shell; the unit's name has no leading dash where it matters
            [program, "show", f"--property={','.join(_PROPERTIES)}", "--", settings.unit],
            capture_output=True,
            timeout=settings.timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except FileNotFoundError:
        return Outcome(None, ABSENT)
    except subprocess.TimeoutExpired:
        return Outcome(None, f"systemd gives no answer within {settings.timeout:g} s", time.monotonic() - began)
    except OSError as error:
        return Outcome(None, f"systemctl cannot be run: {error.strerror}")
    lines = answer.stdout.decode("utf-8", "replace").splitlines()
    facts = {name: value for name, _, value in (line.partition("=") for line in lines) if name in _PROPERTIES}
    seconds = time.monotonic() - began
    if answer.returncode != 0 or "ActiveState" not in facts:
        return Outcome(None, "systemd cannot be asked", seconds)
    success, reason = judge(facts)
    return Outcome(success, reason, seconds, facts)


def judge(facts: dict[str, str]) -> tuple[bool, str]:
    """Whether a unit is well, by its properties, and if not, why. A oneshot is well while its last run was."""
    active, sub, result = facts["ActiveState"], facts.get("SubState", ""), facts.get("Result", "")
    if facts.get("LoadState") in ("not-found", "masked", "bad-setting", "error"):
        return False, f"the unit is {facts['LoadState']}"
    if active in ("active", "reloading"):
        return True, ""
    if facts.get("Type") == "oneshot" and (active == "activating" or (active == "inactive" and result == "success")):
        return True, ""
    words = f"{active} ({sub})" if sub and sub != active else active
    return False, words if result in ("", "success") else f"{words}, because of {result}"
