"""small_projects: two config folders of ours, which a process composes, plans and compares before it confines itself.

Python and its packages import much at first use, and read files and ask the system for more than a stranger's config
may. What these few lines use is there afterwards.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from modelforge.config.document import Document
from modelforge.config.trust import check_resolvers
from modelforge.core.errors import ForgeError
from modelforge.core.quoting import printable

FILES: Mapping[str, str] = {
    "config.yaml": """\
# a comment: é
defaults: [_self_, {data: small}, {init: he}, {model: net}, {scheduler: cosine}]
seed: 0
trainer: {max_epochs: 2}
optimizer: {type: Adam, lr: 0.001}
hydra: {run: {dir: 'runs/${now:%Y}'}}
""",
    "data/small.yaml": """\
{type: digits, input: {shape: [1, 8, 8]}, task: classification, num_classes: 10, num_outputs: 10, batch_size: 64}
""",
    "init/he.yaml": "{scheme: kaiming, distribution: uniform, gain: 1}\n",
    "model/net.yaml": """\
input: ${data.input}
layers:
  stem: {type: Conv2d, out_channels: 4, kernel_size: 3}
  norm: BatchNorm2d
  act: GELU
  flat: {type: Flatten}
  head: {type: Linear, out_features: "${data.num_outputs}"}
""",
    "scheduler/cosine.yaml": "{type: cosine, warmup: 0.1}\n",
}


@contextmanager
def small_projects() -> Generator[tuple[Path, Path]]:
    """Two such folders, with another gain in the second; gone when the context ends."""
    with TemporaryDirectory(prefix="modelforge-") as place:
        folders = Path(place, "old"), Path(place, "new")
        for folder, gain in zip(folders, ("1", "1.5"), strict=True):
            for name, text in FILES.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text.replace("gain: 1", f"gain: {gain}"), encoding="utf-8")
        yield folders


def refuse_one() -> None:
    """Refuses an interpolation, whose parser and whose error import more."""
    with suppress(ForgeError):
        check_resolvers(Document(printable("\u200b"), "a: ${a.${a}:b}"))
