"""The schemes of other libraries under their names there."""

from __future__ import annotations

from tests.inits.case import Case

CASES = [
    *(
        Case({"scheme": f"{library}.{name}_{distribution}"})
        for library, names in (
            ("torch", ("xavier", "kaiming")),
            ("keras", ("glorot", "he", "lecun")),
            ("jax", ("glorot", "he", "lecun")),
        )
        for name in names
        for distribution in ("uniform", "normal")
    ),
    Case({"scheme": "torch.xavier_normal", "gain": "torch.tanh"}),
    Case({"scheme": "torch.xavier_uniform", "gain": "auto"}),
    Case({"scheme": "torch.kaiming_normal", "a": 0.2, "mode": "fan_out"}),
    Case({"scheme": "torch.kaiming_uniform", "a": 5**0.5}),
    Case({"scheme": "torch.trunc_normal"}),
    Case({"scheme": "torch.trunc_normal", "std": 0.02}),
    Case({"scheme": "torch.trunc_normal", "mean": 1.0, "a": -1.0, "b": 0.5}),
    Case({"scheme": "torch.trunc_normal", "mean": -3.0, "std": 0.7, "a": -1.0, "b": 100.0}),
    Case({"scheme": "torch.trunc_normal", "std": 3.0, "a": 1.0, "b": 1.1}),
]
