"""A trial: a layer on a few examples on the CPU, its runs in both modes, and its gradients."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from modelforge.core.tensors import BATCH, TensorValue
from modelforge.language import registry
from modelforge.planning.forward import FEW, Misfit
from modelforge.planning.smaller import TrialCase
from modelforge.planning.trial import Broken, NotTried, Outputs, Trial, seeded


def trial(kind: str, *shapes: tuple[int, ...], dtype: str = "float32", **arguments: Any) -> Trial:
    values = tuple(TensorValue((BATCH, *shape), dtype) for shape in shapes)
    with torch.random.fork_rng(), torch.no_grad():
        return Trial(TrialCase(registry.get(kind), arguments, values))


def test_the_first_runs_show_the_output_and_its_batch():
    tried = trial("Linear", (4,), in_features=4, out_features=3)
    assert tried.value == TensorValue((BATCH, 3))
    assert tried.found["training"].tensors[0].shape == (FEW, 3)
    (changed,) = (one != other for one, other in zip(tried.one, tried.other, strict=True))
    assert int(changed.any(1).sum()) == 1


def test_buffers_start_afresh_unless_asked_otherwise():
    """A batch norm moves its running mean by a tenth of the way in each run."""
    tried = trial("BatchNorm1d", (4,), num_features=4)
    batch = [torch.ones(FEW, 4)]
    with torch.random.fork_rng(), torch.no_grad():
        for _ in range(2):
            tried.run(batch, "training")
            assert tried.module.running_mean.tolist() == pytest.approx([0.1] * 4)
        tried.run(batch, "training", afresh=False)
    assert tried.module.running_mean.tolist() == pytest.approx([0.19] * 4)


def test_modes_and_declared_modules_are_as_asked():
    tried = trial("BatchNorm1d", (4,), num_features=4)
    with torch.random.fork_rng(), torch.no_grad():
        outputs = {
            name: tried.run(tried.one, mode, declared=declared).output
            for name, mode, declared in (
                ("on", "training", True),
                ("off", "training", False),
                ("eval", "evaluation", True),
            )
        }
    assert torch.equal(outputs["off"], outputs["eval"])
    assert not torch.allclose(outputs["on"], outputs["off"])


def test_gradients_are_those_of_the_weights_and_the_batch():
    """Of the sum of x·Wᵀ + b: the sum of x for each row of W, FEW for b, and the column sums of W for x."""
    tried = trial("Linear", (4,), in_features=4, out_features=3)
    with torch.random.fork_rng():
        weight, bias, batch = tried.gradients()
    torch.testing.assert_close(weight, tried.one[0].sum(0).expand(3, 4))
    assert bias.tolist() == [FEW] * 3
    torch.testing.assert_close(batch, tried.module.weight.detach().sum(0).expand(FEW, 4))


def test_nothing_to_train_has_no_gradients():
    tried = trial("Flatten", (2, 3), dtype="int64")
    assert tried.gradients() == []


def test_a_run_that_fails_says_in_which_mode():
    tried = trial("Linear", (4,), in_features=4, out_features=3)
    with torch.random.fork_rng(), torch.no_grad(), pytest.raises(Broken) as caught:
        tried.run([torch.zeros(FEW, 5)], "evaluation")
    assert caught.value.mode == "evaluation"
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_layer_that_fails_on_every_input_is_a_misfit():
    with pytest.raises(Misfit, match="Linear cannot run on"):
        trial("Linear", (5,), in_features=4, out_features=3)


def test_what_the_machine_lacks_is_no_fault_of_the_layer():
    tried = trial("Linear", (4,), in_features=4, out_features=3)
    broken = Broken("training")
    broken.__cause__ = RuntimeError('"addmm" not implemented for this type')
    assert isinstance(tried.complaint(broken), NotTried)


def test_a_hint_names_what_was_given_and_no_default():
    tried = trial("Dropout", (4,), p=0.25)
    assert tried.hint == "look at `p: 0.25`"
    assert trial("Dropout", (4,), p=0.5).hint == ""


def test_outputs_are_finite_where_all_floats_are():
    whole = torch.zeros(2, dtype=torch.int64)
    assert Outputs(None, (torch.zeros(2), whole), whole).finite
    assert not Outputs(None, (torch.zeros(2), torch.tensor([float("inf")])), whole).finite


def test_other_generators_start_at_the_same_place_and_are_put_back():
    before = random.getstate(), np.random.get_state()[1].tolist()
    drawn = []
    for _ in range(2):
        with seeded():
            drawn.append((random.random(), np.random.rand()))
    assert drawn[0] == drawn[1]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
