"""What a process does before it confines itself: what is imported late is there then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKED = """
import sys
from pathlib import Path
from modelforge.core.lazy_torch import import_compiler_late
import_compiler_late()
from modelforge.cli import comparing, untrusted
from modelforge.review.pair import Pair
from modelforge.review.sides import Side

untrusted.warm_up()
comparing.warm_up()
before = set(sys.modules)
for model in ("resnet_small", "lstm", "transformer", "unet"):
    untrusted.examined(untrusted.Question(conf="conf", overrides=(f"model={model}",), every=False))
sides = [Side(name, "revision", Path(sys.argv[1], name), "conf") for name in ("old", "new")]
print(comparing.compare_sides(Pair(*sides)).document.verdict)
late = {name for name in sys.modules.keys() - before if not name.startswith("encodings.")}
assert not late, late
assert sys.modules["torch._dynamo"].waits(), "the compiler was imported"
"""


@pytest.mark.slow
def test_nothing_is_imported_afterwards(tmp_path: Path):
    texts = {path.relative_to(ROOT / "conf"): path.read_text() for path in (ROOT / "conf").rglob("*.yaml")}
    for side, gain, size in (("old", "gain: 1.0", "hidden_size: 64"), ("new", "gain: 1.4", "hidden_size: 32")):
        for name, text in texts.items():
            (tmp_path / side / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / side / name).write_text(text.replace("gain: 1.0", gain).replace("hidden_size: 64", size))
    words = [sys.executable, "-c", CHECKED, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "layers changed" in done.stdout
