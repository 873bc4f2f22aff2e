"""list: what there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from modelforge import inits
from modelforge.inits.gains import gain as gains
from modelforge.language import registry
from modelforge.linting.rule import register_rule, unregister_rule


@pytest.fixture
def ramp() -> Iterator[None]:
    """A scheme of our own, so that the golden text is."""

    @inits.register_initializer("ramp", aliases=("slope",))
    class Ramp(inits.Matrixwise):
        """Values that rise evenly.

        Formula: w_i = top · i / n
        Source: this test
        """

        top: float = 1.0
        """The last value."""

        def fill(self, out: torch.Tensor, matrix: inits.Matrix, generator: torch.Generator) -> None:
            del matrix, generator
            out.copy_(torch.linspace(0, self.top, out.numel()).reshape(out.shape))

    yield
    inits.unregister_initializer("ramp")


@pytest.mark.parametrize("name", ["Repeat", "Select", "PositionEmbedding"])
def test_a_layer(text, snapshot, name):
    assert text("list", "layers", name) == snapshot


def test_a_layer_of_torch_has_its_documentation(data):
    linear = data("list", "layers", "Linear")
    fields = {field["name"]: field for field in linear["fields"]}
    assert fields["in_features"]["inferred"]
    assert fields["in_features"]["doc"] == "size of each input sample"
    assert fields["bias"]["default"] is True
    assert linear["reads"] == ["(..., features)"]


def test_a_class_that_is_left_out(text, data):
    shown = text("list", "layers", "LazyLinear")
    assert (
        shown.replace("\n", " ")
        == "LazyLinear is not a layer here: shapes are inferred here: use the class without `Lazy`"
    )
    assert data("list", "layers", "LazyLinear")["left_out"]


def test_all_layers(text, data):
    shown = text("list", "layers")
    assert all(name in shown for name in (*registry.names(), *registry.LEFT_OUT))
    answer = data("list", "layers")
    assert [layer["name"] for layer in answer["layers"]] == list(registry.names())
    assert all(layer["summary"] for layer in answer["layers"])


def test_a_glob(data):
    names = [layer["name"] for layer in data("list", "layers", "Conv?d")["layers"]]
    assert names == ["Conv1d", "Conv2d", "Conv3d"]


def test_an_initializer(text, snapshot, ramp):
    assert text("list", "inits", "slope") == snapshot


def test_all_initializers(text, data):
    shown = text("list", "inits")
    assert all(name in shown for name in inits.names())
    assert [item["name"] for item in data("list", "inits")["inits"]] == list(inits.names())


def test_an_activation(text, snapshot):
    assert text("list", "activations", "ReLU") == snapshot


def test_all_activations(data, text):
    listed = {item["name"]: item["gain"] for item in data("list", "activations")["activations"]}
    assert set(listed) == set(gains.names())
    assert listed["ReLU"] == pytest.approx(2**0.5)
    assert "LeakyReLU, leaky_relu" in text("list", "activations")


@pytest.mark.parametrize(
    ("kind", "name", "message", "hint"),
    [
        ("layers", "Linea", "error[MF010]: unknown layer type `Linea`", "`Linear`"),
        ("inits", "xavir", "error[MF020]: unknown initializer `xavir`", "`xavier`"),
        ("activations", "relo", "error[MF080]: no activation named `relo` has a gain", "`ReLU`"),
        ("callbacks", "emma", "error[MF080]: unknown callback `emma`", "`ema`"),
        ("loggers", "wandbee", "error[MF080]: unknown logger `wandbee`", "`wandb`"),
        ("tasks", "regresion", "error[MF080]: unknown task `regresion`", "`regression`"),
        ("data", "cvs", "error[MF080]: unknown data source `cvs`", "`csv`"),
        ("layers", "Q*", "error[MF080]: `Q*` matches none of the layers", "see `list layers`"),
    ],
)
def test_unknown_names(text, kind, name, message, hint):
    shown = text("list", kind, name, status=1)
    assert message in shown
    assert hint in shown


def test_an_unknown_kind_is_misuse(run):
    assert "'layer' is not one of" in run("list", "layer", status=2).stderr


@pytest.mark.parametrize(
    ("kind", "name"), [("callbacks", "ema"), ("loggers", "wandb"), ("tasks", "classification"), ("data", "csv")]
)
def test_a_callback_and_a_logger(text, data, snapshot, kind, name):
    assert text("list", kind, name) == snapshot
    facts = data("list", kind, name)
    assert all(field["doc"] for field in facts["fields"])
    assert facts in data("list", kind)[kind]


def test_lint_rules_those_of_ones_own_too(text, data):
    @register_rule("ACME101", title="a wide layer", why="It does not fit.", when="More than 60 outputs.")
    def wide(subject):
        yield from ()

    assert wide is not None
    try:
        assert "ACME101  note     a wide layer\nMW101    warning  " in text("list", "rules")
        assert data("list", "rules", "ACME101")["when"] == "More than 60 outputs."
    finally:
        unregister_rule("ACME101")
    shown = text("list", "rules", "MW131")
    assert all(part in shown for part in ("severity  note", "when      An orthogonal matrix", "found here", "not here"))
