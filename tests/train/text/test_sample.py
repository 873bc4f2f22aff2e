"""Text that a model continues."""

from __future__ import annotations

import torch

from modelforge.train.text.sample import write
from tests.train.reader import Reader


def test_writing_is_a_function_of_its_seed():
    model = Reader(both=False).train()
    prompt = torch.tensor([1, 2, 3])
    first, again, other = (write(model, prompt, 30, temperature=1.0, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert set(first) <= set(range(5))
    cold = write(model, prompt, 30, temperature=0, seed=0)
    assert cold == write(model, prompt, 30, temperature=1e-6, seed=5)
    assert model.training
