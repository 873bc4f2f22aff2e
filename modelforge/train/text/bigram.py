"""`Bigram`: how often one token followed another, the least that a model of text must know."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from modelforge.train.data.parts import Array

WEIGHTS = tuple(2.0**power for power in range(-6, 13))
"""Candidates for the weight of single tokens."""
HELD_OUT = 0.1


@dataclass(frozen=True)
class Bigram:
    """Counts of pairs, mixed with those of single tokens.

    Formula: p(b | a) = (n(a, b) + w · p(b)) / (n(a) + w), with p(b) = (n(b) + 1) / (n + vocab_size)
    Source: MacKay & Bauman Peto 1995, "A hierarchical Dirichlet language model"; w is the one of `WEIGHTS` with which
    nine tenths of the training text predict the last tenth best.
    """

    pairs: Array
    """Numbers of the pairs that occur, sorted: `a * vocab_size + b`."""
    counts: Array
    """How often each occurs."""
    firsts: Array
    """How often each token is followed by any."""
    singles: Array
    """p(b)."""
    weight: float

    @classmethod
    def fit(cls, tokens: Array, vocab_size: int) -> Bigram:
        """Counts a text.

        Example:
            >>> model = Bigram.fit(np.array([0, 1] * 500), 2)
            >>> bool(model.bits(np.array([0, 1]), np.array([1, 0])) < 0.01)
            True
        """
        cut = max(2, round(len(tokens) * (1 - HELD_OUT)))
        part, rest = cls._count(tokens[:cut], vocab_size, 1.0), tokens[cut - 1 :]
        if len(rest) < 2:
            return cls._count(tokens, vocab_size, 1.0)
        tried = {replace(part, weight=weight).bits(rest[:-1], rest[1:]): weight for weight in WEIGHTS}
        return cls._count(tokens, vocab_size, tried[min(tried)])

    @classmethod
    def _count(cls, tokens: Array, vocab_size: int, weight: float) -> Bigram:
        tokens = tokens.astype(np.int64)
        pairs, counts = np.unique(tokens[:-1] * vocab_size + tokens[1:], return_counts=True)
        singles = (np.bincount(tokens, minlength=vocab_size) + 1) / (len(tokens) + vocab_size)
        return cls(pairs, counts, np.bincount(tokens[:-1], minlength=vocab_size), singles, weight)

    def bits(self, before: Array, after: Array) -> float:
        """Mean information of the tokens `after`, each knowing the one `before`, in bits."""
        before, after = before.astype(np.int64).ravel(), after.astype(np.int64).ravel()
        wanted = before * len(self.singles) + after
        at = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
        seen = np.where(self.pairs[at] == wanted, self.counts[at], 0)
        chance = (seen + self.weight * self.singles[after]) / (self.firsts[before] + self.weight)
        return float(-np.log2(chance).mean())
