"""The parts of a `Diagnosis`: how one network starts, as a reader or a program gets it.

Every format is made of one, and of nothing else.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from modelforge.core.errors import Place, Problem
from modelforge.core.quoting import shortened
from modelforge.core.words import where

FORMAT_VERSION = "1.3"
"""The minor number rises with additions, the major one with everything else."""
MAX_LEVELS = 240
"""Layers of all configs together; of more, this many at equal distances."""
MAX_TEXT = 300
DIGITS = 4
"""Significant digits of numbers."""
RANDOM = "random inputs"
"""What is measured on where no data is given: as predictions assume."""

Verdict = Literal["steady", "drifts", "vanishes", "explodes", "dead", "not finite", "unknown"]
Severity = Literal["none", "warning", "error"]
Number = Annotated[float, AfterValidator(lambda value: float(f"{value:.{DIGITS}g}"))]
Text = Annotated[str, AfterValidator(lambda value: shortened(value, MAX_TEXT))]
Count = Annotated[int, Field(ge=0)]


class Data(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Spot(Data):
    """Where something is written."""

    words: Text
    """File and line as a person reads them, or an override."""
    file: Text = ""
    """Empty for an override."""
    line: Count = 0
    source: Text = ""
    """The line itself."""

    @classmethod
    def of(cls, place: Place | None) -> Spot | None:
        """The spot of a place."""
        if place is None:
            return None
        return cls(words=where(place), file=place.file or "", line=place.line if place.file else 0, source=place.source)


class Energy(Data):
    """The mean square of a tensor."""

    energy: Number
    spread: Number | None = None
    """Standard deviation of its logarithm over draws: as predicted, or as measured over several seeds."""
    typical: Number | None = None
    """Of a predicted energy the geometric mean over draws, as measured ones are: below it, where draws scatter."""


class Level(Data):
    """One tensor: an input of the model, or what a layer gives."""

    path: Text
    type: Text
    key: Text = ""
    """Override key of the layer, which its copies share; empty for an input."""
    size: Count
    """Numbers that it holds for one example; 0 where that is not known."""
    copies: Annotated[int, Field(ge=1)] = 1
    """Layers of the same key whose paths differ in numbers alone, itself and those that are left out included."""
    signal: Energy | None = None
    """As predicted; null where it is not known."""
    gradient: Energy | None = None
    """Of the gradient with respect to it, as predicted: gradients of the outputs have an energy of 1."""
    measured_signal: Energy | None = None
    """The geometric mean over seeds; null where it was not measured."""
    measured_gradient: Energy | None = None
    not_finite: tuple[Literal["signal", "gradient"], ...] = ()
    """What was measured as NaN or infinity, and has no energy for that reason."""
    std: Number | None = None
    """Target std of the layer's weight."""
    chi: Number | None = None
    """Factor on the energy of gradients of an activation and the weights before it."""
    saturated: Number | None = None
    """Of an activation the share of inputs where it is flat."""
    dead: Number | None = None
    """Share of units with one value for the whole batch."""
    rank: Number | None = None
    """Effective rank: directions in which the examples vary."""
    note: Text = ""
    lost: Text = ""
    """Why the gradient that reaches it is not predicted; empty where it is, or where none does."""


class Repair(Data):
    """Initial values that keep the predicted energies, as overrides."""

    overrides: tuple[str, ...]
    """To be added to those of the config."""
    signal: tuple[Number | None, ...]
    """The energy of each level with them."""
    gradient: tuple[Number | None, ...]
    typical_signal: tuple[Number | None, ...]
    """Their geometric means over draws."""
    typical_gradient: tuple[Number | None, ...]


class Cause(Data):
    """What is most wrong, in one sentence."""

    verdict: Verdict
    severity: Severity
    sentence: str
    key: Text = ""
    """Override key of the init block to blame."""
    spot: Spot | None = None
    """Where that block is written."""


class Finding(Data):
    """A finding of the linter."""

    code: Text
    severity: Literal["warning", "error", "note"]
    message: str
    hint: str = ""
    spot: Spot | None = None

    @classmethod
    def of(cls, problem: Problem) -> Finding:
        """The finding of a problem."""
        return cls(
            code=problem.code,
            severity=problem.severity,
            message=problem.message,
            hint=problem.hint,
            spot=Spot.of(problem.place),
        )


class Ignored(Finding):
    """A finding that the model declares to be meant."""

    reason: str


