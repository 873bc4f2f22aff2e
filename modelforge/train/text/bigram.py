"""`Bigram`: how often one token followed another, the least that a model of text must know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelforge.train.data.parts import Array

WEIGHTS = tuple(2.0**power for power in range(-6, 13))
"""Candidates for the weight of single tokens."""
HELD_OUT = 0.1
BLOCK = 2**20
"""Tokens that are looked at together: a text has more than memory has for several numbers of each."""


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
        tried = part._information(rest[:-1], rest[1:], WEIGHTS)
        return cls._count(tokens, vocab_size, WEIGHTS[int(np.argmin(tried))])

    @classmethod
    def _count(cls, tokens: Array, vocab_size: int, weight: float) -> Bigram:
        from scipy.sparse import csr_array

        table: Any = csr_array((vocab_size, vocab_size), dtype=np.int64)
        for start in range(0, len(tokens) - 1, BLOCK):
            block = tokens[start : start + BLOCK + 1].astype(np.int64)
            ones = np.ones(len(block) - 1, np.int64)
            table = table + csr_array((ones, (block[:-1], block[1:])), shape=table.shape)
        firsts = np.asarray(table.sum(axis=1))
        singles = firsts + 1
        singles[tokens[-1]] += 1
        table.sort_indices()
        before = np.repeat(np.arange(vocab_size), np.diff(table.indptr))
        return cls(before * vocab_size + table.indices, table.data, firsts, singles / singles.sum(), weight)

    def bits(self, before: Array, after: Array) -> float:
        """Mean information of the tokens `after`, each knowing the one `before`, in bits."""
        return float(self._information(before.ravel(), after.ravel(), (self.weight,))[0] / before.size)

    def _information(self, before: Array, after: Array, weights: Sequence[float]) -> Array:
        """The sum of it, for each of several weights of single tokens."""
        found = np.zeros(len(weights))
        for start in range(0, len(before), BLOCK):
            a, b = (tokens[start : start + BLOCK].astype(np.int64) for tokens in (before, after))
            wanted = a * len(self.singles) + b
            at = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
            seen = np.where(self.pairs[at] == wanted, self.counts[at], 0)
            for place, weight in enumerate(weights):
                chance = (seen + weight * self.singles[b]) / (self.firsts[a] + weight)
                found[place] -= np.log2(chance).sum()
        return found
