"""verify: a model and its ledger → whether each parameter still has the values of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any, Literal

import torch
from rich.console import RenderableType
from rich.text import Text
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from modelforge.building.aliasing import overlaps_itself, shared
from modelforge.building.checksum import checksum_of, digest_of, parts_of, whole_of
from modelforge.building.entries import LedgerEntry
from modelforge.building.ledger import Ledger
from modelforge.building.shards import over_processes, shard_of
from modelforge.core.complaints import require
from modelforge.core.errors import Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.quoting import quoted
from modelforge.core.shown import Shown
from modelforge.core.words import a_class, plural
from modelforge.modules.hooks import as_written
from modelforge.modules.parametrised import plain
from modelforge.report.aligned import PATH
from modelforge.report.table import Fitted, to_text

State = Literal["same", "changed", "elsewhere", "failed", "missing", "unknown", "untied", "tied", "misstated"]
"""`elsewhere`: it has the values of another row; `failed`: its values never were as promised; `unknown`: the ledger has
no row of it; `untied`: one of its other names is a parameter of its own; `tied`: it is the parameter of another row,
or shares its memory; `misstated`: it has its values, but its row contradicts the config."""

VALUES = ("path", "shape", "dtype", "aliases", "digest", "verdict")
"""Parts of a row that can be compared with a model; the others say how the model came to its values."""
UNPLANNED = ("place", "measured_mean", "measured_std")
"""Parts in which a new build may differ: places in files that are gone, and sums in another order."""
ROWS = tuple(name for name in LedgerEntry.__dataclass_fields__ if name not in UNPLANNED)
"""Parts of a row that a new build from the same config has too."""


def verification_table(states: Mapping[str, State]) -> RenderableType:
    """The state of each parameter."""
    styles = {"same": "green"}
    body = [(Text(path), Text(state, styles.get(state, "bold red"))) for path, state in states.items()]
    return Fitted(("parameter", "state"), body, right=(), folds={0: PATH}, steps=((0, 12),))


@dataclass(frozen=True, repr=False)
class Verification(Shown):
    """The state of each parameter of a ledger; prints as a table."""

    states: Mapping[str, State]
    """By path, in the order of the ledger; unknown parameters come last."""
    problems: tuple[Problem, ...]
    compared: tuple[str, ...] = VALUES
    """The parts of the ledger's rows that were compared."""

    @property
    def ok(self) -> bool:
        """Whether every parameter is there, as the ledger says, and no other."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        problems = [problem.to_dict() for problem in self.problems]
        compared = [*self.compared]
        return {"ok": self.ok, "compared": compared, "parameters": dict(self.states), "problems": problems}

    def table(self) -> str:
        """The report as a text table."""
        return to_text(verification_table(self.states))

    def __str__(self) -> str:
        return self.table()

    def _brief(self) -> str:
        return f"{plural(len(self.states), 'parameter')}, {plural(len(self.problems), 'problem')}"


def verify(model: nn.Module, ledger: Ledger | None = None) -> Verification:
    """Compares each parameter with the digest in its ledger: an edit, a swap, a tie, an untied name, an addition shows.

    The scheme, rule and targets of a row cannot be seen in a model; `modelforge verify RUN` compares them with the
    run's config. Nothing is changed. A parametrised tensor counts as the parameter, as in `mf.initialize`. Buffers are
    not compared. Where parameters are sharded, all processes must call it.

    Args:
        model: A model that was built or initialised.
        ledger: Its ledger; default the one that a built model keeps.

    Returns:
        The report: `.ok`, `.problems`, and the state of each parameter. A parameter that failed its check when it was
        filled is a problem too.

    Raises:
        TypeError: `model` is not a module, or `ledger` not a ledger and the model keeps none.

    Example:
        >>> import torch, modelforge as mf
        >>> net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        >>> ledger = mf.initialize(net, "orthogonal")
        >>> verify(net, ledger).ok
        True
        >>> with torch.no_grad():
        ...     _ = net[0].weight[1, 2].add_(0.1)
        >>> verify(net, ledger).problems[0].message
        '`0.weight` is not what the ledger says: its values were changed'
    """
    require(model, nn.Module, "verify takes an nn.Module")
    known = ledger if ledger is not None else getattr(model, "ledger", None)
    if not isinstance(known, Ledger):
        raise TypeError(f"ledger must be a Ledger, as `initialize` gives, but is {a_class(known)}")
    with as_written(model) as written, plain(written):
        return compare(dict(written.named_parameters(remove_duplicate=False)), known, ties=True)


def compare(tensors: Mapping[str, Tensor], ledger: Ledger, *, ties: bool = False) -> Verification:
    """Compares tensors, under all their names, with a ledger.

    Args:
        tensors: Parameters of a model or of a checkpoint.
        ledger: Their ledger.
        ties: Whether the names of a tied parameter must be one tensor, and not only equal values, and those of others
            several.
    """
    # Equal constants are everywhere: they tell nothing of where values come from.
    homes = {(entry.digest, entry.shape, entry.dtype): entry.path for entry in ledger if entry.measured_std != 0}
    owners: dict[int, str] = {}
    lent = _lent(tensors) if ties else {}
    states: dict[str, State] = {}
    problems: list[Problem] = []
    for entry in ledger:
        names = [name for name in (entry.path, *entry.aliases) if name in tensors]
        state, message = _state(entry, names, tensors, homes, ties=ties)
        owner = owners.setdefault(id(tensors[names[0]]), entry.path) if names else entry.path
        if ties and state == "same" and owner != entry.path:
            state, message = (
                "tied",
                f"`{entry.path}` and `{owner}` are two parameters in the ledger, but one in the model",
            )
        if state == "same" and (lender := next((lent[name] for name in names if name in lent), None)):
            state, message = (
                "tied",
                f"`{entry.path}` and `{lender}` are two parameters in the ledger, but share memory in the model",
            )
        states[entry.path] = state
        if state != "same":
            code = _CODES.get(state, "MF065")
            problems.append(Problem(code, entry.path, message, place=entry.place, part="parameter"))
    named = {name for entry in ledger for name in (entry.path, *entry.aliases)}
    for name in tensors:
        if name not in named:
            states[name] = "unknown"
            problems.append(Problem("MF067", name, f"the ledger has no row of `{name}`"))
    return Verification(FrozenDict(states), tuple(problems))


def compare_rows(verification: Verification, ledger: Ledger, built: Ledger) -> Verification:
    """Adds the differences between a ledger and that of a new build from the same config.

    Args:
        verification: The comparison of values.
        ledger: The ledger that is verified.
        built: The ledger of the new build.
    """
    states, problems = dict(verification.states), [*verification.problems]
    if ledger.seed != built.seed:
        problems.append(Problem("MF069", "seed", f"the ledger's seed is {ledger.seed}, but the config's {built.seed}"))
    if dict(ledger.buffers) != dict(built.buffers):
        problems.append(Problem("MF069", "buffers", "the ledger and the config name different buffers from files"))
    rows = {row.path: row for row in built}
    for row in ledger:
        planned = rows.get(row.path)
        if planned is None or states[row.path] != "same":
            continue
        if differences := [*_differences(row, planned)]:
            states[row.path] = "misstated"
            message = f"the ledger's row of `{row.path}` contradicts its config: {'; '.join(differences)}"
            problems.append(Problem("MF069", row.path, message, place=row.place, part="parameter"))
    return Verification(FrozenDict(states), tuple(problems), ("seed", "buffers", *ROWS))


def _differences(row: LedgerEntry, planned: LedgerEntry) -> Iterator[str]:
    for name in ROWS:
        said, known = getattr(row, name), getattr(planned, name)
        if not _equal(said, known):
            yield f"`{name}` is {quoted(said)}, but should be {quoted(known)}"
    for name in ("measured_mean", "measured_std"):
        said, known = getattr(row, name), getattr(planned, name)
        scale = max(planned.target_std or 0.0, abs(planned.measured_mean or 0.0), planned.measured_std or 0.0)
        if (said is None) != (known is None) or (known is not None and not abs(said - known) <= 1e-6 * scale):
            yield f"`{name}` is {quoted(said)}, but is {quoted(known)} for these values"


def _equal(said: Any, known: Any) -> bool:
    """Whether two values are equal, numbers up to differences between versions of a library."""
    if isinstance(said, Mapping) and isinstance(known, Mapping):
        return said.keys() == known.keys() and all(_equal(said[name], known[name]) for name in said)
    if isinstance(said, tuple) and isinstance(known, tuple):
        return len(said) == len(known) and all(map(_equal, said, known))
    if type(said) is float and type(known) is float:
        return isclose(said, known, rel_tol=1e-9)
    return type(said) is type(known) and said == known


_CODES: Mapping[str, str] = FrozenDict({"missing": "MF067", "failed": "MF028"})


def _state(
    entry: LedgerEntry,
    names: list[str],
    tensors: Mapping[str, Tensor],
    homes: Mapping[tuple[str, tuple[int, ...], str], str],
    *,
    ties: bool,
) -> tuple[State, str]:
    if not names:
        return "missing", f"`{entry.path}` is in the ledger, but not in the model"
    for name in names:
        if reason := _difference(entry, tensors[name]):
            return "changed", f"`{name}` is not what the ledger says: {reason}"
        digest = _digest(entry, tensors[name])
        if not entry.digest:
            return "changed", f"`{name}` cannot be compared: the ledger has no digest of it"
        home = homes.get((digest, entry.shape, entry.dtype))
        if digest != entry.digest and home is not None:
            return "elsewhere", f"`{name}` has the values that the ledger has for `{home}`"
        if digest != entry.digest:
            return "changed", f"`{name}` is not what the ledger says: its values were changed"
    if ties and (parted := next(_parted(entry, names, tensors), None)):
        return "untied", f"`{parted}` and `{entry.path}` are one parameter in the ledger, but not in the model"
    if entry.verdict == "fail":
        reason = f": {entry.reason}" if entry.reason else ""
        return "failed", f"the values of `{entry.path}` were not as promised when it was filled{reason}"
    return "same", ""


def _difference(entry: LedgerEntry, tensor: Tensor) -> str:
    """A difference that shows without its values; empty where there is none."""
    if is_lazy(tensor) or tensor.is_meta:
        return "it has no values"
    dtype = str(tensor.dtype).removeprefix("torch.")
    if (tuple(tensor.shape), dtype) != (entry.shape, entry.dtype):
        return f"it is {tuple(tensor.shape)} of {dtype}, and was {entry.shape} of {entry.dtype}"
    return ""


def _parted(entry: LedgerEntry, names: list[str], tensors: Mapping[str, Tensor]) -> Iterator[str]:
    yield from (name for name in entry.aliases if name not in names)
    yield from (name for name in names if tensors[name] is not tensors[names[0]])


def _lent(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Tensors that lie in the memory of another one, by name, with that one's; one tensor of two names is no other."""
    first: dict[int, str] = {}
    for name, tensor in tensors.items():
        first.setdefault(id(tensor), name)
    each = {name: tensors[name].detach() for name in first.values() if not is_lazy(tensors[name])}
    return {name: lender for lender, name in shared({name: one for name, one in each.items() if _in_memory(one)})}


def _in_memory(tensor: Tensor) -> bool:
    """Whether each element of a tensor has a place of its own in the memory of this process."""
    dense = tensor.layout == torch.strided and not tensor.is_meta
    return dense and not shard_of(tensor).distributed and not overlaps_itself(tensor)


def _digest(entry: LedgerEntry, tensor: Tensor) -> str:
    shard = shard_of(tensor.detach()).exchanged(entry.transposed)
    total = checksum_of(shard)
    if shard.distributed:
        (sums,) = over_processes([parts_of(total)], shard.local.device)
        total = whole_of(sums)
    return digest_of(total)
