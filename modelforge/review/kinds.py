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
    name: str
    """What to call it in a heading."""
    why: str
    """One sentence for a reviewer."""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "broken-old": Kind(
            "broken",
            "error",
            "broken on the old side",
            "The old side cannot be composed or planned, so nothing is compared.",
        ),
        "broken-new": Kind(
            "broken", "error", "broken on the new side", "The change breaks a config: training with it stops at once."
        ),
        "broken-side": Kind(
            "broken",
            "error",
            "not compared",
            "A side cannot be read, or its default config not composed: nothing is compared.",
        ),
        "needs-plugins": Kind(
            "broken",
            "warning",
            "not compared without plugins",
            "A name is not known: the project's plugins, which two revisions go without, may register it.",
        ),
        "new-unplanned": Kind(
            "broken",
            "warning",
            "new, and cannot be planned",
            "With the other defaults, training with the new option stops at once.",
        ),
        "acceptance-unused": Kind(
            "broken",
            "error",
            "unused acceptance",
            "`review.yaml` accepts a change that is not there: the acceptance would hide a later one.",
        ),
        "acceptance-left": Kind(
            "broken", "info", "earlier acceptance", "`review.yaml` holds an acceptance of an earlier review: remove it."
        ),
        "model-added": Kind("model", "info", "new model", "A new model: nothing of the old side depends on it."),
        "model-removed": Kind(
            "model", "warning", "removed model", "Configs and commands that name the model can no longer be composed."
        ),
        "model-renamed": Kind(
            "model",
            "warning",
            "renamed model",
            "Configs and commands that use the model's old name can no longer be composed.",
        ),
        "layers-changed": Kind(
            "model", "warning", "changed layers", "The network computes something else than before."
        ),
        "layer-added": Kind(
            "model", "warning", "added layer", "The network has one more layer; old checkpoints lack its parameters."
        ),
        "layer-removed": Kind(
            "model",
            "warning",
            "removed layer",
            "The network has one layer less; old checkpoints have parameters that it lacks.",
        ),
        "layer-moved": Kind(
            "model", "warning", "moved layer", "A layer has another place: the order of operations changes."
        ),
        "layer-renamed": Kind(
            "model", "info", "renamed layer", "The network is the same; keys of old checkpoints have other names."
        ),
        "inputs-changed": Kind("model", "warning", "inputs", "Code that calls the model passes other tensors."),
        "outputs-changed": Kind("model", "warning", "outputs", "Code that calls the model gets other tensors."),
        "ties-changed": Kind("model", "warning", "ties", "Parameters that shared one tensor no longer do, or now do."),
        "buffers-changed": Kind("model", "warning", "buffers", "A buffer that a file fills holds other numbers."),
        "model-value": Kind(
            "model", "info", "model setting", "A value of the model section differs, but no layer and no parameter."
        ),
        "model-unplanned": Kind(
            "model",
            "warning",
            "unplanned model setting",
            "Neither side of a model that it belongs to can be planned: how parameters start is not known.",
        ),
        "costs-changed": Kind(
            "model", "info", "costs", "The cost of a forward pass on one example, and the number of parameters."
        ),
        "signal-changed": Kind(
            "init",
            "warning",
            "predicted signal",
            "Signals or gradients are predicted to start far larger or smaller than before.",
        ),
        "signal-unknown": Kind(
            "init",
            "warning",
            "signal that is no longer predicted",
            "Signals that were predicted before are not known on the new side: no energy of them is compared.",
        ),
        "finding-new": Kind(
            "model", "warning", "new warning", "A warning about initial values that the old side does not have."
        ),
        "finding-gone": Kind(
            "model", "info", "warning that is gone", "A warning about initial values that the new side no longer has."
        ),
        "note-new": Kind("model", "info", "new note", "A note of `modelforge lint` that the old side does not have."),
        "note-gone": Kind(
            "model", "info", "note that is gone", "A note of `modelforge lint` that the new side no longer has."
        ),
        "finding-unjudged": Kind(
            "model",
            "warning",
            "finding that can no longer be judged",
            "A finding about the old side, of a rule that cannot judge the new one: it may still be true.",
        ),
        "init-changed": Kind(
            "init", "warning", "initial values", "Parameters start with other values: runs are not comparable."
        ),
        "init-follows": Kind(
            "init",
            "warning",
            "initial values that follow from other changes",
            "Initial values differ because the network around them does.",
        ),
        "seed-changed": Kind("init", "warning", "seed", "Every drawn value changes; the distributions stay."),
        "init-unreached": Kind(
            "init", "info", "not reached by `init`", "The `init` block does not apply to every parameter."
        ),
        "checkpoint-keys": Kind(
            "checkpoint", "warning", "old checkpoint", "Old checkpoints load only in part, or need renames."
        ),
        "learning-rate": Kind(
            "training", "warning", "learning rate", "Few settings change a training as much as the learning rate."
        ),
        "training-changed": Kind(
            "training", "warning", "training setting", "The same model is trained in another way."
        ),
        "training-effective": Kind(
            "training",
            "info",
            "length of the training",
            "What follows from the settings: the numbers of examples, steps and warm-up steps.",
        ),
        "data-changed": Kind(
            "training", "warning", "data setting", "The model sees other data, or sees it in another way."
        ),
        "model-chosen": Kind("model", "warning", "chosen model", "Another model, or other values for it, are chosen."),
        "init-chosen": Kind("init", "warning", "chosen init", "Another option of the `init` group is chosen."),
        "option-chosen": Kind("training", "warning", "chosen option", "Another option of a config group is chosen."),
        "option-added": Kind("training", "info", "new option", "A new option of a config group."),
        "option-removed": Kind(
            "training",
            "warning",
            "removed option",
            "Configs and commands that name the option can no longer be composed.",
        ),
        "option-renamed": Kind(
            "training",
            "warning",
            "renamed option",
            "Configs and commands that use the option's old name can no longer be composed.",
        ),
        "setting-changed": Kind(
            "training", "info", "other setting", "A setting outside of model and training differs."
        ),
        "file-added": Kind("files", "info", "new file", "A new file that no composition reads."),
        "file-removed": Kind("files", "info", "removed file", "A file is gone that no composition read."),
        "file-not-compared": Kind(
            "files", "warning", "file not compared", "A file differs, and its effect is not known."
        ),
        "edit-without-effect": Kind(
            "files",
            "warning",
            "edit without effect",
            "An edit that changes nothing that was compared: something overrides it, or chooses the same.",
        ),
    }
)
