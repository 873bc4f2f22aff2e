"""diagnose: plans → one `Diagnosis`: what is predicted and measured, the cause of what is wrong, and the repair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite

from torch import nn

from modelforge._version import __version__
from modelforge.building.build import Model
from modelforge.core.complaints import require, require_count
from modelforge.core.quoting import listed, quoted
from modelforge.diagnosis.causes import cause
from modelforge.diagnosis.changes import worst
from modelforge.diagnosis.document import (
    MAX_LEVELS,
    Cause,
    EqualUnits,
    Finding,
    Ignored,
    Jacobian,
    Measurement,
    Repair,
    Spectrum,
    Start,
    Steps,
    Stuck,
    finite,
    spaced,
)
from modelforge.diagnosis.ledger_rows import ledger_rows
from modelforge.diagnosis.levels import levels
from modelforge.diagnosis.measuring import Batch, Measured, measured_of, size_of
from modelforge.diagnosis.network import network
from modelforge.diagnosis.repairs import repair
from modelforge.diagnosis.result import Diagnosis
from modelforge.language.model import ModelSpec
from modelforge.linting.lint import examine
from modelforge.linting.subject import Training
from modelforge.planning.plan import Plan, planned
from modelforge.signal.jacobian import Jacobian as Found
from modelforge.signal.nodes import ProbedNode
from modelforge.signal.passes import bare
from modelforge.signal.predict import Prediction, predict
from modelforge.signal.probe import check_batch
from modelforge.signal.recurrent import Spectrum as Eigenvalues
from modelforge.signal.stuck import Stuck as FoundStuck

NOT_TRAINING = "it was measured in evaluation, and what is predicted is for training"
MAX_FINDINGS = 40
MAX_EIGENVALUES = 128
MAX_SPECTRA = 8
MAX_STEPS = 64
MAX_STEPPED = 8
MAX_SINGULAR = 100
MAX_STUCK = 20


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is looked at."""

    measure: bool = True
    batch: int | None = None
    """Examples; None for as many as cost little."""
    data: Batch | None = None
    """What is measured on; None for random numbers."""
    model: Model | None = None
    """The first network itself, where it is built already."""
    jacobian: bool = True
    solve: bool = True
    training: Training | None = None
    """How the model is trained, where that is known."""


