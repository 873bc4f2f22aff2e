"""The registry of calibrations: from a method's name to its class. One decorator or one entry point adds a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from modelforge.calibration.base import Calibration
from modelforge.core.complaints import Owner, problems
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.plugins import check_declaration
from modelforge.core.registry import Registry
from modelforge.core.suggestions import did_you_mean

AnyCalibration = TypeVar("AnyCalibration", bound=type[Calibration])

METHODS = Registry[type[Calibration]](
    "a calibration", "modelforge.calibrations", package="modelforge.calibration.methods"
)
"""Every calibration by the name of its method."""
get = METHODS.get
names = METHODS.names
unregister_calibration = METHODS.remove


def register_calibration(name: str) -> Callable[[AnyCalibration], AnyCalibration]:
    """Makes a class known as the method `name` of `mf.calibrate`.

    The class is its own declaration: its fields are its config, its docstring its documentation. Defining a class again
    under its old name, as in a notebook, replaces it.

    >>> import modelforge as mf
    >>> from modelforge.calibration import Calibration, Correction, Moments
    >>> @register_calibration("half")
    ... class Half(Calibration):
    ...     '''Brings every layer's output to variance 1 in small steps.'''
    ...     def correct(self, seen: Moments) -> Correction:
    ...         return Correction(seen.variance ** -0.25)
    >>> read("half")
    Half(tolerance=0.1, max_passes=10)
    >>> unregister_calibration("half")

    Raises:
        TypeError: the class is not a finished calibration, has no docstring, or has a field named `method`.
        ValueError: another class has the name, or it cannot be a name.
    """

    def register(cls: AnyCalibration) -> AnyCalibration:
        check_declaration(cls, Calibration, "Calibration")
        if not str(name).isidentifier():
            raise ValueError(f"`{name}` cannot name a calibration: use letters, digits and underscores")
        METHODS.add(name, cls)
        cls.method = name
        return cls

    return register


def read(config: str | Mapping[str, Any]) -> Calibration:
    """The calibration that a name, or a mapping with `method` and its fields, means.

    >>> read({"method": "lsuv", "tolerance": 0.05})
    LSUV(tolerance=0.05, max_passes=10)

    Raises:
        ForgeError: there is no such method, or it refuses the fields.
    """
    fields: dict[str, Any] = {"method": config} if isinstance(config, str) else dict(config)
    if "method" not in fields:
        hint = f"known: {', '.join(f'`{name}`' for name in names())}"
        raise ForgeError([Problem("MF120", "calibrate", "a calibration needs a `method`", hint)])
    name = fields.pop("method")
    if name not in names():
        hint = did_you_mean(str(name), names())
        raise ForgeError([Problem("MF120", "calibrate.method", f"unknown calibration `{name}`", hint)])
    cls = get(name)
    owner = Owner(f"calibration `{name}`", "field", cls, missing="MF121", unknown="MF121", wrong="MF121")
    try:
        return cls.model_validate(fields)
    except ValidationError as error:
        raise ForgeError(problems(error, "calibrate", owner)) from None
