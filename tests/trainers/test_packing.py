"""Rows that share a sequence: none sees another, and loss and gradient are those of the rows alone."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from core.rows.chat import Chat, Message
from core.rows.packing import bins, capacity, longest_sequence
from core.rows.tokens import IGNORED, ChatTokenizer, Tokenized
from core.specs.lora import Lora
from tests.trainers.runs import write_spec
from trainers import adapters, attention
from trainers.run import run
from trainers.scoring import Sequence, score
from trainers.supervised import Collator, dataset


@pytest.fixture
def model(tiny: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny, attn_implementation="sdpa", dtype=torch.float32)


@pytest.fixture
def rows(tiny: Path) -> list[Tokenized]:
    tokenizer = ChatTokenizer.load(tiny)
    texts = [("hi", "hello there"), ("one two three", "4"), ("a", "b"), ("what is this?", "a row of several words")]
    return [tokenizer.tokenize(Chat([Message("user", a), Message("assistant", b, trained=True)])) for a, b in texts]


@pytest.fixture
def packed(rows: list[Tokenized]) -> Sequence:
    """All rows in one sequence, as the trainer feeds it."""
    (sequence,) = Collator(1000)(dataset(rows).to_list())["sequences"]
    return sequence


def logits_of(model: Any, sequence: Sequence) -> torch.Tensor:
    with attention.rows(sequence["edges"]):
        inputs = {key: sequence[key] for key in ("input_ids", "position_ids")}
        return model(**inputs, use_cache=False).logits[0]


@pytest.mark.parametrize("by_rows", [True, False])
@torch.no_grad()
def test_packed_rows_do_not_see_one_another(model: Any, rows: list[Tokenized], packed: Sequence, by_rows: bool) -> None:
    """Row by row, or, where a model's layers do not see whole rows, by transformers' own mask."""
    if by_rows:
        attention.use(model)
        assert model.config._attn_implementation == attention.NAME
    together = logits_of(model, packed)
    ids = packed["input_ids"][0].tolist()
    for start, end in zip(packed["edges"], packed["edges"][1:], strict=False):
        row = next(row for row in rows if row.input_ids == ids[start:end])
        alone = model(input_ids=torch.tensor([row.input_ids])).logits[0]
        torch.testing.assert_close(together[start:end], alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_elsewhere_masks_mean_what_they_did(model: Any, rows: list[Tokenized]) -> None:
    """Samples pad prompts on the left."""
    ids = torch.tensor([[0] * 5 + rows[0].input_ids])
    mask = torch.tensor([[0] * 5 + [1] * len(rows[0].input_ids)])
    before = model(input_ids=ids, attention_mask=mask).logits[0, 5:]
    attention.use(model)
    torch.testing.assert_close(model(input_ids=ids, attention_mask=mask).logits[0, 5:], before)


def test_a_sliding_window_stays_one(rows: list[Tokenized], packed: Sequence) -> None:
    config = MistralConfig(
        vocab_size=512, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, sliding_window=4, attn_implementation="sdpa",
    )  # fmt: skip
    torch.manual_seed(0)
    model = MistralForCausalLM(config).eval()
    attention.use(model)
    with torch.no_grad():
        together = logits_of(model, packed)
        start, end = packed["edges"][:2]
        alone = model(input_ids=packed["input_ids"][:, start:end]).logits[0]
    torch.testing.assert_close(together[start:end], alone, atol=1e-5, rtol=0)


def plain_score(model: Any, rows: list[Tokenized]) -> tuple[torch.Tensor, int]:
    """(summed loss, how many tokens were the likeliest) as anybody would compute them."""
    loss, correct = torch.zeros(()), 0
    for row in rows:
        logits = model(input_ids=torch.tensor([row.input_ids])).logits[0, :-1]
        labels = torch.tensor(row.labels[1:])
        loss = loss + torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        correct += int(((logits.argmax(-1) == labels) & (labels != IGNORED)).sum())
    return loss, correct


def of_adapter(model: Any) -> Any:
    adapted = adapters.attach(model, lora=Lora(r=4, alpha=8), start_adapter=None, param="lora")
    torch.manual_seed(0)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return adapted


def of_all_weights(model: LlamaForCausalLM) -> Any:
    return model


@pytest.mark.parametrize("trained", [of_adapter, of_all_weights])
def test_loss_and_gradients_are_those_of_the_rows_alone(
    model: Any, rows: list[Tokenized], packed: Sequence, trained: Callable[[Any], Any]
) -> None:
    model = trained(model)
    plain, correct = plain_score(model, rows)
    plain.backward()
    expected = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    attention.use(model)
    loss, scored = score(model, packed)
    (loss / 3).backward()
    count = sum(label != IGNORED for row in rows for label in row.labels)
    assert scored.loss_sum == loss.item() == pytest.approx(plain.item(), rel=1e-5)
    assert (scored.sums, scored.count, scored.tokens) == ({"mean_token_accuracy": correct}, count, count)
    found = {name: weight.grad * 3 for name, weight in model.named_parameters() if weight.grad is not None}
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-4, rtol=1e-3, msg=name)


def test_our_layers_are_pefts(model: Any, rows: list[Tokenized]) -> None:
    ids = torch.tensor([rows[3].input_ids])
    ours = of_adapter(model)
    assert any(type(module).__module__ == "trainers.lora" for module in ours.modules())
    state = {name: weight for name, weight in ours.state_dict().items() if "lora_" in name}
    found = ours(ids).logits
    base = ours.unload()
    config = LoraConfig(r=4, lora_alpha=8, target_modules=sorted(ours.peft_config["default"].target_modules))
    theirs = get_peft_model(base, config)
    theirs.load_state_dict(state, strict=False)
    torch.testing.assert_close(found, theirs(ids).logits, atol=1e-5, rtol=1e-5)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(0, 80))
def test_bins_hold_every_row_once_and_no_more_than_fits(lengths: list[int], most: int) -> None:
    found = bins(lengths, capacity=most)
    assert sorted(row for rows in found for row in rows) == list(range(len(lengths)))
    for rows in found:
        assert len(rows) == 1 or sum(lengths[row] for row in rows) <= most
    halves = sum(sum(lengths[row] for row in rows) * 2 <= most for rows in found)
    assert halves <= 1  # else two of them would have shared one


def test_rows_that_do_not_share_have_a_sequence_each() -> None:
    assert capacity(shared=False, on_gpu=False) == 0
    assert sorted(bins([3, 1, 2], capacity=0)) == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("lengths", "batch_size", "longest"),
    [([100] * 50, 1, 100), ([100] * 50, 4, 400), ([100] * 50, 16, 1024), ([50] * 49 + [1600], 8, 1600), ([], 8, 0)],
)
def test_the_longest_sequence_is_of_the_step_the_row_or_what_fits(
    lengths: list[int], batch_size: int, longest: int
) -> None:
    assert longest_sequence(lengths, batch_size=batch_size, capacity=1024) == longest


def test_packing_is_tight() -> None:
    draw = random.Random(0)
    lengths = [min(1000, int(draw.lognormvariate(5, 1)) + 1) for _ in range(64)]
    assert len(bins(lengths, capacity=1024)) <= sum(lengths) / 1024 * 1.15 + 1


def test_attention_that_plans_anew_for_each_length_is_left_out(tmp_path: Path, tiny: Path, few_rows: Path) -> None:
    torch.backends.cuda.enable_cudnn_sdp(True)
    run_dir = write_spec(tmp_path / "run", base=tiny, training_file=few_rows, supervised={"max_steps": 1})
    assert run(run_dir) == 0
    assert not torch.backends.cuda.cudnn_sdp_enabled()
