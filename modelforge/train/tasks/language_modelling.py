"""`LanguageModelling`: which token comes next, at each position."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, distributed, nn

from modelforge.building.shards import is_spread
from modelforge.core.errors import Problem
from modelforge.core.files import write_atomically
from modelforge.core.quoting import printable
from modelforge.core.rng import narrow
from modelforge.core.words import digits, plural
from modelforge.modules.hooks import evaluating
from modelforge.train.data.batches import Batch, Batched
from modelforge.train.data.parts import Array, Examples, Part, Text
from modelforge.train.data.vocabulary import vocabulary_of
from modelforge.train.tasks.classification import information, mean_information, num_counted
from modelforge.train.tasks.registry import register_task
from modelforge.train.tasks.task import Data, Task, first_wrong, widened, wrong_shape
from modelforge.train.text.bigram import Bigram
from modelforge.train.text.sample import write

if TYPE_CHECKING:
    from torchmetrics import Metric

SAMPLE = "sample.txt"
NUM_WINDOWS = 1024
"""Windows that a bigram model reads at once."""


@register_task("language_modelling")
class LanguageModelling(Task):
    """Cross entropy in nats, and the same in bits, per token, of scores `(batch, positions, vocab_size)`."""

    target_kind: ClassVar = "token"
    metric: ClassVar = "bits"
    lower_is_better: ClassVar = ("loss", "bits", "bits_per_byte", "bigram_bits")

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return mean_information(outputs, batch[1])

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return information(outputs, batch[1])

    def weight(self, batch: Batch) -> Tensor:
        """The windows; a token below 0, which does not count, is missing in its own."""
        return num_counted(batch[1])

    def wrong_targets(self, targets: Array, data: Data) -> str:
        if reason := wrong_shape(targets, data.positions):
            return reason
        if not (wrong := targets >= data.num_outputs).any():
            return ""
        row, value = first_wrong(targets, wrong)
        return f"the target must hold tokens below {data.num_outputs}, but has {value} in {row}"

    def meter(self, data: Data) -> Metric:
        from torchmetrics import MeanMetric

        return MeanMetric(nan_strategy=math.nan)  # `disable` leaves out the weights

    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        meter.update(mean_information(outputs, batch[1]) / math.log(2), num_counted(batch[1]))

    def scored(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return widened(outputs).softmax(-1).movedim(-1, 1), batch[1]  # as of a classification

    def predictions(self, outputs: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """The likeliest next token after each window, as text where the tokens are of a text, and its probability."""
        chances, best = (found.numpy() for found in torch.softmax(outputs[:, -1].double(), -1).max(-1))
        if (vocabulary := vocabulary_of(fitted)) is None:
            return {"prediction": best, "probability": chances}
        return {"prediction": np.array([vocabulary.decode([token]) for token in best.tolist()]), "probability": chances}

    def reason(self, data: Data) -> str:
        return f"each of {plural(data.positions[0], 'token')} is followed by one of {data.num_outputs}"

    def check(self, model: nn.Module, examples: Examples, data: Data) -> Iterator[Problem]:
        """The problem of a model that reads the token to predict: it would seem perfect, and learn nothing."""
        tokens, _ = Batched(examples.train).__getitems__([0])
        assert isinstance(tokens, Tensor), "text is one input"
        position = looks_ahead(model, tokens, data.num_outputs)
        if position is not None:
            message = f"the model looks ahead: its output at position {position} depends on a later token"
            hint = "mask its attention, or read in one direction only"
            yield Problem("MF050", "model.layers", message, hint, part="key")

    def finish(
        self,
        model: nn.Module,
        examples: Examples,
        metrics: Mapping[str, float],
        *,
        seed: int,
        folder: Path,
        console: Console,
    ) -> Mapping[str, float]:
        """Lets the model continue the test part, measures a bigram model on it, and gives bits per byte."""
        if (text := examples.text) is None:
            return {}
        if text.num_sampled:
            before, _ = examples.test.batch(np.zeros(1, np.int64))
            assert not isinstance(before, tuple), "text is one input"
            prompt = torch.from_numpy(before[0]).to(next(model.parameters()).device)
            tokens = write(model, prompt, text.num_sampled, temperature=text.temperature, seed=narrow(seed))
            written = text.vocabulary.decode(tokens)
            write_atomically(folder / SAMPLE, f"{text.vocabulary.decode(before[0])}{written}\n")
            console.print("the model goes on from the beginning of the test:", style="dim")
            console.print(printable(written, "\n\t"), markup=False, highlight=False, soft_wrap=True)
        if distributed.is_available() and distributed.is_initialized() and distributed.get_rank():
            return {}  # the metrics are those of the first process
        found = {"test/bigram_bits": bigram_bits(text, examples.test)}
        if "test/bits" in metrics:
            found["test/bits_per_byte"] = metrics["test/bits"] / text.bytes_per_token
        return found

    def results(self, metrics: Mapping[str, float], examples: Examples) -> Iterator[str]:
        yield from super().results(metrics, examples)
        if examples.text and examples.text.bytes_per_token != 1 and (bits := metrics.get("test/bits_per_byte")):
            yield f"{digits(bits)} per byte"
        if (bits := metrics.get("test/bigram_bits")) is not None:
            yield f"{digits(bits)} by a bigram model"

    def metric_in_words(self, examples: Examples) -> str:
        return f"bits per {examples.text.vocabulary.unit if examples.text else 'token'}"


def bigram_bits(text: Text, part: Part) -> float:
    """The bits per token of a bigram model of a text, on a part of as many windows as there are, a few at once."""
    model, total, size = Bigram.fit(text.tokens, text.vocabulary.size), 0.0, 0
    for first in range(0, len(part), NUM_WINDOWS):
        before, after = part.batch(np.arange(first, min(first + NUM_WINDOWS, len(part))))
        assert not isinstance(before, tuple), "text is one input"
        total, size = total + model.bits(before, after) * after.size, size + after.size
    return total / size


def looks_ahead(model: nn.Module, tokens: Tensor, vocab_size: int) -> int | None:
    """The first position whose output depends on a later token; None if there is none.

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
    with evaluating(model), torch.no_grad():
        positions = [*_differing(model, tokens, vocab_size)]
        with _scattered(model):
            positions += _differing(model, tokens, vocab_size)
    return min(positions, default=None)


