"""What `import modelforge` offers: few names, all there, and nothing heavy before it is asked for."""

from __future__ import annotations

import importlib
import pkgutil
import random
import subprocess
import sys
import types
from importlib.util import find_spec

import pytest

import modelforge as mf

DESIGN = {
    *("load", "parse", "plan", "build", "initialize", "calibrate", "diff", "digest", "from_module", "lint", "predict"),
    *("register_activation", "register_calibration", "register_initializer", "register_layer"),
    *("register_callback", "register_logger", "register_rule", "register_signal"),
    *("register_data", "register_metric", "register_task", "Source", "SplitSource", "Task", "load_plugins"),
    *("param_groups", "diagnose", "probe", "solve", "verify", "load_run"),
    *("ForgeError", "Problem", "Place", "ModelSpec", "Plan", "Ledger", "Run", "__version__"),
}


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_all_is_what_the_design_promises():
    assert set(mf.__all__) == DESIGN
    assert len(mf.__all__) == len(set(mf.__all__))
    assert dir(mf) == sorted(mf.__all__)


@pytest.mark.parametrize("name", sorted(mf.__all__))
def test_every_name_is_there(name):
    value = getattr(mf, name)
    assert not isinstance(value, types.ModuleType)
    assert name == "__version__" or (value.__doc__ or "").strip()


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="module 'modelforge' has no attribute 'bild'"):
        _ = mf.bild  # pyright: ignore[reportAttributeAccessIssue]  # that is the point


def test_the_import_is_light():
    heavy = run(
        "import sys, modelforge; print([n for n in ('torch', 'hydra', 'pydantic', 'lightning') if n in sys.modules])"
    )
    assert heavy == "[]"


def test_errors_and_the_ledgers_words_need_no_torch():
    assert run("import sys, modelforge as mf; mf.ForgeError; mf.Problem; print('torch' in sys.modules)") == "False"


def test_a_prediction_needs_no_trainer_and_no_metric():
    names = "[n for n in ('lightning', 'torchmetrics', 'sklearn') if n in sys.modules]"
    assert run(f"import sys, modelforge as mf; mf.load_run; print({names})") == "[]"


def test_functions_stay_functions_whatever_is_imported_first():
    code = "import modelforge.planning.plan, modelforge.building.build, modelforge.linting.lint, modelforge as mf; "
    code += "print(all(callable(f) for f in (mf.plan, mf.build, mf.initialize, mf.lint)))"
    assert run(code) == "True"
    code = "import modelforge as mf; mf.plan; from modelforge.planning.plan import Plan; "
    code += "from modelforge import plan, build; print(mf.Plan is Plan, plan.__name__, build.__name__)"
    assert run(code) == "True plan build"


def test_everything_works_without_warnings_in_a_fresh_process():
    code = (
        "import modelforge as mf; layers = {'head': {'type': 'Linear', 'out_features': 2, 'init': 'orthogonal'}}; "
        "print(mf.build(mf.parse({'input': {'shape': [4]}, 'layers': layers})).ledger.ok)"
    )
    assert run(code) == "True"


@pytest.mark.parametrize(
    "name",
    [
        "load",
        "parse",
        "plan",
        "probe",
        "build",
        "from_module",
        "initialize",
        "lint",
        "register_layer",
        "register_logger",
        "register_initializer",
    ],
)
def test_every_function_shows_an_example(name):
    assert ">>> " in getattr(mf, name).__doc__


def test_every_module_says_what_it_is():
    for info in pkgutil.walk_packages(mf.__path__, "modelforge."):
        if info.name.endswith("__main__") or (info.name.endswith("launchers_ray") and find_spec("ray") is None):
            continue
        assert (importlib.import_module(info.name).__doc__ or "").strip(), info.name


USES = """
import random, sys
random.seed(0)
import modelforge as mf
for name in mf.__all__:
    getattr(mf, name)
plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2}}}, "xavier"))
str(plan), str(mf.build(plan).ledger), mf.lint(plan), str(mf.predict(plan))
print("rich" in sys.modules, random.random())
"""


def test_pythons_random_numbers_are_those_without_modelforge():
    """Rich draws one when it is imported."""
    shown = subprocess.run([sys.executable, "-c", USES], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["True", str(random.Random(0).random())]
