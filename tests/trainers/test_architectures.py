"""Which models may be trained on: those whose rows stay apart in a sequence that they share."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from core.specs.run import PrepareSpec
from trainers import attention
from trainers.head import token_loss
from trainers.prepare import prepare
from trainers.scoring import packed

COMMON: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
MAMBA = {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
TAKEN: dict[str, dict[str, Any]] = {
    "llama": {},  # SmolLM2, too
    "mistral": {"sliding_window": 4},
    "qwen2": {},
    "qwen3": {},
    "smollm3": {},
    "gemma": {},
    "gemma3_text": {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]},
    "cohere": {"logit_scale": 0.1},
    "granite": {"logits_scaling": 8.0},
    "hyperclovax": {"logits_scaling": 0.1},
    "mixtral": EXPERTS,
    "phi3": {},
    "olmo2": {},
}
REFUSED: dict[str, dict[str, Any]] = {
    "falcon_h1": MAMBA | {"lm_head_multiplier": 0.1},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "qwen3_next": {"layer_types": ["linear_attention", "full_attention"]},
    "afmoe": {"layer_types": ["sliding_attention", "full_attention"], "num_experts_per_tok": 2, "num_experts": 4},
}


def random(family: str, options: dict[str, Any]) -> Any:
    """A model of random weights, some of which are far enough from zero for a leak to show."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **COMMON, **options)
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return model


@torch.no_grad()
def leak(model: Any) -> float:
    """By how much another row of the same length changes what the row behind it says."""
    row = [20, 21, 22, 23, 24, 25]
    attention.use(model)
    said = []
    for before in (range(3, 11), range(40, 48)):
        sequence = packed([list(before), row])
        with attention.rows(sequence["edges"]):
            inputs = {key: sequence[key] for key in ("input_ids", "position_ids")}
            said.append(model(**inputs, use_cache=False).logits[0, -len(row) :])
    return float((said[0] - said[1]).abs().max())


@pytest.mark.parametrize("family", TAKEN)
def test_rows_of_models_that_are_taken_stay_apart(family: str) -> None:
    model = random(family, TAKEN[family])
    attention.check(model.config)
    assert leak(model) < 1e-5


@pytest.mark.parametrize("family", REFUSED)
def test_models_whose_rows_would_leak_are_refused(family: str) -> None:
    model = random(family, REFUSED[family])
    assert leak(model) > 1e-3
    with pytest.raises(ValueError, match="rows that share a sequence would see one another"):
        attention.check(model.config)


@pytest.mark.parametrize("family", [*TAKEN, "falcon_h1"])
def test_the_loss_is_that_of_the_models_own_logits(family: str) -> None:
    """Whatever its head does to them: a limit, a scale."""
    model = random(family, (TAKEN | REFUSED)[family])
    ids = torch.tensor([[3, 9, 20, 33, 41, 5]])
    plain = torch.nn.functional.cross_entropy(model(input_ids=ids).logits[0, :-1], ids[0, 1:], reduction="sum")
    loss, _ = token_loss(model, {"input_ids": ids}, torch.arange(5), ids[0, 1:])
    torch.testing.assert_close(loss, plain)


@pytest.mark.parametrize("family", ["falcon_h1", "lfm2"])
def test_a_preparation_says_why(tmp_path: Path, tiny: Path, family: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in tiny.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    random(family, REFUSED[family]).save_pretrained(source)
    assert json.loads((source / "config.json").read_text())["model_type"] == family
    spec = {"source": {"kind": "folder", "location": str(source)}, "folder": str(tmp_path / "model")}
    with pytest.raises(ValueError, match="pass more than attention does from token to token"):
        prepare(PrepareSpec.model_validate(spec))
    with pytest.raises(ValueError, match="pass more than attention does from token to token"):
        prepare(PrepareSpec.model_validate(spec | {"weights": False}))
    assert not (tmp_path / "model").exists()
