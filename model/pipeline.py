"""A Transformers pipeline as a model: ``transformers:TASK:FOLDER``. Transformers is an optional extra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from model.fault import LoadFailure
from model.interface import BadInput, Golden, Model

PREFIX = "transformers:"


class PipelineModel(Model):
    """One pipeline over texts. Takes text, a JSON string, or ``{"inputs": "…"}``."""

    def __init__(self, task: str, folder: Path) -> None:
        self.name = task
        self.version = folder.name
        self._task = task
        self._folder = folder

    def load(self, device: str) -> None:
        from transformers import pipeline

        # Only from the disk, and no weights that are code: nothing is fetched at run time.
        self._pipe = pipeline(
            self._task,
            model=str(self._folder),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
        self.network = self._pipe.model.eval()

    def decode(self, body: bytes, content_type: str) -> str:
        try:
            given: Any = body.decode() if content_type.startswith("text/") else orjson.loads(body)
        except (UnicodeDecodeError, orjson.JSONDecodeError) as error:
            raise BadInput(f"The body is neither text nor JSON: {error}.") from error
        text = given.get("inputs") if isinstance(given, dict) else given
        if not isinstance(text, str) or not text:
            raise BadInput('Send a text, a JSON string, or {"inputs": "…"}.', 422)
        return text

    def predict(self, batch: Sequence[str]) -> Sequence[Any]:
        return list(self._pipe(list(batch), batch_size=len(batch)))

    def encode(self, result: Any) -> Any:
        """A classification's label is the class."""
        if isinstance(result, list) and len(result) == 1:
            result = result[0]
        if isinstance(result, dict) and "label" in result:
            return {"class": result["label"], **{key: value for key, value in result.items() if key != "label"}}
        return result

    def describe(self, input: str) -> dict[str, Any]:
        return {"characters": len(input)}

    def golden(self) -> Sequence[Golden]:
        """Any answer to a short text: what a pipeline should say is not known here."""
        return [("hello", lambda answer: answer is not None)]


def resolve(path: str) -> Callable[[], Model]:
    """The pipeline of ``transformers:TASK:FOLDER``. Raises :class:`LoadFailure`."""
    task, _, place = path.removeprefix(PREFIX).partition(":")
    if not task or not place:
        raise LoadFailure(f"load_failed: bad_path {path}", "Write it as transformers:TASK:FOLDER.")
    folder = Path(place).expanduser()
    if not (folder / "config.json").is_file():
        raise LoadFailure(
            f"load_failed: no_such_folder {folder.name}",
            "Save the model there with save_pretrained: nothing is fetched from the network.",
        )
    try:
        import transformers  # noqa: F401
    except ImportError as error:
        raise LoadFailure(
            "load_failed: missing_dependency transformers", "pip install transformers into this environment."
        ) from error
    return lambda: PipelineModel(task, folder)