class Block(Data):
    """A part of the network: a layer, or layers in one; copies that are alike are one block."""

    name: Text
    type: Text
    copies: Annotated[int, Field(ge=1)] = 1
    output: Text = ""
    reads: tuple[Text, ...] = ()
    """What it reads, where that is not what stands right before it."""
    levels: tuple[Count, ...] = ()
    """Of a layer: the levels of its copies."""
    children: tuple[Block, ...] = ()


class Histogram(Data):
    """How values are distributed."""

    path: Text
    kind: Literal["weights", "activations"]
    low: Number
    high: Number
    shares: tuple[Number, ...]
    """Of equal bins from `low` to `high`."""


class Spectrum(Data):
    """Eigenvalues of a recurrent matrix."""

    path: Text
    radius: Number
    eigenvalues: tuple[tuple[Number, Number], ...]
    """Real and imaginary parts."""


class Steps(Data):
    """Energies over time."""

    path: Text
    times: tuple[Count, ...]
    signal: tuple[Number | None, ...]
    gradient: tuple[Number | None, ...]


class Jacobian(Data):
    """Singular values of the derivative of the output with respect to the input."""

    outputs: Count
    inputs: Count
    exact: bool
    mean_square: Number | None
    values: tuple[Number, ...]
    """Largest first; of more than a hundred, those at equal distances."""


class EqualUnits(Data):
    """Units of a layer that start equal and get equal gradients, so that they stay equal."""

    path: Text
    """Of the weight."""
    num_units: Count
    num_distinct: Count
    """The number of units that the layer is worth."""


class Stuck(Data):
    """What training cannot change in the first network that was built, as the batch shows; of many the first ones."""

    equal_units: tuple[EqualUnits, ...] = ()
    zero_gradients: tuple[Text, ...] = ()
    """Parameters whose gradient is 0, also after one step."""
    unused: tuple[Text, ...] = ()
    """Parameters that the output does not depend on."""


class Measurement(Data):
    """What built networks do with a batch."""

    seeds: tuple[int, ...]
    batch: Count
    """Examples."""
    data: Text
    """Which batch, in words; `random inputs` where no data was given."""
    mode: Literal["train", "eval", "mixed"] = "train"
    """In which mode the network ran; predictions are for training."""
    jacobian: Jacobian | None = None
    spectra: tuple[Spectrum, ...] = ()
    steps: tuple[Steps, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    stuck: Stuck | None = None
    """Null where that was not looked for: it costs too much, or gradients are not finite."""

    @property
    def in_mode(self) -> str:
        """The mode in words, where predictions are for another."""
        modes = {"train": "", "eval": ", in evaluation", "mixed": ", partly in evaluation"}
        return modes[self.mode]


class Row(Data):
    """Parameters of the ledger that start alike: copies of one layer's."""

    path: Text
    """With `*` for the numbers of copies."""
    copies: Annotated[int, Field(ge=1)] = 1
    shape: Text
    scheme: Text
    rule: Text
    """Override key of the init block, or the default in words."""
    spot: Spot | None = None
    mean: Number | None
    std: Number | None
    """The targets; null where the scheme promises none."""
    measured_std: Number | None = None
    """Of the first copy."""
    failed: Count = 0
    """Copies whose values are not as promised."""


class Start(Data):
    """How one config starts."""

    label: Text
    num_parameters: Count
    num_layers: Count
    inputs: Text
    output: Text
    seed: int
    batch: Count
    """Examples that are predicted."""
    cause: Cause
    levels: tuple[Level, ...]
    num_levels: Count
    """Those that are left out included."""
    network: tuple[Block, ...] = ()
    measurement: Measurement | None = None
    unmeasured: Text = ""
    """Why nothing was measured."""
    repair: Repair | None = None
    unrepaired: Text = ""
    """Why there is no repair, where one would be of use."""
    findings: tuple[Finding, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    """Not among the findings, and never the cause."""
    ledger: tuple[Row, ...] = ()


def finite(value: float | None) -> float | None:
    """The number, or None where it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def spaced(number: int, most: int) -> list[int]:
    """Indices of at most so many of `number` items, at equal distances, the first and, of several, the last among them.

    >>> spaced(7, 3), spaced(2, 3), spaced(7, 1)
    ([0, 3, 6], [0, 1], [0])
    """
    if number <= most or most < 2:
        return list(range(min(number, most)))
    return sorted({round(index * (number - 1) / (most - 1)) for index in range(most)})
