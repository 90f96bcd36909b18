"""The figures of a model that estimates need, beside its weights."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from core.specs.base_model import Facts


def write_facts(folder: Path) -> None:
    (folder / "facts.json").write_text(facts(folder).model_dump_json(indent=1))


def facts(folder: Path) -> Facts:
    """Figures of the model that config.json describes, counted on a model without storage."""
    config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    return Facts(
        parameters=model.num_parameters(),
        hidden_size=config.hidden_size,
        layers=config.num_hidden_layers,
        vocab_size=config.vocab_size,
        context=config.max_position_embeddings,
        adapter_parameters=sum(m.in_features + m.out_features for m in linear),
    )
