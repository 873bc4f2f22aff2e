"""diagnose: plans → one `Diagnosis`: what is predicted and measured, the cause of what is wrong, and the repair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from modelforge._version import __version__
from modelforge.building.build import Model
from modelforge.core.complaints import require, require_count
from modelforge.diagnosis.causes import cause
from modelforge.diagnosis.document import (
    MAX_LEVELS,
    Diagnosis,
    Finding,
    Ignored,
    Jacobian,
    Measurement,
    Repair,
    Spectrum,
    Start,
    Steps,
    finite,
    spaced,
)
from modelforge.diagnosis.ledger_rows import ledger_rows
from modelforge.diagnosis.levels import levels
from modelforge.diagnosis.measuring import Batch, Measured, measured_of, size_of
from modelforge.diagnosis.network import network
from modelforge.diagnosis.repairs import repair
from modelforge.linting.lint import examine
from modelforge.linting.subject import Training
from modelforge.planning.plan import Plan
from modelforge.signal.jacobian import Jacobian as Found
from modelforge.signal.nodes import Node
from modelforge.signal.predict import predict
from modelforge.signal.recurrent import Spectrum as Eigenvalues

MAX_FINDINGS = 40
MAX_EIGENVALUES = 128
MAX_SPECTRA = 8
MAX_STEPS = 64
MAX_STEPPED = 8
MAX_SINGULAR = 100


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
    plan: Plan | Mapping[str, Plan],
    *,
    title: str = "",
    measure: bool = True,
    batch: int | None = None,
    data: Batch | Mapping[str, Batch] | None = None,
    model: Model | None = None,
    jacobian: bool = True,
    solve: bool = True,
    training: Mapping[str, Training | None] | Training | None = None,
) -> Diagnosis:
    """How networks start, and why: signals and gradients predicted and measured, findings, the ledger.

    Args:
        plan: One network, or several side by side, by label.
        title: Of the document.
        measure: Whether to build the networks and to measure them.
        batch: Examples in a batch; as many as cost little by default, at most 32.
        data: A batch to measure on, or one for each label; random numbers by default, as predictions assume.
        model: The first network, where it is built already; it alone is measured, with its own seed.
        jacobian: Whether to measure singular values of the derivative of the output.
        solve: Whether to look for initial values that repair it.
        training: How the network is trained, or each by label: some rules of the linter depend on it.

    Raises:
        ValueError: there is no plan; `batch` is no whole number from 1 on.

    Example:
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.language import parse
        >>> layers = {"hidden": {"type": "Linear", "out_features": 64, "bias": False}, "act": "ReLU"}
        >>> deep = {"deep": {"type": "Repeat", "times": 40, "layers": layers}}
        >>> found = diagnose(plan(parse({"input": {"shape": [64]}, "layers": deep}, init="xavier")), measure=False)
        >>> found.first.cause.verdict, found.first.cause.key
        ('vanishes', 'init')
    """
    plans = plan if isinstance(plan, Mapping) else {title or "model": plan}
    for one in plans.values():
        require(one, Plan, "diagnose takes a Plan, as `plan` gives")
    if not plans:
        raise ValueError("diagnose takes one plan or more, but gets none")
    if batch is not None:
        require_count(batch, "diagnose takes `batch` examples")
    starts: list[Start] = []
    for index, (label, one) in enumerate(plans.items()):
        first = model if index == 0 else None
        given = data.get(label) if isinstance(data, Mapping) else data
        trained = training.get(label) if isinstance(training, Mapping) else training
        settings = Settings(measure, batch, given, first, jacobian, solve, trained)
        starts.append(_start(label, one, settings, MAX_LEVELS // len(plans)))
    return Diagnosis(version=__version__, title=title or starts[0].label, starts=tuple(starts))


def _start(label: str, plan: Plan, settings: Settings, most: int) -> Start:
    size = size_of(plan, settings.data.num_examples if settings.data else settings.batch)
    size = replace(size, jacobian=size.jacobian and settings.jacobian)
    prediction = predict(plan, batch=size.batch)
    measured: Measured | str = "not asked for"
    if settings.measure:
        measured = measured_of(plan, size, model=settings.model, batch=settings.data)
    there = measured if isinstance(measured, Measured) else None
    linted = examine(plan, settings.training)
    found = (*linted.planned, *linted.problems)
    every = levels(plan, prediction, there)
    shown = spaced(len(every), most)
    index = {every[number].path: place for place, number in enumerate(shown)}
    reason = cause(plan, every, found)
    after: Repair | str = ""
    if settings.solve and reason.severity != "none" and reason.verdict not in ("steady", "dead"):
        after = repair(plan, size.batch, [every[number].path for number in shown])
    return Start(
        label=label,
        num_parameters=plan.num_parameters,
        num_layers=sum(not layer.children for layer in plan.layers),
        inputs=", ".join(f"{name} {value}" for name, value in plan.inputs.items()),
        output=str(plan.output),
        seed=plan.seed,
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
        ledger=ledger_rows(plan, None if there is None else there.ledger),
    )


def _measurement(measured: Measured) -> Measurement:
    probe = measured.probe
    stepped = [node for node in probe.nodes if len(node.steps) > 1]
    return Measurement(
        seeds=probe.seeds,
        batch=measured.batch.num_examples,
        data=measured.batch.words,
        jacobian=None if probe.jacobian is None else _jacobian(probe.jacobian),
        spectra=tuple(map(_spectrum, probe.spectra[:MAX_SPECTRA])),
        steps=tuple(map(_steps, stepped[:MAX_STEPPED])),
        histograms=measured.histograms,
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


def _spectrum(found: Eigenvalues) -> Spectrum:
    shown = [found.eigenvalues[index] for index in spaced(len(found.eigenvalues), MAX_EIGENVALUES)]
    return Spectrum(
        path=found.path,
        radius=finite(found.radius) or 0.0,
        eigenvalues=tuple((value.real, value.imag) for value in shown),
    )


def _steps(node: Node) -> Steps:
    times = spaced(len(node.steps), MAX_STEPS)
    shown = [node.steps[time] for time in times]
    return Steps(
        path=node.path,
        times=tuple(times),
        signal=tuple(finite(step.forward.second_moment) for step in shown),
        gradient=tuple(None if step.gradient is None else finite(step.gradient.second_moment) for step in shown),
    )
