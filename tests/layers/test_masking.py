"""Masks of steps: padding has no effect on what means, selections and attention give."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import modelforge as mf

WORDS = {"type": "Embedding", "num_embeddings": 20, "embedding_dim": 8, "inputs": "input"}
MASK = {"type": "PaddingMask", "padding_idx": 0}
ATTEND = {"type": "SelfAttention", "num_heads": 2, "inputs": ["words", "mask"]}
LAST = {"type": "Select", "dim": 1, "index": -1}
MEAN = {"type": "Mean", "dim": 1}


def built(*, steps: int, **layers: Any) -> torch.nn.Module:
    every = {"mask": MASK, "words": WORDS, **layers}
    return mf.build(mf.parse({"input": {"shape": [steps], "dtype": "int64"}, "layers": every}, init="xavier")).eval()


@pytest.mark.parametrize(
    "layers",
    [
        {"mean": MEAN | {"inputs": ["words", "mask"]}},
        {"rnn": {"type": "LSTM", "hidden_size": 5}, "last": LAST | {"inputs": ["rnn", "mask"]}},
        {"attend": ATTEND, "mean": MEAN | {"keepdim": True, "inputs": ["attend", "mask"]}},
        {"attend": ATTEND, "first": {"type": "Select", "dim": 1, "index": 0, "inputs": ["attend", "mask"]}},
    ],
    ids=str,
)
def test_more_padding_changes_nothing(layers: dict[str, Any]):
    tokens = torch.randint(1, 20, (4, 5))
    short, long = built(steps=5, **layers), built(steps=9, **layers)
    filled = torch.cat((tokens, torch.zeros(4, 4, dtype=torch.int64)), 1)
    assert torch.allclose(short(tokens), long(filled), atol=1e-6)
    assert not torch.equal(short(tokens)[0], short(tokens)[1])


def test_padding_before_the_steps_counts_as_little():
    tokens = torch.randint(1, 20, (4, 5))
    model = built(steps=9, attend=ATTEND, last=LAST | {"inputs": ["attend", "mask"]})
    padding = torch.zeros(4, 4, dtype=torch.int64)
    assert torch.allclose(model(torch.cat((tokens, padding), 1)), model(torch.cat((padding, tokens), 1)), atol=1e-6)


@pytest.mark.parametrize(("index", "step"), [(0, 1), (1, 3), (2, 4), (7, 4), (-1, 4), (-2, 3), (-3, 1), (-9, 1)])
def test_an_index_counts_the_steps_that_count(index: int, step: int):
    model = built(steps=6, it={"type": "Select", "dim": 1, "index": index, "inputs": ["words", "mask"]})
    tokens = torch.tensor([[0, 3, 0, 5, 2, 0], [0, 0, 0, 0, 0, 0]])
    words = model.get_parameter("words.weight")[tokens]
    assert torch.equal(model(tokens), torch.stack((words[0, step], words[1, 0])))  # of no step that counts, the first


def test_a_mean_of_no_steps_is_0():
    model = built(steps=3, it=MEAN | {"inputs": ["words", "mask"]})
    assert torch.equal(model(torch.zeros(2, 3, dtype=torch.int64)), torch.zeros(2, 8))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (MEAN | {"dim": 2, "inputs": ["words", "mask"]}, "a mask counts steps, which are dimension 1, but `dim` is 2"),
        (LAST | {"inputs": ["words", "words"]}, "a mask is bool (true for each step that counts), but this is"),
        (MEAN | {"inputs": ["longer", "mask"]}, "a mask has one value for each step, ("),
    ],
)
def test_what_is_no_mask_of_these_steps(layer: dict[str, Any], message: str):
    longer = {"type": "ClassToken", "inputs": "words"}
    with pytest.raises(mf.ForgeError) as caught:
        built(steps=6, longer=longer, it=layer)
    assert message in str(caught.value)


def test_it_is_compiled_and_exported():
    model = built(steps=6, mean=MEAN | {"inputs": ["words", "mask"]}, last=LAST | {"inputs": ["words", "mask"]})
    tokens = torch.tensor([[3, 4, 5, 0, 0, 0], [3, 4, 5, 6, 7, 8], [0, 0, 0, 0, 0, 0]])
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert torch.equal(compiled(tokens), model(tokens))
    assert torch.equal(torch.export.export(model, (tokens,)).module()(tokens), model(tokens))


def test_the_signal_is_predicted_as_if_no_step_was_padding():
    def predicted(**layers: Any) -> Any:
        return mf.predict(
            mf.plan(mf.parse({"input": {"shape": [6], "dtype": "int64"}, "layers": layers}, init="xavier"))
        )

    head = {"type": "Linear", "out_features": 2}
    masked = predicted(mask=MASK, words=WORDS, mean=MEAN | {"inputs": ["words", "mask"]}, head=head)
    plain = predicted(words=WORDS, mean=MEAN, head=head)
    assert [masked.by_path[path].signal for path in ("words", "mean", "head")] == [
        plain.by_path[path].signal for path in ("words", "mean", "head")
    ]
    assert masked.by_path["words"].gradient == plain.by_path["words"].gradient
