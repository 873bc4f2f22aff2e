"""looks_ahead: a model that reads the token it is to tell would seem perfect, and have learned nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelforge.train.surroundings import evaluating


def looks_ahead(model: nn.Module, tokens: Tensor, vocab_size: int) -> int | None:
    """The first position whose answer depends on a later token; None if there is none.

    Example:
        >>> class Peek(nn.Module):
        ...     def forward(self, tokens):
        ...         return tokens.flip(1)[..., None].float()
        >>> looks_ahead(Peek(), torch.tensor([[1, 2, 3]]), 4)
        0

    Args:
        model: Maps tokens `(batch, positions)` to scores `(batch, positions, vocab_size)`.
        tokens: One example, `(1, positions)`.
        vocab_size: How many tokens there are.
    """
    changed = tokens.clone()
    changed[:, -1] = (changed[:, -1] + 1) % vocab_size
    with evaluating(model), torch.no_grad():
        before, after = (model(given)[0, :-1] for given in (tokens, changed))
    # In two passes over the same numbers, rounding may differ by a little.
    differs = ~torch.isclose(before, after, rtol=1e-4, atol=1e-6).flatten(1).all(1)
    return int(differs.nonzero()[0]) if bool(differs.any()) else None
