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
            "broken", "error", "A side cannot be read, or its default config not composed: nothing is compared."
        ),
        "broken-both": Kind("broken", "warning", "Neither side can be planned: the model is not compared."),
        "acceptance-unused": Kind(
            "broken",
            "error",
            "`review.yaml` accepts a change that is not there: the acceptance would hide a later one.",
        ),
        "acceptance-left": Kind("broken", "info", "`review.yaml` holds an acceptance of an earlier review: remove it."),
        "model-added": Kind("model", "info", "A new model: nothing of the old side depends on it."),
        "model-removed": Kind(
            "model", "warning", "Configs and commands that name the model can no longer be composed."
        ),
        "layers-changed": Kind("model", "warning", "The network computes something else than before."),
        "layer-added": Kind("model", "warning", "The network has one more layer; old checkpoints lack its parameters."),
        "layer-removed": Kind(
            "model", "warning", "The network has one layer less; old checkpoints have parameters that it lacks."
        ),
        "layer-moved": Kind("model", "warning", "A layer has another place: the order of operations changes."),
        "layer-renamed": Kind("model", "info", "The network is the same; keys of old checkpoints have other names."),
        "inputs-changed": Kind("model", "warning", "Code that calls the model passes other tensors."),
        "outputs-changed": Kind("model", "warning", "Code that calls the model gets other tensors."),
        "ties-changed": Kind("model", "warning", "Parameters that shared one tensor no longer do, or now do."),
        "buffers-changed": Kind("model", "warning", "A buffer that a file fills holds other numbers."),
        "model-value": Kind("model", "info", "A value of the model section differs, but no layer and no parameter."),
        "costs-changed": Kind(
            "model", "info", "The cost of a forward pass on one example, and the number of parameters."
        ),
        "finding-new": Kind("model", "warning", "A warning about initial values that the old side does not have."),
        "finding-gone": Kind("model", "info", "A warning about initial values that the new side no longer has."),
        "init-changed": Kind("init", "warning", "Parameters start with other values: runs are not comparable."),
        "init-follows": Kind("init", "warning", "Initial values differ because the network around them does."),
        "seed-changed": Kind("init", "warning", "Every drawn value changes; the distributions stay."),
        "init-unreached": Kind("init", "info", "The `init` block does not apply to every parameter."),
        "checkpoint-keys": Kind("checkpoint", "warning", "Old checkpoints load only in part, or need renames."),
        "learning-rate": Kind("training", "warning", "Few settings change a training as much as the learning rate."),
        "training-changed": Kind("training", "warning", "The same model is trained in another way."),
        "training-effective": Kind(
            "training", "info", "What follows from the settings: the numbers of examples, steps and warm-up steps."
        ),
        "data-changed": Kind("training", "warning", "The model sees other data, or sees it in another way."),
        "model-chosen": Kind("model", "warning", "Another model, or other values for it, are chosen."),
        "init-chosen": Kind("init", "warning", "Another option of the `init` group is chosen."),
        "option-chosen": Kind("training", "warning", "Another option of a config group is chosen."),
        "option-added": Kind("training", "info", "A new option of a config group."),
        "option-removed": Kind(
            "training", "warning", "Configs and commands that name the option can no longer be composed."
        ),
        "setting-changed": Kind("training", "info", "A setting outside of model and training differs."),
        "file-added": Kind("files", "info", "A new file that no composition reads."),
        "file-removed": Kind("files", "info", "A file is gone that no composition read."),
        "file-not-compared": Kind("files", "warning", "A file differs, and its effect is not known."),
        "edit-without-effect": Kind("files", "warning", "An edit that changes no composition: something overrides it."),
    }
)
