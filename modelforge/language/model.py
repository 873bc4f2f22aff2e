"""`ModelSpec`: a whole model as declared, with the `init` group and the seed it starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sized
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt

from modelforge.config.origins import Origins
from modelforge.core.complaints import all_wrong, too_large, wrong
from modelforge.core.frozen import FrozenDict, Node, Seed
from modelforge.core.limits import MAX_DIMENSIONS, MAX_ENDS, MAX_NAME, MAX_SIZE
from modelforge.core.quoting import quoted
from modelforge.core.shown import Shown
from modelforge.core.words import plural
from modelforge.language.init import Init, InitSpec
from modelforge.language.layer import NAME, check_reference
from modelforge.language.lint import LintSpec
from modelforge.language.nested import Layers
from modelforge.language.weights import WeightsSpec
from modelforge.report.as_yaml import as_yaml

ParameterDType = Literal["float32", "float64", "bfloat16", "float16"]
DType = Literal["float32", "int64", "int32", "int16", "int8", "uint8", "bool"]


def _parse_sizes(raw: Any) -> Any:
    sizes: tuple[Any, ...] = tuple(raw) if isinstance(raw, list | tuple) else (None,)
    if len(sizes) > MAX_DIMENSIONS:
        raise wrong("MF060", f"`shape` may have {MAX_DIMENSIONS} dimensions at most, but has {len(sizes):,}")
    if not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in sizes):
        raise wrong("MF014", f"`shape` must be a list of sizes, but is {quoted(raw)}")
    if any(size > MAX_SIZE for size in sizes):
        raise too_large(MAX_SIZE, sizes)
    return sizes


class TensorSpec(Node):
    """What one input is, per example: the batch is implied."""

    shape: Annotated[tuple[NonNegativeInt, ...], BeforeValidator(_parse_sizes)]
    """Sizes of one example; a batch of them has one more dimension in front."""
    dtype: DType = "float32"
    """A torch dtype by name. Floating-point inputs are float32, as parameters are; `build(dtype=...)` changes both."""


def _check_number(section: str, named: Sized) -> None:
    if len(named) > MAX_ENDS:
        raise wrong("MF060", f"`{section}` may name {MAX_ENDS:,} at most, but names {len(named):,}")


def _name_inputs(raw: Any) -> Any:
    if not isinstance(raw, Mapping) or not raw:
        hint = "write `input: {shape: [8, 8]}`, or `input: {left: {shape: ...}, right: ...}`"
        raise wrong("MF014", f"`input` must say what comes in, but is {quoted(raw)}", hint)
    if any(name in raw for name in TensorSpec.model_fields):
        return {"input": raw}
    _check_number("input", raw)
    named = {str(name): value for name, value in raw.items()}
    if bad := [name for name in named if not NAME.fullmatch(name) or len(name) > MAX_NAME]:
        raise all_wrong(((name,), wrong("MF016", f"`{name}` cannot name an input", part="key")) for name in bad)
    return named


def _parse_outputs(raw: Any) -> Any:
    hint, is_list = "write `outputs: {logits: head, features: trunk}`", isinstance(raw, list | tuple)
    hint += (
        '; a name that is a number in quotes: `["3"]`' if is_list and any(isinstance(one, int) for one in raw) else ""
    )
    if not raw or not (all(isinstance(name, str) for name in raw) if is_list else isinstance(raw, Mapping)):
        raise wrong("MF014", f"`outputs` must name what comes out, but is {quoted(raw)}", hint)
    _check_number("outputs", raw)
    pairs = [(name, name) for name in raw] if is_list else [(str(name), source) for name, source in raw.items()]
    for _, reference in pairs:
        check_reference(reference)
    names = Counter(name for name, _ in pairs)
    if twice := [name for name, number in names.items() if number > 1]:
        message = f"`outputs` must give each output a name of its own, but {quoted(twice[0])} is twice"
        raise wrong("MF014", message, hint)
    if "" in names:
        raise wrong("MF014", f"`outputs` must name what comes out, but is {quoted(raw)}", hint)
    return dict(pairs)


def _parse_ties(raw: Any) -> Any:
    if not isinstance(raw, Mapping) or not all(isinstance(path, str) for path in (*raw, *raw.values())):
        message = f"`tie` must be a mapping from a parameter to the one it is, but is {quoted(raw)}"
        raise wrong("MF014", message, "write `tie: {head.weight: embed.weight}`")
    return dict(raw)


Outputs = Annotated[dict[str, str], BeforeValidator(_parse_outputs), AfterValidator(FrozenDict)]


class ModelSpec(Shown, Node):
    """The `model` section of a config, the `init` group as its outermost default, the `weights` group, and the seed."""

    input: Annotated[dict[str, TensorSpec], BeforeValidator(_name_inputs), AfterValidator(FrozenDict)]
    """What comes in: one `{shape, dtype}`, or several by name."""
    layers: Layers
    """The layers by name, in execution order; the last one's output is the model's."""
    outputs: Outputs | None = None
    """What comes out, by name: `{logits: head, state: rnn.1}`; default the last layer's output."""
    tie: Annotated[dict[str, str], BeforeValidator(_parse_ties), AfterValidator(FrozenDict)] = FrozenDict()
    """Parameters that are one: `{head.weight: embed.weight}` uses the embedding's as the head's."""
    init: Init | None = None
    """How parameters start unless a layer says otherwise."""
    lint: LintSpec | None = None
    """Findings of `mf.lint` that are meant."""
    default_init: Annotated[InitSpec | None, Field(exclude=True)] = None
    """The `init` config group."""
    weights: Annotated[WeightsSpec | None, Field(exclude=True)] = None
    """The `weights` config group: a file of values, before every init block."""
    dtype: Annotated[ParameterDType | None, Field(exclude=True)] = None
    """Of parameters and buffers; default the layers' own, float32."""
    seed: Annotated[Seed, Field(exclude=True)] = 0
    """Key of all random numbers."""
    dropped: Annotated[frozenset[str], Field(exclude=True)] = frozenset()
    """Names of layers that their `when` leaves out."""
    origins: Annotated[Any, Field(exclude=True, repr=False)] = Origins.empty()
    """Where every key was written."""

    def to_dict(self) -> dict[str, Any]:
        """The spec as a config; `parse` of it gives an equal spec."""
        model = self.model_dump(mode="json", exclude_unset=True)
        if list(self.input) == ["input"]:
            model["input"] = model["input"]["input"]
        config: dict[str, Any] = {"model": model, "seed": self.seed}
        if self.dtype is not None:
            config["dtype"] = self.dtype
        if self.default_init is not None:
            config["init"] = self.default_init.model_dump(mode="json")
        if self.weights is not None:
            config["weights"] = self.weights.model_dump(mode="json")
        return config

    def __str__(self) -> str:
        return as_yaml(self.to_dict())

    def _brief(self) -> str:
        return f"{plural(len(self.layers), 'layer')}, seed {self.seed}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelSpec) and self.to_dict() == other.to_dict()

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # layers hold values that need not hash
