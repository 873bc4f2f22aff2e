"""Packages that few runs use are imported by those runs alone, and are then whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.train.runs import child

HEAVY = """
def heavy():
    late = ("scipy", "transformers", "torch._dynamo", "sympy", "sklearn")
    there = {*sys.modules} - {"scipy.signal"}
    return sorted(one for one in late if any(name.startswith(f"{one}.") for name in there))
"""
EARLY = f"""
import sys
{HEAVY}
from modelforge.core.lazy_extras import import_extras_late
import_extras_late()
"""
START = f"""
{EARLY}
import lightning, torch, torchmetrics
model = torch.nn.Linear(3, 2)
"""


def python(code: str, start: str = START) -> str:
    done = subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_lightning_and_an_optimizer_import_none_of_them():
    code = """
optimizer = torch.optim.AdamW(model.parameters())
model(torch.ones(1, 3)).sum().backward()
optimizer.step()
torch.use_deterministic_algorithms(True)
print(heavy())
"""
    assert python(code) == "[]"


def test_each_is_whole_when_it_is_used():
    pytest.importorskip("transformers", reason="a development dependency")
    code = """
torch.use_deterministic_algorithms(True)
import torch._inductor.config as early
import torch._inductor.compile_fx
import torch._inductor.config as late
print(early is late, late.deterministic, early.deterministic, late.max_autotune)
from lightning.fabric.wrappers import OptimizedModule
compiled = torch.compile(model, backend="eager")
compiled(torch.ones(1, 3))
print(isinstance(compiled, OptimizedModule), isinstance(model, OptimizedModule))
import scipy.stats
from scipy.signal import get_window
print(scipy.stats.norm.cdf(0.0), scipy.signal.get_window is get_window)
from torchmetrics.functional.text import bert
print(bert.AutoTokenizer.from_pretrained.__self__.__name__)
import transformers.models.gpt2
print(transformers.GPT2Config().n_layer)
"""
    assert python(code).splitlines() == ["False True True False", "True False", "0.5 True", "AutoTokenizer", "12"]


@pytest.mark.parametrize("name", ["scipy", "transformers"])
def test_others_ask_for_the_version_and_the_place_first(name: str):
    pytest.importorskip(name, reason="an extra installs it")
    code = f"""
import {name}
from importlib.metadata import version
from pathlib import Path
print(Path({name}.__file__).parent.name, heavy(), {name}.__version__ == version("{name}"))
"""
    assert python(code) == f"{name} [] True"


def test_what_looks_at_all_modules_imports_none():
    code = """
import inspect
for asked in ("__version__", "__file__", "__spec__", "__doc__", "__loader__", "__wrapped__"):
    for module in sys.modules.values():
        getattr(module, asked, None)
inspect.getmodule(model.forward)
print(heavy())
"""
    assert python(code) == "[]"


STAND_INS = ["scipy", "scipy.signal", "transformers", "sympy", "torch._dynamo", "torch._inductor",
    "torch._inductor.config", "torch.fx.experimental.symbolic_shapes"]  # fmt: skip


@pytest.mark.parametrize("fake", ["None", "ModuleType('scipy')"])
def test_what_others_put_there_stays(fake: str):
    code = f"""
import sys
from types import ModuleType
from modelforge.core.lazy_extras import import_extras_late
fake = sys.modules["scipy"] = {fake}
import_extras_late()
print(sys.modules["scipy"] is fake, "scipy.signal" in sys.modules)
"""
    assert python(code, "") == "True False"


def test_each_is_found_where_it_is():
    pytest.importorskip("transformers", reason="a development dependency")
    code = f"""
import inspect
from importlib.util import find_spec
from pathlib import Path
for name in {STAND_INS}:
    stand_in, spec = sys.modules[name], find_spec(name)
    assert spec is stand_in.__spec__ and spec.name == name and spec.origin == stand_in.__file__, name
    assert name.rpartition(".")[2] in (Path(spec.origin).stem, Path(spec.origin).parent.name), spec.origin
import scipy.signal
print("Signal processing" in inspect.getsource(scipy.signal), heavy(), find_spec("scipy.stats").name)
"""
    assert python(code, EARLY) == "True [] scipy.stats"


@pytest.mark.parametrize(
    ("module", "name"), [("scipy.signal", "butter"), ("scipy", "stats"), ("torch._dynamo", "reset")]
)
def test_a_star_and_a_list_have_all_names(module: str, name: str):
    code = f"""
from importlib import import_module
early = import_module("{module}")
from {module} import *
print({name} is getattr(import_module("{module}"), "{name}"), "{name}" in dir(early))
"""
    assert python(code, EARLY) == "True True"


@pytest.mark.parametrize(("module", "name"), [("scipy.signal", "butter"), ("transformers", "GPT2Config"),
    ("torch._dynamo", "graph_break"), ("torch.fx.experimental.symbolic_shapes", "sym_eq")])  # fmt: skip
def test_what_is_assigned_is_there_for_all(module: str, name: str):
    pytest.importorskip(module.partition(".")[0], reason="an extra installs it")
    code = f"""
from importlib import import_module
from unittest import mock
early = import_module("{module}")
with mock.patch("{module}.{name}") as fake:
    late = import_module("{module}")
    assert early.{name} is fake and late.{name} is fake
assert early is not late and early.{name} is late.{name} is not fake
early.{name} = late.new = fake
assert late.{name} is fake and early.new is fake
del early.new
print(hasattr(late, "new"))
"""
    assert python(code, EARLY) == "False"


@pytest.mark.parametrize("name", ["torch._dynamo.config", "transformers.utils"])
def test_a_part_that_its_package_imports_is_imported_once(name: str):
    """torch would not read settings that are made on a second copy of `torch._dynamo.config`."""
    package, _, part = name.rpartition(".")
    pytest.importorskip(package.partition(".")[0], reason="an extra installs it")
    code = f"""
import {name} as first
held = [vars(module).get("{part}") for key, module in [*sys.modules.items()] if key.startswith("{package}.")]
copies = {{id(one) for one in held if getattr(one, "__name__", None) == "{name}"}} | {{id(first)}}
parts = [key.rpartition(".")[2] for key in sys.modules if key.rpartition(".")[0] == "{name}"]
print(len(copies), [own for own in parts if not hasattr(first, own)], first.__spec__.loader is first.__loader__)
"""
    assert python(code, EARLY) == "1 [] True"


def test_threads_get_the_same_module():
    code = """
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from threading import Barrier
from modelforge.core.lazy_torch import LazyModule
class Small(LazyModule):
    NAME = "colorsys"
sys.setswitchinterval(1e-6)
spec, barrier = find_spec("colorsys"), Barrier(4)
def ask(stand_in):
    barrier.wait()
    return stand_in.rgb_to_hsv
with ThreadPoolExecutor(4) as pool:
    for _ in range(1000):
        stand_in = sys.modules["colorsys"] = Small(spec)
        assert len({*pool.map(ask, [stand_in] * 4)}) == 1
print(sys.modules["colorsys"].rgb_to_hsv is stand_in.rgb_to_hsv)
"""
    assert python(code, EARLY) == "True"


def test_a_run_imports_what_it_uses_alone(tmp_path: Path):
    before = f"import atexit\n{HEAVY}\natexit.register(lambda: sys.stderr.write(f'imported {{heavy()}}'))"
    sizes = ("model=lstm", "data=adding", *(f"data.{name}=32" for name in ("num_train", "num_val", "num_test")))
    done = child(tmp_path / "run", *sizes, "trainer.max_epochs=1", before=before, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("imported []"), done.stderr
