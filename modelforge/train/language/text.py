"""`Text`: tokens, and what they stand for. NumPy only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modelforge.train.data.parts import Array


@dataclass(frozen=True)
class Text:
    """The tokens to train on; without an alphabet they are bytes.

    Example:
        >>> import numpy as np
        >>> Text(np.array([1, 0, 1]), ("a", "b")).decode([0, 1]), Text(np.array([104]), ()).decode([104, 105])
        ('ab', 'hi')
    """

    tokens: Array
    alphabet: tuple[str, ...]

    @property
    def unit(self) -> str:
        """What a token is."""
        return "character" if self.alphabet else "byte"

    @property
    def vocab_size(self) -> int:
        """How many different tokens there can be."""
        return len(self.alphabet) or 256

    def decode(self, tokens: Iterable[int]) -> str:
        """What tokens stand for; bytes that are no UTF-8 become a question mark in a box."""
        if self.alphabet:
            return "".join(self.alphabet[token] for token in tokens)
        return bytes(tokens).decode(errors="replace")
