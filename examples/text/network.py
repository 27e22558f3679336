"""The network: what the next token may be, given those before it."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from examples.text.grammar import VOCABULARY, split

WIDTH: Final = 128
_NUMBERS: Final = {token: number for number, token in enumerate(VOCABULARY)}


class TextNetwork(nn.Module):
    """One gated recurrent layer over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(VOCABULARY), 48)
        self.recur = nn.GRU(48, WIDTH, batch_first=True)
        self.score = nn.Linear(WIDTH, len(VOCABULARY))
        # The update gates begin by keeping the state, half of them for 4 tokens and more, some for 20: a layer that
        # begins by forgetting does not learn to carry a word from one sentence into the next.
        with torch.no_grad():
            self.recur.get_parameter("bias_ih_l0")[WIDTH : 2 * WIDTH].copy_(torch.linspace(0, 3, WIDTH))

    def forward(self, tokens: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Tokens (n, length) and the state (1, n, WIDTH) before them; scores (n, length, vocabulary), state after."""
        seen, state = self.recur(self.embed(tokens), state)
        return self.score(seen), state


def to_tokens(text: str) -> Tensor:
    """(length,) int64. Raises ``KeyError`` with a token that is not in ``VOCABULARY``."""
    return torch.tensor([_NUMBERS[token] for token in split(text)])
