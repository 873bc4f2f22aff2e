"""torch's compiler is imported by what compiles, not by what runs on the meta device."""

from __future__ import annotations

import subprocess
import sys

import pytest
from torch.fx.experimental import symbolic_shapes

from modelforge.core.lazy_torch import _Shapes

START = """
import sys
from modelforge.core.lazy_torch import import_compiler_late
import_compiler_late()
import torch
with torch.device("meta"):
    layer = torch.nn.Linear(3, 4)
    layer(torch.empty(2, 3))
    torch.nn.LSTM(3, 4)(torch.empty(2, 5, 3))
    torch.nn.Conv2d(3, 4, 3)(torch.empty(2, 3, 8, 8))
    torch.nn.functional.layer_norm(torch.empty(2, 3) + torch.empty(3), [3])
late = ("torch._dynamo.", "torch.fx.experimental.symbolic_shapes.", "sympy.")
assert not any(name.startswith(late) for name in sys.modules)
"""


COMPILE = "print(torch.compile(lambda x: x * 2, backend='eager')(torch.ones(1)).item() == 2)"
SUBMODULE = """
import inspect
inspect.getmodule(layer.forward)  # asks every module for its file
assert "torch._dynamo.config" not in sys.modules
import torch._dynamo.config
from torch._dynamo import optimize
torch._dynamo.reset()
layer(torch.empty(2, 3, device="meta"))
print(torch._dynamo is sys.modules["torch._dynamo"] and torch._dynamo.config.__name__ == "torch._dynamo.config")
"""

SYMPY = """
import sympy
import sympy.core
class Own(sympy.Basic):
    pass
print(sympy.Basic is sympy.core.Basic and isinstance(sympy.Symbol("x") + 1, sympy.Basic) and Own().is_number is False)
"""
SHAPES = """
from torch.fx.experimental.symbolic_shapes import sym_eq
from torch.fx.experimental.symbolic_shapes import ShapeEnv
assert sym_eq((2, 3), [2, 3])
import torch.fx.experimental.symbolic_shapes as shapes
print(shapes.sym_eq is not sym_eq and torch.fx.experimental.symbolic_shapes.ShapeEnv is ShapeEnv)
"""
EXPORT = """
from torch.export import Dim, export
exported = export(torch.nn.Linear(3, 4), (torch.ones(2, 3),), dynamic_shapes=({0: Dim("batch")},))
print(exported.module()(torch.ones(5, 3)).shape == (5, 4))
"""


@pytest.mark.parametrize("use", [COMPILE, SUBMODULE, SYMPY, SHAPES, EXPORT])
def test_whatever_else_is_asked_of_it_imports_it(use):
    result = subprocess.run([sys.executable, "-c", START + use], capture_output=True, text=True, check=False)
    assert (result.stdout, result.returncode) == ("True\n", 0), result.stderr


@pytest.mark.filterwarnings("ignore:guard_size_oblivious will be removed:FutureWarning")
@pytest.mark.parametrize("name", sorted(_Shapes.ANSWERS))
def test_answers_are_those_of_torch(name):
    answer, own = _Shapes.ANSWERS[name], getattr(symbolic_shapes, name)
    numbers, conditions = [(0,), (1,), (7,)], [(True,), (False,)]
    asked = {
        "guard_int": numbers,
        "guarding_hint_or_throw": numbers + conditions,
        "has_guarding_hint": numbers,
        "is_nested_int": numbers,
        "sym_and": [*conditions, (True, True), (True, False), (False, True, True)],
        "sym_or": [*conditions, (False, False), (True, False), (False, True, False)],
        "sym_eq": [(2, 2), (2, 3), ((2, 3), (2, 3)), ((2, 3), [2, 3]), ((2, 3), (2,)), ((), ()), ((2, 3), (3, 2))],
    }.get(name, conditions)
    assert [answer(*values) for values in asked] == [own(*values) for values in asked]
