"""Networks in files: ``torch.export`` programs (``.pt2``) and TorchScript (``.pt``, ``.ts``).

Both carry code: load only what you trust.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from model.fault import LoadFailure, brief
from model.network import Network, Spec

EXPORTED = (".pt2",)
SCRIPTED = (".pt", ".ts", ".torchscript")
SUFFIXES = EXPORTED + SCRIPTED


def open_file(path: Path, device: str) -> Network:
    """Load a network onto ``device``. Raises :class:`LoadFailure`; runs on the model's threads."""
    if not path.is_file():
        raise LoadFailure(f"load_failed: no_such_file {path.name}", "Correct model.path, or put the file there.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is deprecated, its files are there
            return _exported(path, device) if path.suffix in EXPORTED else _scripted(path, device)
    except LoadFailure:
        raise
    except (RuntimeError, ValueError, OSError, EOFError, KeyError) as error:
        kind = "a torch.export program" if path.suffix in EXPORTED else "a TorchScript file"
        if "memory" in str(error).lower():
            raise
        raise LoadFailure(
            f"load_failed: unreadable_weights {brief(error)}",
            f"{path.name} is not {kind} that this torch can read: it is cut short, or something else.",
        ) from error


def _scripted(path: Path, device: str) -> Network:
    import torch

    module = torch.jit.load(path, map_location=device).eval()  # type: ignore[no-untyped-call]
    return Network(call=module, module=module)


def _exported(path: Path, device: str) -> Network:
    import torch

    program = torch.export.load(path)
    if device != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    inputs = [
        node.meta["val"]
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs
    ]
    if len(inputs) != 1 or not inputs[0].shape:
        raise LoadFailure(
            f"load_failed: {len(inputs)}_inputs",
            "The program must take one tensor with the batch as its first dimension; for others write a class.",
        )
    batch, *shape = inputs[0].shape
    spec = Spec(str(inputs[0].dtype).removeprefix("torch."), tuple(_size(one) for one in shape))
    # An exported module refuses eval(): its mode was chosen when it was exported. So the host does not see it.
    return Network(
        call=program.module(),
        spec=spec,
        batch=batch if isinstance(batch, int) else None,
        example=_example(program),
    )


def _size(one: Any) -> int:
    return one if isinstance(one, int) else -1


def _example(program: Any) -> Any:
    """The first row of the batch that it was exported with."""
    given = program.example_inputs
    tensor = given[0][0] if given and given[0] else None
    return None if tensor is None or not len(tensor) else tensor[0].detach().cpu().numpy()
