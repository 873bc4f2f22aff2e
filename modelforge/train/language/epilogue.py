"""What a training of a model of text begins and ends with, besides the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn

from modelforge.core.errors import Problem
from modelforge.core.files import write_atomically
from modelforge.core.rng import narrow
from modelforge.core.words import printable
from modelforge.train.data.batches import Batched
from modelforge.train.data.parts import Examples
from modelforge.train.data.text import TextFiles
from modelforge.train.language.bigram import Bigram
from modelforge.train.language.causal import looks_ahead
from modelforge.train.language.sample import write

SAMPLE = "sample.txt"


def check_causal(model: nn.Module, source: TextFiles, examples: Examples) -> Problem | None:
    """What is wrong with a model that knows what it is to tell."""
    tokens, _ = Batched(examples.train).__getitems__([0])
    assert not isinstance(tokens, tuple), "text is one input"
    position = looks_ahead(model, tokens, source.vocab_size)
    if position is None:
        return None
    message = f"the model looks ahead: what it says at position {position} depends on a later token"
    return Problem("MF050", "model.layers", message, "mask its attention, or read in one direction only", part="key")


def compare(examples: Examples) -> dict[str, float]:
    """What a table of pairs needs for the text that the model was tested on."""
    assert examples.text is not None
    before, after = examples.test.batch(np.arange(len(examples.test)))
    assert not isinstance(before, tuple), "text is one input"
    return {"test/bigram_bits": Bigram.fit(examples.text.tokens, examples.text.vocab_size).bits(before, after)}


def sample(
    model: nn.Module, source: TextFiles, examples: Examples, *, seed: int, folder: Path, console: Console
) -> None:
    """Lets the model go on from where the test part begins; prints that, and keeps it in the run's folder."""
    if not source.sample:
        return
    assert examples.text is not None
    inputs, _ = examples.test.batch(np.arange(1))
    prompt = torch.from_numpy(inputs[0]).to(next(model.parameters()).device)
    written = write(model, prompt, source.sample, temperature=source.temperature, seed=narrow(seed))
    text = examples.text.decode(written)
    write_atomically(folder / SAMPLE, f"{examples.text.decode(inputs[0])}{text}\n")
    console.print("the model goes on from the beginning of the test:", style="dim")
    console.print(printable(text, "\n\t"), markup=False, highlight=False, soft_wrap=True)
