"""write: a trained model of text → text of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelforge.modules.hooks import evaluating


def write(model: nn.Module, prompt: Tensor, number: int, *, temperature: float, seed: int) -> list[int]:
    """Draws token after token, each by the scores of the last position of a window.

    Args:
        model: Maps tokens `(batch, positions)` to scores `(batch, positions, vocab_size)`.
        prompt: The window to begin with, `(positions,)`; every later one is as long.
        number: How many tokens to write.
        temperature: What the scores are divided by; 0 takes the likeliest.
        seed: Key of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    window, written = prompt, list[int]()
    with evaluating(model), torch.no_grad():
        for _ in range(number):
            scores = model(window[None])[0, -1].double().cpu()
            token = _draw(scores, temperature, generator)
            written.append(token)
            window = torch.cat([window[1:], window.new_tensor([token])])
    return written


def _draw(scores: Tensor, temperature: float, generator: torch.Generator) -> int:
    if temperature == 0:
        return int(scores.argmax())
    return int(torch.multinomial(torch.softmax(scores / temperature, 0), 1, generator=generator))
