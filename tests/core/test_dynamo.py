"""torch's compiler is imported by what compiles, not by what runs on the meta device."""

from __future__ import annotations

import subprocess
import sys

import pytest

START = """
import sys
from modelforge.core.dynamo import put_off
put_off()
import torch
with torch.device("meta"):
    layer = torch.nn.Linear(3, 4)
    layer(torch.empty(2, 3))
assert not any(name.startswith("torch._dynamo.") for name in sys.modules)
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


@pytest.mark.parametrize("use", [COMPILE, SUBMODULE])
def test_whatever_else_is_asked_of_it_imports_it(use):
    result = subprocess.run([sys.executable, "-c", START + use], capture_output=True, text=True, check=False)
    assert (result.stdout, result.returncode) == ("True\n", 0), result.stderr
