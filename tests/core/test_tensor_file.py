"""Files of tensors: one, several with an index, and files that cost more than they are worth."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import modelforge as mf
from modelforge.core.errors import Refusal
from modelforge.core.tensor_file import opened


def nested(levels, *, twice=False):
    value = {"w": torch.zeros(2)}
    for _ in range(levels):
        value = {"a": value, "b": value} if twice else {"a": value}
    return value


def shared(path):
    torch.save(nested(60, twice=True), path)


def deep(path):
    torch.save(nested(60), path)


def long_name(path):
    torch.save({"a" * 1_000: torch.zeros(2)}, path)


def packed(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\0" * 50_000_000)


TOO_MUCH = "it holds more than 200,000 values, or mappings more than 50 deep"


@pytest.mark.parametrize(
    ("make", "code", "reason"),
    [
        (shared, "MF060", TOO_MUCH),
        (deep, "MF060", TOO_MUCH),
        (long_name, "MF060", "a name in it has 1,000 characters, and 500 is the most"),
        (packed, "", "it is packed, and would be 50,000,000 bytes"),
        (os.mkfifo, "", "it is a named pipe, not a file"),
        (os.mkdir, "", "it is a folder, not a file"),
    ],
)
def test_files_that_are_too_much(tmp_path, make, code, reason):
    make(tmp_path / "file.pt")
    start = process_time()
    with pytest.raises(Refusal) as caught, opened(str(tmp_path / "file.pt")):
        pass
    assert (caught.value.code, str(caught.value)) == (code, reason)
    assert process_time() - start < 10


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a" * 300, "it cannot be read: File name too long"),
        ("a" * 300 + ".index.json", "it cannot be read: File name too long"),
        ("a/" * 3_000, "it cannot be read: File name too long"),
        ("/dev/zero", "it is a device, not a file"),
        ("/dev/null/weights.pt", "there is no such file"),
    ],
)
def test_paths_that_name_no_file(path, reason):
    with pytest.raises(Refusal) as caught, opened(path):
        pass
    assert str(caught.value) == reason


@pytest.mark.parametrize("shape", [[2, 2], [4], []])
def test_numbers_that_are_packed_several_to_a_byte(tmp_path: Path, shape: list[int]):
    header = json.dumps({"head.weight": {"dtype": "F4", "shape": shape, "data_offsets": [0, 2]}}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(2))
    with pytest.raises(Refusal) as caught, opened(str(path)) as file:
        assert file.headers
    assert caught.value.code == ""  # for who asked to say


ROOT = Path(__file__).parents[2]


def test_a_model_that_was_saved_in_parts(tmp_path: Path):
    sizes: dict[str, Any] = {"hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "intermediate_size": 352, "vocab_size": 256, "rms_norm_eps": 1e-5}
    original = LlamaForCausalLM(LlamaConfig(**sizes, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}))
    original.save_pretrained(tmp_path, max_shard_size="500KB")
    index = tmp_path / "model.safetensors.index.json"
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    model = mf.build(mf.load(ROOT / "conf", ["model=llama", "weights=llama", f"weights.path={index}"]))
    assert model.ledger.ok
    tokens = torch.randint(256, (2, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(tokens), original.eval()(tokens).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ("{", "it is not an index"),
        ("[]", "it is not an index"),
        ({"weight_map": {"a": "../other.safetensors"}}, "it names `../other.safetensors`"),
        ({"weight_map": {"a": "w.safetensors.index.json"}}, "it names `w.safetensors.index.json`"),
        ({"weight_map": {"a": "w-1.safetensors"}}, "there is no such file"),
    ],
)
def test_an_index_that_is_none(tmp_path: Path, index: Any, says: str):
    path = tmp_path / "w.safetensors.index.json"
    path.write_text(index if isinstance(index, str) else json.dumps(index))
    with pytest.raises(Refusal) as caught, opened(str(path)):
        pass
    assert says in caught.value.reason


def test_the_name_of_the_whole_leads_to_the_index(tmp_path: Path):
    (tmp_path / "w.safetensors.index.json").write_text("{}")
    with pytest.raises(Refusal) as caught, opened(str(tmp_path / "w.safetensors")):
        pass
    assert "w.safetensors.index.json" in caught.value.hint


def test_what_has_no_values_is_left_out(tmp_path: Path):
    """A model that was saved from the meta device holds shapes alone."""
    path = tmp_path / "model.pt"
    torch.save({"a": torch.ones(2), "meta": torch.ones(2, device="meta"), "sparse": torch.eye(2).to_sparse()}, path)
    with opened(str(path)) as weights:
        assert [*weights.headers] == ["a"]
