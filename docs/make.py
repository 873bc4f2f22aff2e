"""Writes what can be written from the code: `python docs/make.py`.

docs/layers.md and docs/inits.md come from the registries, docs/models.md from conf/model, and the console blocks of
README.md from running their commands.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

import modelforge as mf
from modelforge import inits
from modelforge.config import compose
from modelforge.inits import registry as schemes
from modelforge.language import registry
from modelforge.layers.describe import describe

ROOT = Path(__file__).parents[1]
INITS = """# Initializers

Made by `python docs/make.py` from the registry: what an `init` block can name as `scheme`, with its formula, its source
and its fields. Fans are counted per logical block (a gate, a projection, a group), never per packed tensor, where it is
known what a tensor packs: of registered classes, and of others whose `forward` takes a linear layer's output apart in
plain sight (`chunk(3, dim=-1)`, a split into sizes, a reshape with 3 before the heads). Where a name alone tells of
packing (`qkv`, `gate_up_proj`), the plan warns (MW113), and `mf.initialize` in
`ledger.warnings` and below the printed ledger; `params` says what it is:
`params: {"*.qkv.weight": {matrices: 3}}`, or the rows of each, `{matrices: [64, 16, 16]}`. Names of
other libraries (`torch.*`, `keras.*`, `jax.*`, `torch_default`) count fans as those do.

Values are made in float32 and rounded to what a parameter holds. Those of float64 are made of the same random words and
of second ones for the digits beyond: they are those of float32 with more digits. float8 is refused.
"""
GAINS = """## `gain`

Where a scheme has the field `gain`, weights are larger by it, so that the activation φ behind them keeps the size of
what flows through. With z ~ N(0, 1):

| `gain:` | is |
| --- | --- |
| a number | itself |
| `ReLU`, `gelu`, `LeakyReLU(0.2)`, … | 1 / √E φ(z)² of that φ: it keeps the second moment; 1.414, 1.534, 1.387 |
| `torch.tanh`, `torch.leaky_relu(0.2)`, … | the constants of `torch.nn.init.calculate_gain`: 5/3, 1.387 |
| `auto` | 1 / √E φ(z)² of the activation that follows in the graph; 1 where none does |
| `auto_backward` | 1 / √E φ'(z)² of that: it keeps the second moment of gradients |
| `critical(q)` | 1 / √E φ'(√q·z)² of that: the same for inputs of φ of variance q; `critical` is `critical(1)` |

`modelforge list activations` has the names.