def _differing(model: nn.Module, tokens: Tensor, vocab_size: int) -> Iterator[int]:
    """The first position whose output changes with what follows a cut, for each cut where there is one."""
    before, middle = model(tokens)[0], tokens.shape[1] // 2
    # Of two cuts side by side, one lies within a block that is read together; the last positions may be in none.
    for cut in sorted({middle, middle + 1, tokens.shape[1] - 1}):
        if not 0 < cut < tokens.shape[1]:
            continue
        changed = tokens.clone()
        changed[:, cut:] = (changed[:, cut:] + 1) % vocab_size
        after = model(changed)[0]
        # In two passes over the same numbers, rounding may differ by a little.
        equal = torch.isclose(before[:cut], after[:cut], rtol=1e-4, atol=1e-6, equal_nan=True).flatten(1).all(1)
        if not bool(equal.all()):
            yield int((~equal).nonzero()[0])


@contextmanager
def _scattered(model: nn.Module) -> Generator[None]:
    """Moves weights that are trained off values that hide what depends on what, such as zeros at a branch's end.

    Afterwards they are as before. Those of a sharded model stay: it remembers what it gathered of them.
    """
    kept: list[tuple[Tensor, Tensor]] = []
    try:
        for weight in model.parameters():
            if not weight.requires_grad or weight.dtype.itemsize < 2 or is_spread(weight):
                continue
            kept.append((weight, weight.clone()))
            generator = torch.Generator(weight.device).manual_seed(len(kept))
            size = weight[0].numel() if weight.ndim > 1 and len(weight) else 1
            noise = torch.empty_like(weight).normal_(std=max(size, 100) ** -0.5, generator=generator)
            weight.add_(noise)
        yield
    finally:
        for weight, before in kept:
            weight.copy_(before)
