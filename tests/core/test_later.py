"""Packages that few runs use are imported by those runs alone, and are then whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.train.runs import child

HEAVY = """
def heavy():
    late = ("scipy", "transformers", "matplotlib", "torch._dynamo", "sympy", "sklearn")
    parts = [f"matplotlib.{part}" for part in ("axes", "colors", "pyplot")]
    there = {*sys.modules} - {"scipy.signal", *parts}
    return sorted(one for one in late if any(name.startswith(f"{one}.") for name in there))
"""
START = f"""
import sys
{HEAVY}
from modelforge.core.later import put_off_extras
put_off_extras()
import lightning, torch, torchmetrics
model = torch.nn.Linear(3, 2)
"""


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, check=False)
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


def test_plots_are_whole_when_one_is_drawn():
    pytest.importorskip("matplotlib", reason="an extra installs it")
    code = """
import matplotlib
matplotlib.use("agg")
accuracy = torchmetrics.MeanMetric()
figure, axes = accuracy.plot(torch.tensor([0.1, 0.4]))
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
print(isinstance(axes, Axes), isinstance(axes, torchmetrics.utilities.plot._AX_TYPE), type(figure) is plt.Figure)
confusion = torchmetrics.ConfusionMatrix("multiclass", num_classes=2)
confusion.update(torch.tensor([0, 1]), torch.tensor([0, 1]))
print(len(confusion.plot(cmap="viridis")[0].axes), plt.style.context is torchmetrics.utilities.plot.style_change)
"""
    assert python(code).splitlines() == ["True True True", "1 False"]


@pytest.mark.parametrize("first", ["import matplotlib.pyplot as plt", "from matplotlib import pyplot as plt",
    "from matplotlib.axes import Axes", "import matplotlib.figure", "from matplotlib import figure"])  # fmt: skip
def test_matplotlib_is_itself_for_others(first: str):
    pytest.importorskip("matplotlib", reason="an extra installs it")
    code = f"""
{first}
import matplotlib, matplotlib.axes, matplotlib.figure, matplotlib.pyplot
matplotlib.use("agg")
axes = matplotlib.figure.Figure().subplots()
print(isinstance(axes, matplotlib.axes.Axes), matplotlib.pyplot.style.context.__module__, matplotlib.__version__[:1])
"""
    assert python(code) == "True matplotlib.style 3"


@pytest.mark.parametrize("name", ["matplotlib", "scipy", "transformers"])
def test_others_ask_for_the_version_and_the_place_first(name: str):
    pytest.importorskip(name, reason="an extra installs it")
    code = f"""
import {name}
from importlib.metadata import version
from pathlib import Path
print(Path({name}.__file__).parent.name, heavy(), {name}.__version__ == version("{name}"))
"""
    assert python(code) == f"{name} [] True"


def test_a_run_imports_what_it_uses_alone(tmp_path: Path):
    before = f"import atexit\n{HEAVY}\natexit.register(lambda: sys.stderr.write(f'imported {{heavy()}}'))"
    sizes = ("model=lstm", "data=adding", *(f"data.{name}=32" for name in ("num_train", "num_val", "num_test")))
    done = child(tmp_path / "run", *sizes, "trainer.max_epochs=1", before=before, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("imported []"), done.stderr
