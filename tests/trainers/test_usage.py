"""Model FLOPs utilisation by hand; the GPU is only a name here."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from trainers.usage import PEAKS, Device

VOCABULARY, WIDTH, INNER, LAYERS, RANK = 64, 8, 16, 2, 4
EMBEDDINGS = VOCABULARY * WIDTH
BLOCK = 4 * WIDTH * WIDTH + 3 * WIDTH * INNER + 2 * WIDTH  # attention, MLP, two norms
# TFLOP/s of NVIDIA's data sheets in bf16 without sparsity; most print only those with it, which are twice as much.
SHEETS = {
    "NVIDIA H200": 1979 / 2,
    "NVIDIA H100 80GB HBM3": 1979 / 2,
    "NVIDIA A100-SXM4-80GB": 624 / 2,
    "NVIDIA A100-SXM4-40GB": 624 / 2,
    "NVIDIA A100 80GB PCIe": 624 / 2,
    "NVIDIA A100-PCIE-40GB": 624 / 2,
    "NVIDIA L40S": 362.05,
    "NVIDIA L4": 242 / 2,
    "NVIDIA GeForce RTX 4090": 330 / 2,
}


def llama(*, tied: bool) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
    )
    return LlamaForCausalLM(config)


@pytest.mark.parametrize("tied", [False, True])
def test_a_trained_weight_costs_six_and_embeddings_count_once(tied: bool) -> None:
    """Looked up they cost nothing, as the head 6 like any other: in both cases once."""
    assert Device.of(llama(tied=tied)).flops_per_token == 6 * (LAYERS * BLOCK + WIDTH + EMBEDDINGS)


def test_under_an_adapter_a_frozen_weight_costs_four() -> None:
    adapted = get_peft_model(llama(tied=False), LoraConfig(r=RANK, target_modules=["q_proj", "down_proj"]))
    trained = LAYERS * RANK * ((WIDTH + WIDTH) + (INNER + WIDTH))
    frozen = LAYERS * BLOCK + WIDTH + EMBEDDINGS
    assert Device.of(adapted).flops_per_token == 4 * frozen + 6 * trained


def test_peaks_are_those_of_the_data_sheets() -> None:
    assert {name: pytest.approx(tera * 1e12, rel=0.005) for name, tera in SHEETS.items()} == PEAKS


def test_utilization_of_a_gpu_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = llama(tied=False)
    monkeypatch.setattr(LlamaForCausalLM, "device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    device = Device.of(model)
    # Half of what it could compute goes into so many tokens.
    assert device.utilization(0.5 * 989e12 / device.flops_per_token) == {"model_flops_utilization": pytest.approx(0.5)}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "some other GPU")
    assert Device.of(model).utilization(1000) == {}


def test_a_cpu_has_none() -> None:
    assert Device.of(llama(tied=False)).utilization(1000) == {}
