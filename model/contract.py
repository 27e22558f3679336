"""What callers rely on: two versions side by side, and what differs between them that a caller could notice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from model.fault import LoadFailure, brief
from model.interface import Model
from model.loader import Instance
from model.signature import TensorSpec

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Contract:
    """What one version takes and gives. ``dtype``, ``classes`` and what is said of JSON are ``None`` where unknown."""

    name: str
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    dtype: str | None
    classes: frozenset[str] | None
    #: Content types of request bodies, and the fields of a result, as far as the model's schema names them.
    bodies: frozenset[str] | None
    fields: frozenset[str] | None


class Incompatible(LoadFailure):
    """A version that takes or gives something else than the one before. ``differs`` has a sentence for each."""

    def __init__(self, differs: Sequence[str]) -> None:
        super().__init__(
            f"incompatible: {'; '.join(differs)}", "Change the version, or switch to it with force if callers know."
        )
        self.differs = tuple(differs)


def contract_of(instance: Instance) -> Contract:
    """Asks the model. Raises :class:`LoadFailure` where it cannot say."""
    model = instance.model
    try:
        schema = model.schema()
        return Contract(
            name=instance.name,
            version=instance.version,
            inputs=tuple(model.inputs()),
            outputs=tuple(model.outputs()),
            dtype=instance.dtype,
            classes=_classes(model),
            bodies=None if schema is None else frozenset(schema.request),
            fields=None if schema is None else frozenset(schema.result.get("properties", ())) or None,
        )
    except Exception as error:  # a plug-in's own code
        raise LoadFailure(
            f"load_failed: signature {brief(error)}", "The model's inputs, outputs or schema raised."
        ) from error


def known_contract(instance: Instance) -> Contract | None:
    """As :func:`contract_of`; ``None`` where the model raises, which whoever asks for its signature is told."""
    try:
        return contract_of(instance)
    except LoadFailure as failure:
        log.warning("signature_raised", reason=failure.reason)
        return None


def accept(before: Contract | None, instance: Instance, *, force: bool) -> None:
    """Whether callers of the version before can live with this one. Raises :class:`Incompatible`."""
    found = [] if before is None else differences(before, contract_of(instance))
    if found and not force:
        raise Incompatible(found)
    if found:
        log.warning("version_forced", version=instance.version, differs=found)


def tell_apart(serving: Instance | None, instance: Instance) -> None:
    """Refuse two that would be counted and cached as one. Raises :class:`LoadFailure`."""
    if serving is not None and serving.version == instance.version:
        raise LoadFailure(
            f"same_version: both call themselves version {instance.version}",
            "Let the model say another version, or leave it to the name of its folder.",
        )


def differences(old: Contract, new: Contract) -> list[str]:
    """What a caller of ``old`` could notice of ``new``, a sentence for each; none if it is as good for every caller.

    More is no harm: sizes that were fixed and are free now, a further output or content type, a field more.
    """
    found = []
    if old.name != new.name:
        found.append(f"the model's name: {old.name}, now {new.name}")
    if old.version == new.version:
        found.append(f"both call themselves version {new.version}, so that numbers of the two could not be told apart")
    found += _tensors("input", old.inputs, new.inputs)
    found += _tensors("output", old.outputs, new.outputs)
    if old.dtype and new.dtype and old.dtype != new.dtype:
        found.append(f"the network's type: {old.dtype}, now {new.dtype}")
    found += _words("class", old.classes, new.classes, both_ways=True)
    found += _words("content type", old.bodies, new.bodies)
    found += _words("field of a result", old.fields, new.fields)
    return found


def _tensors(what: str, old: Sequence[TensorSpec], new: Sequence[TensorSpec]) -> list[str]:
    """Inputs may get wider, outputs narrower; both keep their names and types."""
    now, before = {spec.name: spec for spec in new}, {spec.name: spec for spec in old}
    found = [f"no {what} {name} any more" for name in before if name not in now]
    if what == "input":  # an output more is nothing that a caller has to care about
        found += [f"a new input {name}, which callers do not send" for name in now if name not in before]
    for name, spec in before.items():
        if name not in now:
            continue
        wide, narrow = (now[name], spec) if what == "input" else (spec, now[name])
        if spec.datatype != now[name].datatype or not wide.admits(narrow.shape):
            found.append(f"{what} {name}: {_said(spec)}, now {_said(now[name])}")
    return found


def _words(what: str, old: frozenset[str] | None, new: frozenset[str] | None, *, both_ways: bool = False) -> list[str]:
    if old is None or new is None:
        return []
    found = [f"no {what} {word} any more" for word in sorted(old - new)]
    if both_ways:
        found += [f"a new {what} {word}" for word in sorted(new - old)]
    return found


def _said(spec: TensorSpec) -> str:
    return f"{spec.datatype} {list(spec.shape)}"


def _classes(model: Model) -> frozenset[str] | None:
    """A plug-in may have anything under this name; a list of words is what is meant."""
    found = getattr(model, "classes", None)
    if not isinstance(found, (list, tuple)) or not found or not all(isinstance(one, str) for one in found):
        return None
    return frozenset(found)
