"""The ledger is a proof: spoiled fills × schemes × sizes are caught, and sound ones of every scheme never are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from modelforge import inits
from modelforge.building import draw, tolerances
from modelforge.building.shards import shard_of
from modelforge.building.tolerances import check
from modelforge.inits import Fill, Matrix
from modelforge.inits.fills import Whole
from modelforge.inits.laws import tails
from modelforge.inits.schemes.identity import Diagonal
from modelforge.planning.assign import ParameterPlan
from tests.inits.case import Case
from tests.inits.catalogue import CASES

NORMAL = {"scheme": "normal", "std": 0.02}
UNIFORM = {"scheme": "uniform", "low": -0.5, "high": 0.5}
CUT = {"scheme": "truncated_normal", "std": 0.02}
ORTHOGONAL = {"scheme": "orthogonal"}


@dataclass(frozen=True)
class Spoiled:
    """What is wrong with a fill, and from which size on it is caught in each of some seeds."""

    name: str
    spoil: Callable[[Tensor, torch.Generator], object]
    caught_from: Mapping[str, tuple[int, int]]
    """The least size, by scheme."""


def like(values: Tensor, other: Tensor) -> None:
    """Other values with the same standard deviation and mean."""
    values.copy_((other - other.mean()) / other.std(correction=0) * values.std(correction=0) + values.mean())


def gaussian(values: Tensor, generator: torch.Generator) -> None:
    like(values, torch.empty_like(values).normal_(generator=generator))


def flat(values: Tensor, generator: torch.Generator) -> None:
    like(values, torch.empty_like(values).uniform_(generator=generator))


def signs(values: Tensor, generator: torch.Generator) -> None:
    values.copy_(torch.empty_like(values).uniform_(-1, 1, generator=generator).sign() * values.std(correction=0))


def laplace(values: Tensor, generator: torch.Generator) -> None:
    u = torch.empty_like(values).uniform_(-0.999999, 0.999999, generator=generator)
    like(values, -u.sign() * (1 - u.abs()).log())


def lopsided(values: Tensor, generator: torch.Generator) -> None:
    like(values, torch.empty_like(values).exponential_(generator=generator))


def equal_rows(values: Tensor, generator: torch.Generator) -> None:
    values[1] = values[0]


def one_row(values: Tensor, generator: torch.Generator) -> None:
    values[:] = values[0].clone()


def loud_row(values: Tensor, generator: torch.Generator) -> None:
    values[0] *= 3


def silent_row(values: Tensor, generator: torch.Generator) -> None:
    values[0] = 0


def one_outside(values: Tensor, generator: torch.Generator) -> None:
    values.view(-1)[0] = 1.001 * values.abs().max() + 0.6 * values.abs().max()


def far_out(values: Tensor, generator: torch.Generator) -> None:
    values.view(-1)[0] = 12 * values.std(correction=0)


def one_nan(values: Tensor, generator: torch.Generator) -> None:
    values.view(-1)[0] = float("nan")


def scaled(factor: float) -> Callable[[Tensor, torch.Generator], object]:
    return lambda values, generator: values.mul_(factor)


def moved(values: Tensor, generator: torch.Generator) -> None:
    values.add_(0.5 * values.std(correction=0))


def all_zero(values: Tensor, generator: torch.Generator) -> None:
    values.zero_()


Size = tuple[int, int]


def sizes(normal: Size | None, uniform: Size | None, cut: Size | None, orthogonal: Size | None) -> dict[str, Size]:
    """By scheme; None where it is never caught, or not worth a row."""
    given = {"normal": normal, "uniform": uniform, "truncated_normal": cut, "orthogonal": orthogonal}
    return {name: size for name, size in given.items() if size is not None}


TINY, SMALL, MIDDLE = (8, 8), (32, 32), (128, 128)
TABLE = [
    Spoiled("a Gaussian", gaussian, sizes(None, SMALL, SMALL, TINY)),
    Spoiled("a uniform law", flat, sizes(SMALL, None, SMALL, TINY)),
    Spoiled("two values", signs, sizes(TINY, TINY, TINY, TINY)),
    # Its tails are heavier, and as rare: thousands of values tell it from a normal law.
    Spoiled("a Laplace law", laplace, sizes(MIDDLE, SMALL, SMALL, TINY)),
    Spoiled("a lopsided law", lopsided, sizes(SMALL, SMALL, SMALL, TINY)),
    Spoiled("two equal rows", equal_rows, sizes((2, 4), (2, 4), (2, 4), (2, 4))),
    Spoiled("one row everywhere", one_row, sizes((3, 2), (3, 2), (3, 2), (3, 2))),
    Spoiled("a loud row", loud_row, sizes((8, 64), (8, 16), (8, 16), TINY)),
    Spoiled("a silent row", silent_row, sizes((8, 32), (8, 32), (8, 32), (8, 32))),
    Spoiled("one value outside", one_outside, sizes(None, SMALL, SMALL, TINY)),
    Spoiled("one value far out", far_out, sizes(TINY, TINY, TINY, TINY)),
    Spoiled("a NaN", one_nan, sizes((1, 1), (1, 1), (1, 1), (1, 1))),
    # Fisher information: to tell σ from 1.1σ but for 1e-10 on one side and 1 % on the other takes
    # (6.4 + 2.3)² / (2 · ln² 1.1) = 4,200 normal values. Bounds tell more.
    Spoiled("10 % more", scaled(1.1), sizes((72, 72), SMALL, (64, 64), (1, 1))),
    Spoiled("10 % less", scaled(0.9), sizes((72, 72), SMALL, (64, 64), (1, 1))),
    Spoiled("twice as much", scaled(2.0), sizes((12, 12), TINY, TINY, (1, 1))),
    Spoiled("moved by half a std", moved, sizes((20, 20), TINY, (20, 20), TINY)),
    Spoiled("zeros", all_zero, sizes((2, 8), (2, 8), (2, 8), (1, 1))),
]
SCHEMES = {"normal": NORMAL, "uniform": UNIFORM, "truncated_normal": CUT, "orthogonal": ORTHOGONAL}
ROWS = [
    pytest.param(row, scheme, size, id=f"{row.name}-{scheme}-{size}")
    for row in TABLE
    for scheme, least in row.caught_from.items()
    for size in dict.fromkeys((least, (128, 128)))
    if size[0] * size[1] >= least[0] * least[1]
]
UNDETECTABLE = {
    ("a Laplace law", "normal"): "below some 10,000 values: the greatest of them is as likely under either law",
    ("10 % more", "normal"): "below some 4,200 values a sound sample is off by as much once in 1e10 times",
    ("one value outside", "normal"): "it has no bounds",
}
"""What no check finds in smaller samples, or never, and why."""


def planned(config: Mapping[str, Any], block: Matrix) -> ParameterPlan:
    scheme = inits.create(config)
    fill = scheme.resolve(block)
    return ParameterPlan(
        "p", "p", block.shape, "float32", block.role, (), scheme, ((block, fill),), fill.mean, fill.std
    )


@pytest.mark.parametrize(("row", "scheme", "size"), ROWS)
def test_what_is_spoiled_is_caught(row: Spoiled, scheme: str, size: tuple[int, int], monkeypatch):
    item = planned(SCHEMES[scheme], Matrix(size, float(size[1]), float(size[0])))
    sound = Fill.draw_

    def spoiled(self: Any, out: Tensor, *rest: Any) -> None:
        sound(self, out, *rest)
        row.spoil(out.view(size), torch.Generator().manual_seed(7))

    monkeypatch.setattr(Fill, "draw_", spoiled)
    for seed in range(3):
        (tally,) = draw.draw([item], {"p": shard_of(torch.empty(size))}, seed)["p"]
        found = check([tally], torch.float32)
        assert found.verdict == "fail", f"seed {seed}"
        assert found.reason


def test_what_is_beyond_each_size_has_a_reason():
    assert all(reason for reason in UNDETECTABLE.values())
    assert {name for name, _ in UNDETECTABLE} <= {row.name for row in TABLE}


# --- what each scheme fixes -------------------------------------------------------------------------------------------


def other_columns(values: Tensor, generator: torch.Generator) -> None:
    values.copy_(values.roll(1, -1) if values.ndim else values)


def two_exchanged(values: Tensor, generator: torch.Generator) -> None:
    flat = values.view(-1)
    least, greatest = int(flat.argmin()), int(flat.argmax())
    flat[[least, greatest]] = flat[[greatest, least]]


def one_other(values: Tensor, generator: torch.Generator) -> None:
    values.view(-1)[values.numel() // 3] += 0.1 * (float(values.abs().max()) or 1.0)


def one_sign(values: Tensor, generator: torch.Generator) -> None:
    flat = values.view(-1)
    flat[int(flat.abs().argmax())].neg_()


def ones(values: Tensor, generator: torch.Generator) -> None:
    values.fill_(1)


KINDS = {
    "other columns": other_columns,
    "two exchanged": two_exchanged,
    "one other": one_other,
    "one sign": one_sign,
    "scaled": scaled(1.5),
    "zeros": all_zero,
    "ones": ones,
    "a Gaussian": gaussian,
}
ALL = frozenset(KINDS)
AT_LEAST: Mapping[str, tuple[frozenset[str], str]] = {
    "conv_orthogonal": (ALL - {"other columns"}, "two taps the other way round"),
    "delta_orthogonal": (ALL, "another random matrix at the centre"),
    "icnr": (ALL - {"other columns"}, "taps in another order, alike in all copies: the law does not know them"),
    "looks_linear": (ALL - {"other columns"}, "columns that move around, and so mirror one another again"),
    "mimetic": (ALL - {"other columns"}, "columns in another order, in each projection alone; heads of one row"),
    "orthogonal": (ALL - {"other columns"}, "columns in another order: as orthogonal"),
    "sparse": (frozenset({"scaled", "zeros", "ones"}), "another value or place of a weight that is kept"),
    "a law": (frozenset({"scaled", "zeros", "ones"}), "values in another order, and what one of them may be as well"),
}
"""What is seen of each scheme's blocks at least, and what is not; of a scheme that draws nothing, every change is."""
UNSEEN = {
    "chrono": "that b_i = -b_f: the two gates are looked at one by one",
    "uniform_gate": "the same",
    "mimetic": "that queries and keys make one matrix together: they may be parameters of their own",
}


