"""Writes what can be written from the code: `python docs/make.py`.

docs/layers.md and docs/inits.md come from the registries, docs/models.md from conf/model, and the console blocks of all
pages from running their commands.
"""

from __future__ import annotations

import json
import re
import shlex
from contextlib import chdir
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from typer.testing import CliRunner

import modelforge as mf
from modelforge import inits
from modelforge.cli.app import app
from modelforge.config.compose import compose
from modelforge.inits import registry as schemes
from modelforge.language import registry
from modelforge.layers.describe import describe
from modelforge.linting.page import index, page
from modelforge.linting.rule import RULES, LintRule
from modelforge.train.settings import training_of

ROOT = Path(__file__).parents[1]
INITS = """# Initializers

Written by `python docs/make.py` from the registry: everything that an [init block](init-block.md) can name as `scheme`,
with its formula, source and fields.

Fans are counted for each matrix in a parameter (a gate, a projection, a group), never for the packed tensor. The
matrices are known for registered classes. For other classes they are read from `forward`, where it cuts the last
dimension of what linear layers make, or the channels of convolutions, alone or in a sum (`chunk(3, dim=-1)`, a split
into sizes, a reshape with 3 before the heads that are then taken apart). Where it leaves a doubt (`chunk(2, dim=1)`),
or where only the name suggests packing (`qkv`, `gate_up_proj`), the plan warns (MW113); `mf.initialize` puts the
warning into `ledger.warnings`. Then `params` declares the matrices: `params: {"*.qkv.weight": {matrices: 3}}`, or the
rows of each, `{matrices: [64, 16, 16]}`.

Names of other libraries (`torch.*`, `keras.*`, `jax.*`, `torch_default`) count fans as those libraries do.

Values are computed in float32 and rounded to the dtype of the parameter. float64 parameters get the same values with
more digits, of which the last may differ between processors. float8 is refused.
"""
GAINS = """## `gain`

The field `gain` multiplies the std of the weights, so that the activation φ that follows preserves the scale of the
signal. With z ~ N(0, 1):

| `gain:` | value |
| --- | --- |
| a number | itself |
| `ReLU`, `gelu`, `LeakyReLU(0.2)`, … | 1 / √E φ(z)² for this φ, which preserves E φ(z)²: 1.414, 1.534, 1.387 |
| `torch.tanh`, `torch.leaky_relu(0.2)`, … | the constants of `torch.nn.init.calculate_gain`: 5/3, 1.387 |
| `auto` | 1 / √E φ(z)² for the activation that follows in the graph; 1 if none follows |
| `auto_backward` | 1 / √E φ'(z)² for the same activation, which preserves the second moment of gradients |
| `critical(q)` | 1 / √E φ'(√q·z)²: as `auto_backward`, for inputs of variance q; `critical` is `critical(1)` |

`modelforge list activations` prints the names.

`critical(q)` is the σ_w of the scheme [`critical`](#critical-edge_of_chaos), for use with any other scheme. The
variance q is preserved only if the biases are those of `critical` with the same q:

```python
import modelforge as mf

layers = {"up": {"type": "Linear", "out_features": 256}, "act": "Tanh", "head": {"type": "Linear", "out_features": 10}}
init = {"scheme": "orthogonal", "gain": "critical(0.5)", "bias": {"scheme": "critical", "q": 0.5}}
ledger = mf.build(mf.parse({"input": {"shape": [256]}, "layers": layers}, init=init)).ledger
print(round(ledger["up.weight"].numbers["gain"], 4), round(ledger["up.bias"].target_std, 4))  # 1.2992 0.195
```
"""
CALIBRATION = """## After the build: `mf.calibrate`

These methods need a batch of data, so they are called from Python, after a model has its initial values. `lsuv`
(Mishkin and Matas, All you need is a good init, arXiv:1511.06422) rescales the kernel of each layer, in execution
order, until the layer's output has unit variance. `per_channel` (Salimans and Kingma, arXiv:1602.07868) does this for
each channel, means included. Nothing is drawn again. Kernels that cannot be rescaled, such as those of zeros, are left
alone, and the ledger gives the reason.

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

A model built by `mf.build` has its ledger: `mf.calibrate(model, batch)` is enough.
"""
LAYERS = """# Layers

Written by `python docs/make.py` from the registry: everything that a config can name as `type`, and the classes of
`torch.nn` that it cannot. Arguments in bold are required, those with `=` have a default, and those in italics are
inferred from the input's shape. Every layer also takes `inputs`, `init` and `when`: see [the language](language.md).
"""
OWN = """## Your own layers

`mf.register_layer` makes an `nn.Module` class a layer; its signature gives the arguments. Planning runs each layer in
training and in evaluation mode, on the meta device and on the CPU, on a few random examples. A layer is refused if it
fails, if its values are not finite, or if one example affects another in its batch. Where that is intended, as in a
batch norm, `mixes_batch=True` allows it in training.

A class with child modules must declare which of them produce its output, and which residual branches it contains.
Otherwise schemes that count branches treat none of its parameters as the end of a branch, and warn (MW107):

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
    return {"up": (), "down": "output"}  # the activations that follow each child; or "output"


layers = {f"block{i}": {"type": "Residual", "layers": {"mix": "Mixer"}} for i in range(4)}
plan = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="gpt2"))
assert plan.parameter("block0.mix.down.weight").std == 0.02 / 4**0.5
```

A class that adds its input inside `forward` contains a branch: `register_branches(Mixer, ("up", "down"))` names the
modules in it, the last one at its end. For your own sums and products, use `register_layer(joins="sum")` and
`joins="product"`. A sum of a value with something computed from that value ends a residual branch, wherever it stands;
a product ends none.
"""
MODELS = """# Models

Written by `python docs/make.py` from `conf/model/`. Each file is a whole network, layer by layer; its first lines say
where it departs from the paper. `modelforge show model=NAME` prints it. Every model accepts other data of the same
kind, another init, another size, and an override of any value. The number of parameters is that of the first size on
the data in the table.
"""
TITLES = {
    "combinator": "Combinators",
    "layer": "Layers that compute",
    "activation": "Activations",
    "passthrough": "Layers that `gain: auto` looks through",
    "unknown": "Layers before which `gain: auto` is refused",
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
    comment = " ".join(line[2:] for line in _header(text) if line.startswith("# "))
    return re.split(r"(?<! al)\. ", comment)[0].removesuffix(".")


def _header(text: str) -> list[str]:
    """The lines of a config before its examples, without the one that names its schema."""
    lines = text.partition("\n#   ")[0].splitlines()
    return [line for line in lines if not line.startswith("# yaml-language-server:")]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(field: dict[str, Any]) -> str:
    return "required" if field["required"] else f"`{field['default']}`"


def rules() -> dict[Path, str]:
    """The pages of lint rules as Markdown, by path below docs/."""
    every = [rule for _, rule in RULES.entries()]
    pages = {Path("lint") / f"{rule.code}.md": page(rule, linted(rule, rule.bad) if rule.bad else "") for rule in every}
    return {Path("lint") / "README.md": index(every), **pages}


def linted(rule: LintRule, text: str) -> str:
    """What linting a config with one rule prints."""
    config = yaml.safe_load(text)
    found = mf.lint(mf.plan(mf.parse(config)), training_of(config), rules=[rule.code])
    return "\n\n".join(map(str, found))


def renewed(page: str) -> str:
    """The page with what each `$ modelforge ...` block prints today.

    A command reads the nearest config above it on the page: a block of YAML that begins with `model:`, as
    conf/config.yaml. Where there is none, or where the command names a `model=` of its own, it reads conf/.
    """
    config = ""

    def renew(block: re.Match[str]) -> str:
        nonlocal config
        config = block["config"] or config
        return block[0] if block["config"] else _rerun(block["command"], config)

    return _SHOWN.sub(renew, page)


_SHOWN = re.compile(
    r"```yaml\n(?P<config>model:.*?)```|```console\n\$ modelforge (?P<command>[^\n]*)\n.*?```", flags=re.DOTALL
)


def _rerun(command: str, config: str) -> str:
    with TemporaryDirectory() as folder:
        if not config or "model=" in command:
            folder = ROOT
        else:
            (Path(folder) / "conf").mkdir()
            (Path(folder) / "conf" / "config.yaml").write_text(config, encoding="utf-8")
        with chdir(folder):
            printed = CliRunner().invoke(app, shlex.split(command), env={"COLUMNS": "88"}).output
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    return "\n".join(["```console", f"$ modelforge {command}", *lines, "```"])


if __name__ == "__main__":
    (ROOT / "docs" / "layers.md").write_text(layers(), encoding="utf-8")
    (ROOT / "docs" / "inits.md").write_text(initializers(), encoding="utf-8")
    (ROOT / "docs" / "models.md").write_text(models(), encoding="utf-8")
    for path, text in rules().items():
        (ROOT / "docs" / path).write_text(text, encoding="utf-8")
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