def diagnose(
    plan: ModelSpec | Plan | Mapping[str, ModelSpec | Plan],
    *,
    title: str = "",
    measure: bool = True,
    batch_size: int | None = None,
    data: Batch | Mapping[str, Batch] | None = None,
    model: Model | None = None,
    jacobian: bool = True,
    solve: bool = True,
    training: Mapping[str, Training | None] | Training | None = None,
) -> Diagnosis:
    """How networks start, and why: signals and gradients predicted and measured, findings, the ledger.

    Args:
        plan: The plan or the spec of one network, or of several side by side, by label.
        title: Of the document.
        measure: Whether to build the networks and to measure them.
        batch_size: Examples in a batch; as many as cost little by default, at most 32.
        data: A batch to measure on, or one for each label; random numbers by default, as predictions assume.
        model: The first network, where it is built already; it alone is measured, with its own seed.
        jacobian: Whether to measure singular values of the derivative of the output.
        solve: Whether to look for initial values that repair it.
        training: How the network is trained, or each by label: some rules of the linter depend on it.

    Raises:
        ForgeError: a batch holds NaN, or no examples.
        TypeError: an argument is of another kind.
        ValueError: there is no plan; `batch_size` is not a whole number from 1 on; labels of `data` or `training` are
            not those of the plans; the model is of another plan.

    Example:
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.language import parse
        >>> layers = {"hidden": {"type": "Linear", "out_features": 64, "bias": False}, "act": "ReLU"}
        >>> deep = {"deep": {"type": "Repeat", "times": 40, "layers": layers}}
        >>> found = diagnose(plan(parse({"input": {"shape": [64]}, "layers": deep}, init="xavier")), measure=False)
        >>> found.first.cause.verdict, found.first.cause.key
        ('vanishes', 'init')
    """
    networks = plan if isinstance(plan, Mapping) else {title or "model": plan}
    plans = {label: planned(network, "diagnose") for label, network in networks.items()}
    if not plans:
        raise ValueError("diagnose takes one plan or more, but gets none")
    if batch_size is not None:
        require_count(batch_size, "diagnose takes `batch_size` examples")
    for name, given in (("data", data), ("training", training)):
        if isinstance(given, Mapping):
            _check_labels(name, given, plans)
    for given in data.values() if isinstance(data, Mapping) else [data] if data else []:
        check_batch(given.inputs)
    if model is not None:
        model = _of_plan(model, next(iter(plans.values())))
    starts: list[Start] = []
    for index, (label, one) in enumerate(plans.items()):
        first = model if index == 0 else None
        examples = data[label] if isinstance(data, Mapping) else data
        trained = training[label] if isinstance(training, Mapping) else training
        settings = Settings(measure, batch_size, examples, first, jacobian, solve, trained)
        starts.append(_start(label, one, settings, max(2, MAX_LEVELS // len(plans))))
    return Diagnosis(version=__version__, title=title or starts[0].label, starts=tuple(starts))


def _check_labels(name: str, given: Mapping[str, object], plans: Mapping[str, Plan]) -> None:
    wrong = {label: "no config has the label" for label in given if label not in plans}
    wrong |= {label: f"`{name}` has nothing for" for label in plans if label not in given}
    if wrong:
        said = ", ".join(f"{words} {quoted(label)}" for label, words in wrong.items())
        raise ValueError(f"diagnose takes one `{name}`, or one for each label: {said}")


def _of_plan(model: nn.Module, plan: Plan) -> Model:
    """The model, out of what compiles it."""
    model = bare(model)
    require(model, Model, "diagnose takes a Model, as `build` gives")
    assert isinstance(model, Model)
    theirs, ours = {entry.path for entry in model.ledger}, {item.path for item in plan.parameters}
    if theirs != ours:
        raise ValueError(f"the model is of another plan: only one of both has {listed(sorted(theirs ^ ours), 5)}")
    return model


def _start(label: str, plan: Plan, settings: Settings, most: int) -> Start:
    size = size_of(plan, settings.data.num_examples if settings.data else settings.batch)
    size = replace(size, jacobian=size.jacobian and settings.jacobian)
    prediction = predict(plan, batch_size=size.batch)
    measured: Measured | str = "not asked for"
    if settings.measure:
        measured = measured_of(plan, size, model=settings.model, batch=settings.data)
    model = settings.model
    there = measured if isinstance(measured, Measured) else None
    linted = examine(plan, settings.training)
    found = (*linted.planned, *linted.problems)
    every = levels(plan, prediction, there)
    shown = spaced(len(every), most)
    index = {every[number].path: place for place, number in enumerate(shown)}
    mode = "train" if there is None else there.probe.mode
    reason = cause(plan, every, found, {} if there is None else there.spoiled, mode)
    after: Repair | str = ""
    if settings.solve and reason.severity != "none" and _is_of_weights(plan, reason, prediction, there):
        after = NOT_TRAINING if mode != "train" else repair(plan, size.batch, [every[number].path for number in shown])
    return Start(
        label=label,
        num_parameters=plan.num_parameters,
        num_layers=sum(not layer.children for layer in plan.layers),
        inputs=", ".join(f"{name} {value}" for name, value in plan.inputs.items()),
        output=str(plan.output),
        seed=plan.seed if model is None else model.ledger.seed,
        batch=size.batch,
        cause=reason,
        levels=tuple(every[number] for number in shown),
        num_levels=len(every),
        network=network(plan, index),
        measurement=None if there is None else _measurement(there),
        unmeasured=measured if isinstance(measured, str) else "",
        repair=after if isinstance(after, Repair) else None,
        unrepaired=after if isinstance(after, str) else "",
        findings=tuple(map(Finding.of, found[:MAX_FINDINGS])),
        ignored=tuple(
            Ignored(**dict(Finding.of(one.problem)), reason=one.reason) for one in linted.ignored[:MAX_FINDINGS]
        ),
        ledger=ledger_rows(plan, there and there.ledger, there.spoiled if there else ()),
    )


def _is_of_weights(plan: Plan, reason: Cause, prediction: Prediction, measured: Measured | None) -> bool:
    """Whether other initial values may repair it."""
    if reason.verdict == "not finite":
        change = worst(plan, levels(plan, prediction, None))
        return change is not None and change.drifts and not (measured and measured.spoiled)
    return reason.verdict not in ("steady", "dead")


def _measurement(measured: Measured) -> Measurement:
    probe = measured.probe
    stepped = [node for node in probe.nodes if len(node.steps) > 1]
    return Measurement(
        seeds=probe.seeds,
        batch=measured.batch.num_examples,
        data=measured.batch.words,
        mode=probe.mode,
        jacobian=None if probe.jacobian is None else _jacobian(probe.jacobian),
        spectra=tuple(_spectrum(one) for one in probe.spectra[:MAX_SPECTRA] if isfinite(one.radius)),
        steps=tuple(map(_steps, stepped[:MAX_STEPPED])),
        histograms=measured.histograms,
        stuck=None if measured.stuck is None or measured.stuck.not_finite else _stuck(measured.stuck),
    )


def _stuck(stuck: FoundStuck) -> Stuck:
    return Stuck(
        equal_units=tuple(
            EqualUnits(path=one.path, num_units=one.num_units, num_distinct=one.num_distinct)
            for one in stuck.equal_units[:MAX_STUCK]
        ),
        zero_gradients=stuck.zero_gradients[:MAX_STUCK],
        unused=stuck.unused[:MAX_STUCK],
    )


def _jacobian(found: Found) -> Jacobian:
    values = [value for value in found.singular_values if finite(value) is not None]
    outputs, inputs = found.shape
    return Jacobian(
        outputs=outputs,
        inputs=inputs,
        exact=found.method == "exact",
        mean_square=finite(found.mean_square),
        values=tuple(values[index] for index in spaced(len(values), MAX_SINGULAR)),
    )


def _spectrum(eigenvalues: Eigenvalues) -> Spectrum:
    shown = [eigenvalues.eigenvalues[index] for index in spaced(len(eigenvalues.eigenvalues), MAX_EIGENVALUES)]
    return Spectrum(
        path=eigenvalues.path,
        radius=eigenvalues.radius,
        eigenvalues=tuple((value.real, value.imag) for value in shown),
    )


def _steps(node: ProbedNode) -> Steps:
    times = spaced(len(node.steps), MAX_STEPS)
    shown = [node.steps[time] for time in times]
    return Steps(
        path=node.path,
        times=tuple(times),
        signal=tuple(finite(step.forward.second_moment) for step in shown),
        gradient=tuple(None if step.gradient is None else finite(step.gradient.second_moment) for step in shown),
    )
