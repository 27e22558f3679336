"""The runbook: what to do about each alert, as a page that needs no internet."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from flask import Blueprint, render_template
from markupsafe import Markup

from alerts.rule import PROFILES, STOCK_FILE, Rule, load_rules
from dashboard.access import require
from dashboard.i18n import current_language
from dashboard.problem import Problem

blueprint = Blueprint("runbook", __name__)

FILE = Path(__file__).resolve().parent.parent / "docs" / "runbook.md"
#: A section's address is the name of its rule, as it is.
_HEADINGS = {"toc": {"slugify": lambda text, separator: text.replace(" ", separator)}}
_OTHER_FILE = re.compile(r"\[([^\]]+)\]\([^)#]+\.md[^)]*\)")
_SECTION = re.compile(r"^## (\w+)$", re.MULTILINE)


@blueprint.get("/runbook")
@require("viewer")
def runbook() -> str:
    """All of it; ``#NameOfTheRule`` leads to a section."""
    if not FILE.exists():
        raise Problem(404, "not-found", "docs/runbook.md is not installed here.")
    return render_template("runbook.html", text=_rendered(current_language()))


@cache
def _rendered(language: str) -> Markup:
    # Imported when somebody looks: a server that is well never needs it.
    import markdown

    text = _OTHER_FILE.sub(r"\1", FILE.read_text(encoding="utf-8"))
    if language == "zh":
        said = _in_chinese()
        text = _SECTION.sub(lambda heading: f"{heading[0]}\n{said.get(heading[1], '')}\n", text)
    text = text.replace("\n**", "  \n**")  # a line of its own for each part
    # S704: the text is ours, and comes with the program.
    return Markup(markdown.markdown(text, extensions=["toc"], extension_configs=_HEADINGS))  # noqa: S704


def _in_chinese() -> dict[str, str]:
    """What the stock rules and profiles say of themselves in Chinese, where that is the same for every alert."""
    found = {}
    files = (STOCK_FILE, *sorted(PROFILES.glob("*.yml")))
    for group in (group for file in files for group in load_rules(file)):
        for rule in group.rules:
            if isinstance(rule, Rule):
                texts = [rule.annotations[name] for name in ("description_zh", "action_zh")]
                found[rule.name] = "\n\n".join(f"> {one.text}" for one in texts if one.is_constant)
    return found
