"""`KINDS`: what kinds of changes a review reports, each with its section, its severity, and why it matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Section = Literal["broken", "model", "init", "checkpoint", "training", "files"]
Severity = Literal["info", "warning", "error"]

SECTIONS: Mapping[Section, str] = {
    "broken": "broken",
    "model": "model",
    "init": "initial values",
    "checkpoint": "old checkpoints",
    "training": "training and other settings",
    "files": "files",
}
"""The sections in the order in which they are shown, and their titles."""
RANK: Mapping[Severity, int] = {"info": 0, "warning": 1, "error": 2}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of change."""

    section: Section
    severity: Severity
    why: str
    """One sentence for a reviewer."""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "broken-old": Kind("broken", "error", "The old side cannot be composed or planned, so nothing is compared."),
        "broken-new": Kind("broken", "error", "The change breaks a config: training with it stops at once."),
        "broken-side": Kind(
            "broken", "error", "A side cannot be read, or its default not composed: nothing is compared."
        ),
        "broken-both": Kind("broken", "warning", "Neither side can be planned: the model is not compared."),
        "acceptance-unused": Kind(
            "broken", "error", "`review.yaml` accepts a change that is not there: it would hide a later one."
        ),
        "acceptance-left": Kind("broken", "info", "`review.yaml` holds an acceptance of an earlier review: remove it."),
        "model-added": Kind("model", "info", "A new model: nothing of the old side depends on it."),
        "model-removed": Kind("model", "warning", "Configs and runs that name the model no longer compose."),
        "layers-changed": Kind("model", "warning", "The network computes something else than before."),
        "layer-added": Kind("model", "warning", "The network has a layer more; old checkpoints lack its parameters."),
        "layer-removed": Kind(
            "model", "warning", "The network has a layer less; old checkpoints have parameters left."
        ),
        "layer-moved": Kind("model", "warning", "A layer stands elsewhere: the order of operations changes."),
        "layer-renamed": Kind("model", "info", "The network is the same; keys of old checkpoints have other names."),
        "inputs-changed": Kind("model", "warning", "Code that calls the model passes other tensors."),
        "outputs-changed": Kind("model", "warning", "Code that calls the model gets other tensors."),
        "ties-changed": Kind("model", "warning", "Parameters that were one tensor are two, or two are one."),
        "buffers-changed": Kind("model", "warning", "A buffer that a file fills holds other numbers."),
        "model-value": Kind("model", "info", "A value of the model section differs, but no layer and no parameter."),
        "costs-changed": Kind("model", "info", "What a forward pass of one example takes, and how many parameters."),
        "finding-new": Kind("model", "warning", "A warning about how the network starts that the old side lacks."),
        "finding-gone": Kind("model", "info", "A warning about how the network starts that is no longer given."),
        "init-changed": Kind("init", "warning", "Parameters start with other values: runs are not comparable."),
        "init-follows": Kind("init", "warning", "Initial values differ because the network around them does."),
        "seed-changed": Kind("init", "warning", "Every drawn value changes; the distributions stay."),
        "init-unreached": Kind("init", "info", "The `init` block does not apply to every parameter."),
        "checkpoint-keys": Kind("checkpoint", "warning", "Old checkpoints load only in part, or need renames."),
        "learning-rate": Kind("training", "warning", "The learning rate decides how training goes more than most."),
        "training-changed": Kind("training", "warning", "The same model is trained in another way."),
        "training-effective": Kind("training", "info", "What the settings come to: examples, steps and warm-up."),
        "data-changed": Kind("training", "warning", "The model sees other data, or sees it in another way."),
        "model-chosen": Kind("model", "warning", "Another model, or other values for it, are chosen."),
        "init-chosen": Kind("init", "warning", "Another option of the `init` group is chosen."),
        "option-chosen": Kind("training", "warning", "Another option of a config group is chosen."),
        "option-added": Kind("training", "info", "A new option of a config group."),
        "option-removed": Kind("training", "warning", "Configs and runs that name the option no longer compose."),
        "setting-changed": Kind("training", "info", "A setting outside of model and training differs."),
        "file-added": Kind("files", "info", "A new file that no composition reads."),
        "file-removed": Kind("files", "info", "A file is gone that no composition read."),
        "file-not-compared": Kind("files", "warning", "A file differs, and what that does is not known."),
        "edit-without-effect": Kind("files", "warning", "An edit that no composition shows: something overrides it."),
    }
)
