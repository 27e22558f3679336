"""What a module offers that is no ``Model`` and can be hosted all the same: a network or a function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from model.interface import Model
from model.network import Card, Network, NetworkModel


class FunctionModel(Model):
    """A function from a list of JSON documents to a list of answers, one for each."""

    def __init__(self, function: Callable[[list[Any]], Sequence[Any]], name: str) -> None:
        self.name = name
        self._function = function

    def load(self, device: str) -> None:
        """There is nothing to load: the module did it."""

    def predict(self, batch: Sequence[Any]) -> Sequence[Any]:
        return self._function(list(batch))


def maker(found: object, name: str) -> Callable[[], Model] | None:
    """What makes a model of ``found``; None for anything that is neither a network nor a function."""
    torch: Any = sys.modules.get("torch")  # a module that offers a network has imported it
    kind = torch.nn.Module if torch is not None else ()
    if isinstance(found, kind) or (isinstance(found, type) and issubclass(found, kind)):
        return lambda: NetworkModel(lambda device: _network(found, device), Card(name=name))
    if callable(found) and not isinstance(found, type):
        return lambda: FunctionModel(found, name)
    return None


def _network(found: Any, device: str) -> Network:
    module = (found() if isinstance(found, type) else found).to(device).eval()
    return Network(call=module, module=module)
