"""Through the plug-in's own code on the request's thread: a few decode at once, and what they raise is told apart."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import structlog

from model.answer import Payload, class_of
from model.call import Calls
from model.canary import Canary
from model.errors import DeadlineExceeded, DecodeFailed, InferenceFailed, OutOfMemory, Refusal
from model.exchange import Exchange, Order
from model.fault import brief, classify
from model.interface import BadInput, Model
from model.loader import Instance
from model.result import NotJson, has_nan, to_json
from pause import off_loop, on_loop

log = structlog.get_logger(__name__)

#: All of the plug-in's code that a request's thread may run.
_ON_THE_WAY = ("decode", "encode", "bucket", "describe", "fallback", "lighter")
#: Steps that work on what the caller sent: when they raise, the input has brought it about.
_BEFORE_THE_MODEL = ("decode", "bucket", "lighter")


Asked = ParamSpec("Asked")
Found = TypeVar("Found")


def _beside_loop(
    step: Callable[Concatenate[Codec, Instance, Asked], Found],
) -> Callable[Concatenate[Codec, Instance, Asked], Found]:
    """Run a step of the plug-in's own beside an event loop that asks for it, as a switch may bring one at any time."""

    @wraps(step)
    def run(codec: Codec, instance: Instance, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Found:
        if not on_loop() or only_predicts(instance.model):
            return step(codec, instance, *args, **kwargs)
        return off_loop(lambda: step(codec, instance, *args, **kwargs))

    return run


class Codec:
    """Makes inputs of requests and answers of results, as the model does. Any thread may ask."""

    def __init__(self, clock: Callable[[], float], *, reject_nan: bool, canary: Canary | None = None) -> None:
        self._clock = clock
        self._reject_nan = reject_nan
        self._canary = canary
        #: What runs of the plug-in's code on requests' threads, and of loads.
        self.calls = Calls(clock)
        # A decoded image is many times its file: hundreds of threads must not hold one each while they wait for a core.
        self._decoders = threading.BoundedSemaphore(2 * (os.cpu_count() or 1))

    @_beside_loop
    def read(
        self, instance: Instance, exchange: Exchange[Any], deadline: float, request_id: str
    ) -> tuple[Order, dict[str, Any]]:
        """What a request asks for, and facts about it that are safe to log. Raises :class:`BadInput`, ``Refusal``."""
        with self._decoding(deadline), self._translated("decode", request_id):
            order = exchange.read(instance.model)
            one = len(order.inputs) == 1
            return order, instance.model.describe(order.inputs[0]) if one else {"inputs": len(order.inputs)}

    @_beside_loop
    def bucket(self, instance: Instance, given: Any, request_id: str) -> Hashable:
        """What kind of batch an input fits into. Raises a ``Refusal``."""
        if type(instance.model).bucket is Model.bucket:
            return None
        with self._translated("bucket", request_id):
            found = instance.model.bucket(given)
            hash(found)  # here it is the model's failure, in the queue it would be everybody's
            return found

    @_beside_loop
    def lightened(self, instance: Instance, inputs: Sequence[Any], level: float, request_id: str) -> Sequence[Any]:
        """The inputs with less to do. Raises :class:`BadInput` or a ``Refusal``."""
        with self._translated("lighter", request_id):
            return [instance.model.lighter(given, level) for given in inputs]

    @_beside_loop
    def written(
        self, instance: Instance, exchange: Exchange[Payload], results: Sequence[Any], request_id: str
    ) -> tuple[Payload, str | None]:
        """The answer, and the class that it names if it is one result. Raises :class:`BadInput` or a ``Refusal``."""
        with self._translated("encode", request_id):
            found = exchange.present(instance.model, results)
            if self._canary is not None and self._canary.instance is not None:
                self._canary.answered(instance, nan=any(has_nan(result) for result in found))
            self._refuse_nan(found, request_id)
            return exchange.write(instance.model, found), class_of(found[0]) if len(found) == 1 else None

    @_beside_loop
    def fallback(self, instance: Instance, inputs: Sequence[Any], request_id: str) -> list[Any]:
        """What the model says without computing. Raises whatever it raises; ``LookupError`` where that is nothing."""
        with self.calls.running("fallback", request_id):
            return [instance.model.fallback(given) for given in inputs]

    def encoded(self, instance: Instance, step: Any, request_id: str) -> bytes:
        """What one event of a stream carries. Raises :class:`BadInput` or a ``Refusal``."""
        with self._translated("encode", request_id):
            found = instance.model.encode(step)
            self._refuse_nan([found], request_id)
            return to_json(found)

    @contextmanager
    def _translated(self, step: str, request_id: str) -> Iterator[None]:
        """Around code of the plug-in: what it raises beside :class:`BadInput` is its own failure, nobody else's."""
        number = self.calls.enter(step, request_id)
        try:
            yield
        except (BadInput, Refusal):
            raise
        except NotJson as error:
            log.error("result_is_not_json", request_id=request_id, error=str(error))
            raise InferenceFailed(
                f"The model's result is nothing that JSON can carry: {error}.",
                reason=error.reason,
                suggestion=error.suggestion,
            ) from error
        except BaseException as error:  # also SystemExit, which gunicorn would take for its own
            if classify(error) == "memory":
                raise OutOfMemory("This input needs more memory than there is.", reason="out_of_memory") from error
            log.exception(f"{step}_raised", request_id=request_id)
            kind = DecodeFailed if step in _BEFORE_THE_MODEL else InferenceFailed
            raise kind(f"The model's {step} failed.", reason=brief(error)) from error
        finally:
            self.calls.leave(number)

    @contextmanager
    def _decoding(self, deadline: float) -> Iterator[None]:
        """Wait for one of the few places in which inputs are decoded. Raises :class:`DeadlineExceeded`."""
        if on_loop():  # which decodes one at a time as it is, and must not wait
            yield
            return
        if not self._decoders.acquire(timeout=max(0.0, deadline - self._clock())):
            raise DeadlineExceeded("The deadline passed before the input could be decoded.", retry_after_seconds=1.0)
        try:
            yield
        finally:
            self._decoders.release()

    def _refuse_nan(self, results: Sequence[Any], request_id: str) -> None:
        """Raises :class:`InferenceFailed` for NaN in what ``encode`` returned, where the settings say so."""
        if self._reject_nan and any(has_nan(result) for result in results):
            log.error("result_has_nan", request_id=request_id)
            raise InferenceFailed("The model's result has NaN in it.", reason="nan", suggestion="Look at its weights.")


def only_predicts(model: Model) -> bool:
    """Whether a model leaves all to the defaults that requests' threads would run of its code."""
    return _leaves_all(type(model)) and vars(model).keys().isdisjoint(_ON_THE_WAY)


@lru_cache(maxsize=2)
def _leaves_all(kind: type[Model]) -> bool:
    """Asked for every request; kept for two, as each load of a folder makes a new class with its module behind it."""
    return all(getattr(kind, name) is getattr(Model, name) for name in _ON_THE_WAY)


def can_be_lighter(model: Model) -> bool:
    """Whether the model has a way to do with less."""
    return type(model).lighter is not Model.lighter
