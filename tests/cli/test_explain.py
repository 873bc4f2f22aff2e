"""explain: why a parameter starts the way it does."""

from __future__ import annotations

from pathlib import Path


def test_a_refined_scheme(text, snapshot):
    assert text("explain", "rnn.weight_hh_l0", "init.gain=3") == snapshot


def test_gates_are_listed_one_by_one(text, snapshot):
    assert text("explain", "rnn.bias_ih_l0") == snapshot


def test_a_default(text, snapshot):
    assert text("explain", "head.bias") == snapshot


def test_values_of_the_module_itself(text):
    shown = text("explain", "head.weight", "init={scheme: torch}", "~model.layers.rnn.init.gain")
    assert "starts as torch: the values of the layer's own `reset_parameters`" in shown


def test_data_says_who_set_each_field(data):
    (parameter,) = data("explain", "rnn.weight_hh_l0", "init.gain=3")["parameters"]
    assert [(link["key"], link["verdict"]) for link in parameter["chain"]] == [
        ("model.layers.rnn.init", "refines"),
        ("init", "wins"),
    ]
    gain, method = parameter["fields"][:2]
    assert (gain["value"], gain["key"], gain["place"]["line"]) == (2.0, "model.layers.rnn.init", 7)
    assert (method["value"], method["key"], method["place"]) == ("qr", "", None)
    assert parameter["matrices"][0]["names"] == ["i", "f", "g", "o"]


def test_an_override_is_the_place_of_what_it_sets(data):
    (parameter,) = data("explain", "head.weight", "init.gain=3")["parameters"]
    assert parameter["fields"][0]["place"] == {"override": "init.gain=3"}


def test_a_block_that_only_declares_matrices_says_which(text, data):
    command = ("explain", "head.weight", "+init.params={head.weight: {matrices: 3}}")
    assert "matrices: 3" in text(*command)
    assert data(*command)["parameters"][0]["chain"][0]["matrices"] == 3


def test_a_layer_stands_for_its_parameters(data):
    for name in ("rnn", "model.layers.rnn", "rnn.*"):
        paths = [parameter["path"] for parameter in data("explain", name)["parameters"]]
        assert paths == ["rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0"]


def test_the_key_of_a_repeated_layer_stands_for_all_copies(data):
    answer = data("explain", "model.layers.trunk.layers.expand", "model=blocks")
    paths = [parameter["path"] for parameter in answer["parameters"]]
    assert paths == [f"trunk.{copy}.expand.{name}" for copy in range(3) for name in ("weight", "bias")]


def test_a_layer_without_parameters(text):
    assert text("explain", "last") == "last (Select) has no parameters"


def test_an_unknown_path(text):
    assert text("explain", "rnn.weight_hh", status=1).splitlines() == [
        "error[MF080]: the model has no parameter and no layer `rnn.weight_hh`",
        "  --> rnn.weight_hh",
        "   = help: did you mean `rnn.weight_hh_l0` or `rnn.weight_ih_l0`?",
    ]


def test_each_name_of_a_tied_parameter_leads_to_its_rule(data):
    conf = str(Path(__file__).parents[2] / "conf")
    by_name = [data("explain", name, "model=gpt2", "--conf", conf) for name in ("head.weight", "token.weight")]
    assert by_name[0] == by_name[1]


def test_what_is_predicted_of_the_layer(text, data):
    assert "head gives std " in text("explain", "head.weight", "--signal")
    (parameter,) = data("explain", "head.weight", "--signal")["parameters"]
    assert parameter["signal"]["read_by"] == "none"
    assert "signal" not in data("explain", "head.weight")["parameters"][0]