`critical(q)` is the σ_w of the scheme [`critical`](#critical-edge_of_chaos), for weights of any other scheme. Inputs of
φ keep the variance q only with its biases, of the same q:

```python
import modelforge as mf

layers = {"up": {"type": "Linear", "out_features": 256}, "act": "Tanh", "head": {"type": "Linear", "out_features": 10}}
init = {"scheme": "orthogonal", "gain": "critical(0.5)", "bias": {"scheme": "critical", "q": 0.5}}
ledger = mf.build(mf.parse({"input": {"shape": [256]}, "layers": layers}, init=init)).ledger
print(round(ledger["up.weight"].numbers["gain"], 4), round(ledger["up.bias"].target_std, 4))  # 1.2992 0.195
```
"""
CALIBRATION = """## Afterwards, by data: `mf.calibrate`

No block names these: they need a batch, so they are called from Python when a model has its initial values. `lsuv`
(Mishkin and Matas, All you need is a good init, arXiv:1511.06422) rescales each kernel, in the order in which layers
run, until what its layer makes has unit variance; `per_channel` (Salimans and Kingma, arXiv:1602.07868) does so channel
by channel, means included. Nothing is drawn a second time; what cannot be rescaled is left, and the ledger says why.

```python
import torch
from torch import nn
import modelforge as mf

net = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64))
ledger = mf.initialize(net, "orthogonal", seed=0)
batch = torch.randn(256, 64, generator=torch.Generator().manual_seed(0))
ledger = mf.calibrate(net, batch, "lsuv", ledger=ledger)
done = ledger["2.weight"].calibration
print(done.passes, round(done.variance_before, 1), round(done.variance_after, 3))  # 1 0.4 1.0
```

A model of `mf.build` remembers its ledger: `mf.calibrate(model, batch)` is enough.
"""
LAYERS = """# Layers

Made by `python docs/make.py` from the registry: what a config can name as `type`, and the classes of `torch.nn` that it
cannot. An argument in italics may be left out, because what arrives determines it; `=` gives a default; the others are
required. Every layer also takes `inputs` and `init`.
"""
OWN = """## Your own

`mf.register_layer` makes an `nn.Module` class a layer: its signature says which arguments it takes. Planning runs each
layer in training and in evaluation, on the meta device and on the CPU, on a few random examples. What fails there,
gives values that are not finite, or lets one example see the others of its batch, is refused before anything is built.
Where the last is the purpose, as in a batch norm, `mixes_batch=True` declares it, for training.

Which of its modules make its output, and which residual branches it has inside, a class that holds modules must say;
else schemes that count branches treat none of its parameters as an end of one, and warn (MW107):

```python
import torch
from torch import nn

import modelforge as mf
from modelforge.layers import register_inside


@mf.register_layer
class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.act, self.down = nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64)

    def forward(self, x):
        return self.down(self.act(self.up(x)))


@register_inside(Mixer)
def mixer(module):
    return {"up": (), "down": "output"}  # what reads each child: activations, none, or it is the layer's own output


layers = {f"block{i}": {"type": "Residual", "layers": {"mix": "Mixer"}} for i in range(4)}
plan = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="gpt2"))
assert plan.parameter("block0.mix.down.weight").std == 0.02 / 4**0.5
```

A class whose `forward` itself adds its input has a branch inside: `register_branches(Mixer, ("up", "down"))` names the
modules in it, the one that ends it last. Of sums and products of your own, `register_layer(joins="sum")` and
`joins="product"` say so: a sum with something that it was made from joins a residual branch, wherever it stands, and
what only gates a product ends none.
"""
MODELS = """# Models

Made by `python docs/make.py` from `conf/model/`. Each file is the whole network, layer by layer, and says in its head
what departs from the paper; `modelforge show model=NAME` draws it. Any of them takes other data of its kind, another
init, another size, and an override of any value. Counts are those of the default: the first size, on its own data.
"""
TITLES = {
    "combinator": "Combinators",
    "layer": "Layers with arithmetic of their own",
    "activation": "Activations",
    "passthrough": "Layers that an activation counts through",
    "unknown": "Layers in front of which `gain: auto` is refused",
}


def layers() -> str:
    """The page as Markdown."""
    known = [describe(name) for name in registry.names()]
    parts = [LAYERS]
    for kind, title in TITLES.items():
        rows = [_row(layer) for layer in known if layer["kind"] == kind]
        parts.append("\n".join([f"## {title}\n", "| type | reads | arguments |", "| --- | --- | --- |", *rows, ""]))
    left_out = sorted((reason, name) for name, reason in registry.LEFT_OUT.items())
    rows = [
        f"| {', '.join(f'`{name}`' for _, name in group)} | {reason} |"
        for reason, group in groupby(left_out, key=lambda pair: pair[0])
    ]
    parts.append(OWN)
    parts.append("\n".join(["## Left out of torch.nn\n", "| class | why |", "| --- | --- |", *rows, ""]))
    return "\n".join(parts)


def _row(layer: dict[str, Any]) -> str:
    reads = " or ".join(f"`{axes}`" for axes in layer["reads"])
    return f"| `{layer['name']}` | {reads} | {', '.join(map(_argument, layer['fields'])) or 'none'} |"


def _argument(field: dict[str, Any]) -> str:
    words = field["type"].replace("|", "\\|")
    if field["inferred"]:
        return f"*{field['name']}*: {words}"
    if field["required"]:
        return f"**{field['name']}**: {words}"
    default = json.dumps(field["default"]) if not isinstance(field["default"], str) else field["default"]
    return f"{field['name']}: {words} = {default}"


def initializers() -> str:
    """The page of initializers as Markdown."""
    parts = [INITS, GAINS]
    for name in schemes.names():
        known = inits.describe(name)
        names = ", ".join(f"`{alias}`" for alias in (name, *known["aliases"]))
        fields = [
            f"| `{field['name']}` | {_cell(field['type'])} | {_default(field)} | {_cell(field['doc'])} |"
            for field in known["fields"]
        ]
        table = ["| field | type | default | |", "| --- | --- | --- | --- |", *fields, ""] if fields else []
        about = [
            f"## {names}\n",
            known["summary"],
            "",
            f"- Formula: {known['formula']}",
            f"- Source: {known['source']}",
            f"- Example: `{{{', '.join(f'{key}: {value}' for key, value in known['example'].items())}}}`",
            "",
        ]
        parts.append("\n".join([*about, *table]))
    return "\n".join([*parts, CALIBRATION])


def models() -> str:
    """The page of models as Markdown."""
    rows = ["| `model=` | what it is | sizes | parameters | data | init |", "| --- | --- | --- | --- | --- | --- |"]
    for path in sorted((ROOT / "conf" / "model").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        sizes = ", ".join(f"`{size}`" for size in yaml.safe_load(text).get("sizes", {}))
        config = compose(ROOT / "conf", [f"model={path.stem}"])
        chosen = [f"`{config.hydra['runtime']['choices'][group]}`" for group in ("data", "init")]
        count = f"{mf.plan(mf.parse(config)).num_parameters:,}"
        rows.append(f"| `{path.stem}` | {_first_sentence(text)} | {' | '.join([sizes, count, *chosen])} |")
    return "\n".join([MODELS, *rows, ""])


def _first_sentence(text: str) -> str:
    comment = " ".join(line[2:] for line in text.partition("\n#   ")[0].splitlines() if line.startswith("# "))
    return re.split(r"(?<! al)\. ", comment)[0].removesuffix(".")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(field: dict[str, Any]) -> str:
    return "required" if field["required"] else f"`{field['default']}`"


def readme(text: str) -> str:
    """The README with the output of each `$ modelforge ...` block as it is today."""
    return re.sub(r"```console\n\$ (modelforge [^\n]*)\n.*?```", _rerun, text, flags=re.DOTALL)


def _rerun(block: re.Match[str]) -> str:
    command = [sys.executable, "-c", "from modelforge.cli import main; main()", *shlex.split(block[1])[1:]]
    environment = os.environ | {"COLUMNS": "88"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    lines = [line.rstrip() for line in (done.stdout + done.stderr).rstrip().splitlines()]
    return "\n".join(["```console", f"$ {block[1]}", *lines, "```"])


if __name__ == "__main__":
    (ROOT / "docs" / "layers.md").write_text(layers(), encoding="utf-8")
    (ROOT / "docs" / "inits.md").write_text(initializers(), encoding="utf-8")
    (ROOT / "docs" / "models.md").write_text(models(), encoding="utf-8")
    page = ROOT / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8")), encoding="utf-8")
