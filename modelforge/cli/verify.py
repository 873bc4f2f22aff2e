"""verify: a run folder → whether its config still gives the start of its ledger; or what a checkpoint changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from rich.console import Group
from rich.text import Text

from modelforge.building.build import build
from modelforge.building.ledger import Ledger
from modelforge.building.verify import Verification, compare, compare_rows, verification_table
from modelforge.building.verify import verify as verify_model
from modelforge.cli.answer import Answer
from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.limits import MAX_CONFIG_BYTES
from modelforge.core.quoting import listed, sentence
from modelforge.core.regular_files import read_bytes
from modelforge.core.tensor_file import opened
from modelforge.language import parse
from modelforge.report.aligned import Wrapped
from modelforge.report.problems import problems_text
from modelforge.train.run_config import placed_in

_MODEL = "state_dict.model."
"""What stands before a parameter's name in a checkpoint of ours."""
IN_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("path", "aliases"), "names"),
    **dict.fromkeys(("shape", "transposed"), "shapes"),
    "dtype": "types",
    "digest": "values",
    "role": "roles",
    "scheme": "schemes",
    "rule": "rules",
    "numbers": "resolved numbers",
    "matrices": "matrices",
    **dict.fromkeys(("target_mean", "target_std", "centre"), "targets"),
    **dict.fromkeys(("mean_tolerance", "std_tolerance"), "tolerances"),
    **dict.fromkeys(("verdict", "reason"), "verdicts"),
    "calibration": "calibrations",
    "seed": "the seed",
    "buffers": "buffers",
}
"""The parts of a ledger's row as a person reads them."""


def verify(folder: Path, ckpt: str | None) -> Answer:
    """Builds the start of a run from its config and compares values and rows with its ledger; or the values of a
    checkpoint. Status 1 if a parameter differs.

    Args:
        folder: The run's.
        ckpt: `best`, `last` or a path: what to compare with the ledger in place of the start; training changes it.

    Raises:
        ForgeError: the folder holds no ledger or no config, the config is wrong, or the checkpoint cannot be read.
    """
    ledger = Ledger.load(folder / "ledger.json")
    found = _start(folder, ledger) if ckpt is None else _checkpoint(folder, ckpt, ledger)
    same = sum(state == "same" for state in found.states.values())
    what = "the start, built again from config.yaml" if ckpt is None else f"the checkpoint `{ckpt}`"
    total = len(found.states)
    count = f"{what}: {same} of {total} parameters match the ledger"
    if ckpt is not None:
        missing = sum(state == "missing" for state in found.states.values())
        count = f"{what}: {total - same - missing} of {total} parameters are no longer as they started"
        count += f", {missing} {'is' if missing == 1 else 'are'} not in it" if missing else ""
    looked_at = f"compared: {listed(dict.fromkeys(IN_WORDS[name] for name in found.compared), len(IN_WORDS))}"
    versions = _versions(ledger) if not found.ok and ckpt is None else ""
    below = [Text(), problems_text(found.problems)] if found.problems and ckpt is None else []
    notes = [Wrapped(Text(note)) for note in (looked_at, versions) if note]
    text = Group(verification_table(found.states), Text(), Wrapped(Text(count)), *notes, *below)
    return Answer(found.to_dict() | {"ckpt": ckpt}, text, int(not found.ok))


def _start(folder: Path, ledger: Ledger) -> Verification:
    path = folder / "config.yaml"
    try:
        values = yaml.safe_load(read_bytes(path, MAX_CONFIG_BYTES).decode())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ForgeError([_no_config(path, sentence(error))]) from error
    except (LookupError, AttributeError, TypeError) as error:
        raise ForgeError([_no_config(path, "a tag in it does not fit its value")]) from error
    if not isinstance(values, dict):
        raise ForgeError([_no_config(path, "it holds no mapping")])
    with placed_in(folder):
        model = build(parse(values))
    # As it looks in a file: tuples and lists are one there.
    return compare_rows(verify_model(model, ledger), ledger, Ledger.from_dict(model.ledger.to_dict()))


def _checkpoint(folder: Path, ckpt: str, ledger: Ledger) -> Verification:
    path = folder / "checkpoints" / f"{ckpt}.ckpt" if ckpt in ("best", "last") else Path(ckpt)
    try:
        with opened(str(path)) as weights:
            prefix = _MODEL if any(name.startswith(_MODEL) for name in weights.headers) else ""
            known = {name for entry in ledger for name in (entry.path, *entry.aliases)}
            names = {name.removeprefix(prefix): name for name in weights.headers if name.startswith(prefix)}
            # Others are buffers, and what an optimizer keeps.
            return compare({short: weights.read(name) for short, name in names.items() if short in known}, ledger)
    except Refusal as refusal:
        message = f"`{path}` cannot be loaded: {refusal.reason}"
        raise ForgeError([Problem(refusal.code or "MF110", "--ckpt", message, refusal.hint)]) from refusal


def _no_config(path: Path, reason: str) -> Problem:
    hint = "a run writes it beside its ledger; `--ckpt` compares a checkpoint without it"
    message = f"the initial values cannot be computed again: `{path}` cannot be read: {reason}"
    return Problem("MF068", str(path), message, hint)


def _versions(ledger: Ledger) -> str:
    """Where other versions made the ledger, in words."""
    here = Ledger((), 0).versions
    others = [f"{name} {version} (here {here.get(name)})" for name, version in ledger.versions.items()]
    return "" if dict(ledger.versions) == dict(here) else f"the ledger was made with {' and '.join(others)}"
