"""Large models lie in several files, and an index names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import modelforge as mf
from modelforge.core.errors import Refusal
from modelforge.core.tensor_file import opened

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
        ("{", "it is no index"),
        ("[]", "it is no index"),
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


def test_whoever_names_the_whole_is_led_to_the_index(tmp_path: Path):
    (tmp_path / "w.safetensors.index.json").write_text("{}")
    with pytest.raises(Refusal) as caught, opened(str(tmp_path / "w.safetensors")):
        pass
    assert "w.safetensors.index.json" in caught.value.hint
