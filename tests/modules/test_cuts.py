"""Cuts of what a child makes, read from the code of `forward`."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from modelforge.modules.cuts import cuts

PARTS = "self.fc(x).view(b, t, 3, h, d)"


def read(code: str) -> list[tuple[Any, ...]]:
    lines = "\n".join(f"    {line}" for line in code.split("\n"))
    (function,) = ast.parse(f"def forward(self, x):\n{lines}").body
    assert isinstance(function, ast.FunctionDef)
    return [
        (
            " + ".join(first for first, *_ in cut.chains),
            cut.method,
            [ast.unparse(item) for item in cut.arguments],
            cut.certain and cut.in_last is True,
            cut.names,
        )
        for cut in cuts(function)
        if cut.in_last is not False
    ]


@pytest.mark.parametrize(
    ("code", "names", "certain"),
    [
        ("a, b = self.fc(x).chunk(2, -1)", ("a", "b"), True),
        ("return self.fc(x).chunk(2, dim=-1)", (), True),
        ("return torch.chunk(self.fc(x), 2, dim=-1)", (), True),
        ("y = self.fc(x).float().contiguous()\nparts = y.chunk(chunks=2, dim=-1)\na, b = parts", ("a", "b"), True),
        ("if (y := self.fc(x)) is not None:\n    return y.chunk(2, -1)", (), True),
        ("for part in self.fc(x).chunk(2, -1):\n    pass", (), True),
        ("with torch.no_grad():\n    a, b = self.fc(x).chunk(2, -1)", ("a", "b"), True),
        ("try:\n    y = self.fc(x)\nexcept ValueError:\n    raise\na, b = y.chunk(2, -1)", ("a", "b"), True),
        ("match self.kind:\n    case 'a':\n        a, b = self.fc(x).chunk(2, -1)", ("a", "b"), True),
        ("b, t, c = x.shape\nreturn self.fc(x).chunk(2, dim=2)", (), True),
        ("y = self.fc(x)\nb, c = y.size()\nreturn y.chunk(2, 1)", (), True),
        ("return self.fc(x).chunk(2, dim=1)", (), False),
        ("b, c = x.shape\nx = self.embed(x)\nreturn self.fc(x).chunk(2, dim=1)", (), False),
    ],
)
def test_the_last_dimension(code, names, certain):
    assert read(code) == [("fc", "chunk", ["2"], certain, names)]


@pytest.mark.parametrize(
    ("code", "chains", "certain"),
    [
        ("self.a(x) + self.b(h)", ["a", "b"], True),
        ("self.a(x) - self.b(h) + self.bias", ["a", "b"], True),
        ("self.a(x) * self.scale / 2", ["a"], True),
        ("self.drop(self.a(x) + self.b(h))", ["drop a", "drop b"], True),
        ("F.dropout(self.a(x), 0.1)", ["a"], True),
        ("nn.functional.silu(self.a(x)).relu()", ["a"], True),
        ("self.a(x) + h", ["a"], False),
        ("x + self.a(x)", ["a"], False),
        ("(y := self.a(x)) + self.b(y)", ["a", "b a"], False),
        ("self.e(self.d(self.c(self.b(self.a(x)))))", ["e d c b"], True),
    ],
)
def test_sums_and_what_goes_through_other_children(code, chains, certain):
    (function,) = ast.parse(f"def forward(self, x, h):\n    a, b = ({code}).chunk(2, -1)").body
    assert isinstance(function, ast.FunctionDef)
    ((found, is_certain),) = [([" ".join(chain) for chain in cut.chains], cut.certain) for cut in cuts(function)]
    assert (found, is_certain) == (chains, certain)


@pytest.mark.parametrize(
    ("before", "argument"),
    [
        ("", "self.size"),
        ("d = self.size", "self.size"),
        ("c = 2 * self.size\nd = c + 1", "2 * self.size + 1"),
        ("d = self.size\nd = x.shape[-1]", "d"),
    ],
)
def test_numbers_that_attributes_decide(before, argument):
    given = "self.size" if not before else "d"
    ((_, method, (found,), _, _),) = read(f"{before}\na, b = self.fc(x).split({given}, dim=-1)")
    assert (method, found) == ("split", argument)


def test_a_stream_through_many_layers_takes_no_time():
    steps = "\n".join(f"x = x + self.f{number}(x)" for number in range(200))
    assert read(f"{steps}\na, b = x.chunk(2, -1)") == []


@pytest.mark.parametrize(
    "code",
    [
        "y = self.a(x) @ self.b(x)\nreturn y.chunk(2, -1)",
        "y = self.a(x) * self.b(x)\nreturn y.chunk(2, -1)",
        "y = self.a(x) * x\nreturn y.chunk(2, -1)",
        "y = self.a(x) ** 2\nreturn y.chunk(2, -1)",
        "return self.fc(x).chunk(2)",
        "return self.fc(x).chunk(2, dim=0)",
        "return self.fc(x).chunk(2, dim=-2)",
        "return self.fc(x).chunk(2, dim=self.dim)",
        "b, t, c = x.shape\nreturn self.fc(x).chunk(2, dim=1)",
        "y = self.fc(x)\ny = self.other.inner(y)\nreturn y.chunk(2, -1)",
        "y = self.fc(x)\ny, z = self.rnn(y)\nreturn y.chunk(2, -1)",
        "y = self.fc(x)\ny @= x\nreturn y.chunk(2, -1)",
        "y = self.fc(x)\ny: Tensor = x\nreturn y.chunk(2, -1)",
        "y = self.fc(x)\nfor y in x:\n    y.chunk(2, -1)",
        "y = self.fc(x)\nwith self.context() as y:\n    y.chunk(2, -1)",
        "y = self.fc(x)\nreturn [y.chunk(2, -1) for y in x]",
        "y = self.fc(x)\nreturn map(lambda y: y.chunk(2, -1), x)",
        "y = self.fc(x)\ndef inner(y):\n    return y.chunk(2, -1)\nreturn inner(x)",
        "y = self.fc(x).transpose(1, 2)\nreturn y.chunk(2, -1)",
    ],
)
def test_what_is_no_cut_of_it(code):
    assert read(code) == []


@pytest.mark.parametrize(
    "rest",
    [
        ".unbind(2)",
        ".unbind(dim=-3)",
        ".chunk(3, dim=2)",
        ".split(1, 2)",
        ".permute(2, 0, 3, 1, 4).unbind()",
        ".transpose(0, 2).unbind(0)",
        ".permute(2, 0, 3, 1, 4).reshape(3, b * h, t, d).unbind(0)",
    ],
)
def test_a_dimension_that_is_taken_apart(rest):
    made = [("fc", "reshape", ["b", "t", "3", "h", "d"], True, ("q", "k", "v"))]
    assert read(f"b, t, _ = x.shape\nq, k, v = {PARTS}{rest}") == made


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("q, k, v = y.permute(2, 0, 3, 1, 4)", ("q", "k", "v")),
        ("q, k, v = y[:, :, 0], y[:, :, 1], y[:, :, 2]", ()),
        ("return self.mix(y[..., 0, :, :], y[..., -2, :, :], y[:, :, 2])", ()),
    ],
)
def test_parts_that_are_taken_one_by_one(code, names):
    made = [("fc", "reshape", ["b", "t", "3", "h", "d"], True, names)]
    assert read(f"b, t, _ = x.shape\ny = {PARTS}\n{code}") == made


@pytest.mark.parametrize(
    "code",
    [
        f"return {PARTS}",
        f"return {PARTS}.unbind(3)",
        f"return {PARTS}.unbind()",
        f"y = {PARTS}\nreturn y[:, :, 0] + y[:, :, 1]",
        f"y = {PARTS}\nreturn y[0] + y[1] + y[2]",
        f"y = {PARTS}\nreturn y[:, :, None, 0] + y[:, :, None, 1] + y[:, :, None, 2]",
        f"return {PARTS}.permute(2, 0, 1).unbind(0)",
        f"return {PARTS}.transpose(-1, 2).flatten(1).unbind(2)",
        "b, t, _ = x.shape\nreturn self.fc(x).view(b, 3, t, -1).unbind(1)",
        "t = x.size(1)\nreturn self.fc(x).view(-1, 3, t, 8).unbind(1)",
        "return self.fc(x).view(b, t, 8, 8).unbind(2)",
        "return self.fc(x).unflatten(1, (3, 8)).unbind(1)",
    ],
)
def test_a_dimension_that_is_not_taken_apart(code):
    assert read(code) == []


@pytest.mark.parametrize(
    ("before", "certain"),
    [
        ("x.shape[0], x.size(1)", True),
        ("*x.shape[:-1]", True),
        ("-1", False),
        ("b, heads", False),
        ("x.shape[-1]", False),
    ],
)
def test_what_is_before_the_parts(before, certain):
    ((*_, is_certain, _names),) = read(f"return self.fc(x).view({before}, 3, 4, -1).unbind(-3)")
    assert is_certain is certain
