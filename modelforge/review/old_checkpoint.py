"""old_checkpoint: two plans → what of a checkpoint of the old model the new one takes, and with which renames."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelforge.core.paths import join, parent
from modelforge.inits.from_file import FromFile
from modelforge.language import registry
from modelforge.planning.plan import Plan
from modelforge.planning.study import construct
from modelforge.planning.weight_files import stored_buffers
from modelforge.review.pairing import Pairing

Shape = tuple[int, ...]
Names = Mapping[str, Shape]
_NUMBER = re.compile(r"\{[a-z]\}")


@dataclass(frozen=True)
class OldCheckpoint:
    """Names in a checkpoint of the old model: parameters, second names of tied ones, and buffers."""

    loads: tuple[str, ...]
    """Names that the new model takes as they are."""
    renamed: Mapping[str, str]
    """Names that it takes under another name."""
    reshaped: tuple[str, ...]
    """Names that it has in another shape."""
    lost: tuple[str, ...]
    """Names that it has no place for."""
    missing: tuple[str, ...]
    """Names of the new model that such a checkpoint lacks."""
    weights: Mapping[str, Any]
    """Keys `rename` and `skip` of a `weights` section that loads it; empty where it loads as it is, or not at all."""

    @property
    def fits(self) -> bool:
        """Whether the new model takes anything of it."""
        return bool(self.loads or self.renamed)

    @property
    def num_keys(self) -> int:
        """Names in the checkpoint."""
        return len(self.loads) + len(self.renamed) + len(self.reshaped) + len(self.lost)

    def to_dict(self) -> dict[str, Any]:
        """The names as plain data; of those that load the number."""
        return {
            "keys": self.num_keys,
            "loads": len(self.loads),
            "renamed": dict(self.renamed),
            "reshaped": list(self.reshaped),
            "lost": list(self.lost),
            "missing": list(self.missing),
            "weights": dict(self.weights),
        }


def old_checkpoint(old: Plan, new: Plan, pairs: Pairing) -> OldCheckpoint:
    """What of a checkpoint of the old model the new one takes.

    Example:
        >>> from modelforge.language import parse
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.review.pairing import paired
        >>> head = {"type": "Linear", "out_features": 2}
        >>> models = ({"input": {"shape": [4]}, "layers": {name: head}} for name in ("a", "b"))
        >>> old, new = (plan(parse(model, "zeros")) for model in models)
        >>> old_checkpoint(old, new, paired(old, new)).weights
        {'rename': {'a': 'b'}}
    """
    before, after = checkpoint_names(old), checkpoint_names(new)
    targets = {name: target if (target := pairs.new_name(name)) in after else None for name in before}
    fits = {name: new for name, new in targets.items() if new is not None and after[new] == before[name]}
    covered = set(fits.values())
    missing = [name for name in after if name not in covered]
    section: dict[str, Any] = {}
    if any(name != new for name, new in targets.items()):
        section["rename"] = _rename(targets, pairs)
    if skip := _globs([name for name in missing if new.ties.get(name) not in after], after):
        section["skip"] = [f"{name}.*" if name not in after else name for name in skip]
    return OldCheckpoint(
        loads=tuple(name for name, new in fits.items() if new == name),
        renamed={name: new for name, new in fits.items() if new != name},
        reshaped=tuple(name for name, new in targets.items() if new is not None and name not in fits),
        lost=tuple(name for name, new in targets.items() if new is None),
        missing=tuple(missing),
        weights=section if fits else {},
    )


def checkpoint_names(plan: Plan) -> Names:
    """All names in a checkpoint of a model, with their shapes."""
    names = {parameter.path: parameter.shape for parameter in plan.parameters}
    names |= {name: names[first] for name, first in plan.ties.items() if first in names}
    for layer in plan.root.walk():
        if layer.has_buffers:
            module = construct(registry.get(layer.type), layer.arguments)
            names |= {name: tuple(value.shape) for name, value in stored_buffers(module, layer.path)}
    return names


def _rename(targets: Mapping[str, str | None], pairs: Pairing) -> dict[str, str | None]:
    """A short `rename` that does it, by layers where that is right, else by names."""
    layers = {old: new for new, old in pairs.renamed.items() if pairs.outermost(new)}
    layers = dict(sorted(layers.items(), key=lambda pair: -pair[0].count(".")))
    dropped = dict.fromkeys(_globs([name for name, new in targets.items() if new is None], targets))
    names = {name: new for name, new in targets.items() if new is not None and new != name}
    for moves in (_folded(layers), layers, names):
        for rules in ({**dropped, **moves}, {**dropped, **_in_two_steps(moves)}):
            if _does(rules, targets):
                return rules
    return {**dropped, **_in_two_steps(names)}


def _folded(layers: Mapping[str, str]) -> dict[str, str]:
    """Renames of numbered copies as one: `blocks.{n}.a: blocks.{n}.b`."""
    found: dict[str, str] = {}
    for old, new in layers.items():
        names, twins = old.split("."), new.split(".")
        letters = iter("nmkl")
        for index, (name, twin) in enumerate(zip(names, twins, strict=False)):
            if name.isdigit() and name == twin and (letter := next(letters, "")):
                names[index] = twins[index] = f"{{{letter}}}"
        found[".".join(names)] = ".".join(twins)
    return found


def _in_two_steps(moves: Mapping[str, str]) -> dict[str, str | None]:
    """The same by names that nothing else has, since each rename sees what the one before made."""
    steps = {old: join(f"moved{index}", *_NUMBER.findall(old)) for index, old in enumerate(moves)}
    return {**steps, **{steps[old]: new for old, new in moves.items()}}


def _does(rules: Mapping[str, str | None], targets: Mapping[str, str | None]) -> bool:
    """Whether a `rename` gives each name its target."""
    try:
        scheme = FromFile(path="old.safetensors", rename=dict(rules))
    except ValueError:
        return False
    return all(scheme.renamed(name).names == ((new,) if new is not None else ()) for name, new in targets.items())


def _globs(names: Sequence[str], known: Iterable[str]) -> list[str]:
    """The outermost layers that hold these names and no others, or else the names."""
    rest = set(known) - set(names)
    found: dict[str, None] = {}
    for name in names:
        layer, best = parent(name), name
        while layer and not any(other.startswith(f"{layer}.") for other in rest):
            layer, best = parent(layer), layer
        found[best] = None
    return list(found)
