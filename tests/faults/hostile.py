"""What the world sends to an open port: attacks on every door. Nothing in it is a sound request but by accident."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.faults import impostor, intruder, prowler
from tests.faults.attack import Attack

_MODEL = (impostor.images, impostor.bodies, impostor.documents(), impostor.odd_json, impostor.binary, impostor.openers)
_HTTP = (intruder.headed(), intruder.huge, intruder.lines, intruder.framed, intruder.forms, intruder.slow)
_PAGES = (prowler.asked(), prowler.upgraded)

#: All of them; what gets furthest in comes more often.
attacks: st.SearchStrategy[Attack] = st.one_of(
    *_MODEL, *_HTTP, *_PAGES, impostor.images, impostor.images, impostor.documents(), impostor.binary, prowler.asked()
)
