"""The words that rooms say and pages show: read from the source, so that none is forgotten when one is added."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from model import errors

ROOT = Path(__file__).resolve().parents[2]
#: Rooms whose reasons, suggestions, outcomes and progress reach the page.
SPEAKING = [
    *sorted((ROOT / "model").glob("*.py")),
    *sorted((ROOT / "targets" / "remedy").glob("*.py")),
    ROOT / "targets" / "roster.py",
    *(ROOT / name for name in ("ledger.py", "chronicle.py", "dashboard/health.py", "supervisor/verdict.py")),
]
#: Single functions of others that do so as well.
ALSO_SPEAKING = {
    "server.py": {"_compose", "_restart"},
    "supervisor/arbiter.py": {"murder_workers", "reap_workers"},
    "command_recovery.py": {"restart"},
}
#: What is said in these calls goes elsewhere: into the log, to who calls the API, to who writes code, or is no text.
_ELSEWHERE = {
    *(name for name, found in vars(errors).items() if isinstance(found, type)),
    "ValueError", "TypeError", "RuntimeError", "LookupError", "NotImplementedError", "SystemError", "AssertionError",
    "compile", "debug", "info", "warning", "error", "exception", "critical", "join", "startswith", "Field", "getLogger",
    "fail", "echo", "option", "Path", "getenv",
}  # fmt: skip
#: So are these functions' and names' own words.
_ALSO_ELSEWHERE = {"circumstances", "_STICKY"}
_CODE = re.compile(r"([a-z][a-z0-9_]*): (.+)", re.DOTALL)
_PLACE = re.compile(r"\{\d\}")


def spoken() -> set[str]:
    """Every text that is said: values as ``{0}``, and of a reason its code, and what comes after it."""
    found = set[str]()
    for node in _nodes():
        for text in map(_numbered, _texts(node)):
            while match := _CODE.fullmatch(text):
                found.add(match[1])
                text = _numbered(match[2])
            if " " in text and re.search(r"[A-Za-z]{2}", _PLACE.sub("", text)):
                found.add(text)
    return found


def _nodes() -> Iterator[ast.AST]:
    for file in SPEAKING:
        yield ast.parse(file.read_text(encoding="utf-8"))
    for name, functions in ALSO_SPEAKING.items():
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in functions:
                yield node


def _texts(node: ast.AST) -> Iterator[str]:
    """Texts below a node, whole: neither documentation nor what is said elsewhere."""
    if isinstance(node, ast.JoinedStr):
        yield _joined(node)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
        return
    if isinstance(node, ast.Assert) or (isinstance(node, ast.Call) and _name(node.func) in _ELSEWHERE):
        return
    if isinstance(node, ast.FunctionDef) and node.name in _ALSO_ELSEWHERE:
        return
    if isinstance(node, ast.Assign) and any(_name(target) in _ALSO_ELSEWHERE for target in node.targets):
        return
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from _texts(node.value)
        return
    for child in ast.iter_child_nodes(node):
        documentation = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if not documentation:
            yield from _texts(child)


def _joined(node: ast.JoinedStr) -> str:
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{x}" for part in node.values)


def _numbered(text: str) -> str:
    """Values as ``{0}``, ``{1}`` … in their order."""
    count = iter(range(10))
    return re.sub(r"\{\w+(:[^{}\"\s]*)?\}", lambda _: f"{{{next(count)}}}", text)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