class Spoiler:
    """A fill whose values are spoiled after it made them."""

    def __init__(self, fill: Any, spoil: Callable[[Tensor, torch.Generator], object], shape: tuple[int, ...]) -> None:
        self._fill, self._spoil, self._shape = fill, spoil, shape
        self.changed = self.touched = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fill, name)

    def draw_(self, out: Tensor, key: Any) -> None:
        self._fill.draw_(out, key)
        before = out.clone()
        self._spoil(out.view(self._shape), torch.Generator().manual_seed(7))
        self.touched |= not torch.equal(before, out)
        self.changed |= not torch.allclose(before, out, rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_seen_of_each_scheme(case: Case, kind: str):
    for name, given in case.matrices.items():
        block = replace(given, start=0)
        item = planned(case.config, block)
        fill = item.fills[0][1]
        spoiler = Spoiler(fill, KINDS[kind], block.shape)
        item = replace(item, fills=((block, spoiler),))
        tallies = draw.draw([item], {"p": shard_of(torch.empty(block.shape))}, 0)["p"]
        seen = check(tallies, torch.float32).verdict == "fail"
        least, _ = AT_LEAST.get(item.scheme, AT_LEAST["a law"])
        if fill.promise.deterministic:
            # Between them lies what rounding may do.
            assert spoiler.changed <= seen <= spoiler.touched, name
        elif kind in least and spoiler.changed and min(block.shape[:2]) > 4 and "as many heads" not in name:
            assert seen, name


def test_every_scheme_that_draws_has_its_row():
    drawn = {case.config["scheme"]: type(fill.drawn_by) for case in CASES for fill in fills(case)}
    structured = {
        inits.get(name).scheme
        for name, cls in drawn.items()
        if issubclass(cls, Whole) and cls.strays is not Whole.strays
    }
    exact = {case.config["scheme"] for case in CASES if all(fill.promise.deterministic for fill in fills(case))}
    assert structured - {inits.get(name).scheme for name in exact} - {"bilinear"} <= AT_LEAST.keys()
    assert all(why for _, why in AT_LEAST.values())
    assert {*UNSEEN} <= {*inits.names()}


def fills(case: Case) -> list[Any]:
    return [case.initializer.resolve(block) for block in case.matrices.values()]


def test_what_was_seen_before_a_parametrisation_took_it_counts(monkeypatch):
    from torch import nn
    from torch.nn.utils import parametrizations

    import modelforge as mf

    net = parametrizations.weight_norm(nn.Linear(6, 6))
    assert mf.initialize(net, "eye").ok
    sound = Diagonal.fill

    def permuted(self: Any, out: Tensor, *rest: Any) -> None:
        sound(self, out, *rest)
        out.copy_(out.roll(1, 0))

    monkeypatch.setattr(Diagonal, "fill", permuted)
    entry = mf.initialize(net, "eye")["weight"]
    assert (entry.verdict, entry.reason) == ("fail", "12 values that are not those of its formula")


def test_a_padding_row_that_was_written_shows(monkeypatch):
    from modelforge.building.shards import Shard

    fixed = Matrix((1, 4), 4.0, 4.0, start=2, fixed=0.0)
    free = [Matrix((2, 4), 4.0, 4.0), Matrix((6, 4), 4.0, 4.0, start=3)]
    whole = planned(NORMAL, free[0])
    zero = planned({"scheme": "constant", "value": 0.0}, fixed)
    pairs = (whole.fills[0], zero.fills[0], (free[1], whole.fills[0][1]))
    item = replace(whole, shape=(9, 4), fills=pairs)
    sound = check(draw.draw([item], {"p": shard_of(torch.empty(9, 4))}, 0)["p"], torch.float32)
    assert sound.verdict == "pass"
    # The memory of a row of zeros that something else has written to.
    memory = Shard.memory
    monkeypatch.setattr(
        Shard, "memory", lambda self, start, stop: [part.add_(start == 8) for part in memory(self, start, stop)]
    )
    spoiled = check(draw.draw([item], {"p": shard_of(torch.empty(9, 4))}, 0)["p"], torch.float32)
    assert spoiled.reason == "4 values that are not those of its formula"


@pytest.mark.parametrize("value", [1e-40, 3e-45, 1e-6, -1e30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_a_constant_of_any_size_is_no_failure(value: float, dtype: torch.dtype):
    if abs(value) > torch.finfo(dtype).max:
        pytest.skip("too large to draw in a test")
    item = planned({"scheme": "constant", "value": value}, Matrix((8, 8), 8.0, 8.0))
    values = torch.empty(8, 8, dtype=dtype)
    assert check(draw.draw([item], {"p": shard_of(values)}, 0)["p"], dtype).verdict == "pass"


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_no_scheme_is_accused_falsely(case: Case, dtype: torch.dtype):
    """Every registered scheme that draws, on each block of its table."""
    for name, block in {**case.matrices, **case.empty}.items():
        item = planned(case.config, block)
        for seed in range(3):
            values = torch.full(block.shape, torch.nan, dtype=dtype)
            tallies = draw.draw([item], {"p": shard_of(values)}, seed)["p"]
            found = check(tallies, dtype)
            assert found.verdict == "pass", f"{name}, seed {seed}: {found}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "config", [NORMAL, UNIFORM, CUT, {"scheme": "sparse", "sparsity": 0.7, "std": 0.1}, ORTHOGONAL], ids=str
)
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (8, 8), (30, 30)], ids=str)
def test_bounds_are_as_sure_as_they_say(config, size, monkeypatch):
    """At odds that a test can see: each of some 16 bounds is left with a probability of exp(-7) at most."""
    monkeypatch.setattr(tolerances, "LOG_ODDS", 7.0)
    monkeypatch.setattr(tails, "LOG_ODDS", 7.0)
    monkeypatch.setattr(tolerances, "limits", lambda law, count, odds=7.0: tails.limits(law, count, odds))
    item = planned(config, Matrix(size, float(size[1]), float(size[0])))
    accused = 0
    for seed in range(200):
        tallies = draw.draw([item], {"p": shard_of(torch.empty(size))}, seed)["p"]
        accused += check(tallies, torch.float32).verdict == "fail"
    # 200 · 16 · exp(-7) = 2.9; Poisson: above 14 with a probability of 1e-6
    assert accused <= 14


def test_values_of_one_kind_have_one_mean():
    """The measured deviation of an exact scheme is about its target mean: of one value it is not 0."""
    from torch import nn

    import modelforge as mf

    entry = mf.initialize(nn.Linear(1, 1), "orthogonal")["weight"]
    assert (entry.target_std, entry.measured_std, entry.verdict) == (1.0, 1.0, "pass")
    net = nn.Linear(1, 1)
    net.weight.data.zero_()
    assert mf.initialize(net, "keep")["weight"].verdict == "unpromised"
