import random
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl.data_utils import pack_dataset
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from core.rows.chat import Chat, Message
from core.rows.packing import Packing, count_sequences, plan
from core.rows.tokens import IGNORED, ChatTokenizer, Tokenized
from trainers.scoring import score
from trainers.supervised import dataset


@pytest.fixture
def model(tiny: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny, attn_implementation="sdpa", dtype=torch.float32)


@pytest.fixture
def rows(tiny: Path) -> list[Tokenized]:
    tokenizer = ChatTokenizer.load(tiny)
    texts = [("hi", "hello there"), ("one two three", "4"), ("a", "b"), ("what is this?", "a row of several words")]
    return [tokenizer.tokenize(Chat([Message("user", a), Message("assistant", b, trained=True)])) for a, b in texts]


@pytest.fixture
def packed(rows: list[Tokenized]) -> dict[str, torch.Tensor]:
    """All rows in one sequence, as the trainer feeds it."""
    sequences: Any = pack_dataset(dataset(rows), sum(len(row.input_ids) for row in rows), "bfd")
    assert len(sequences) == 1
    return DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)([sequences[0]])


@torch.no_grad()
def test_packed_rows_do_not_see_one_another(model: Any, rows: list[Tokenized], packed: dict[str, torch.Tensor]) -> None:
    # Without a cache, as in training: with one, transformers does not look for packed rows.
    together = model(**{key: value for key, value in packed.items() if key != "labels"}, use_cache=False).logits[0]
    starts = (packed["position_ids"][0] == 0).nonzero().flatten().tolist()
    ids = packed["input_ids"][0].tolist()
    for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
        row = next(row for row in rows if row.input_ids == ids[start:end])
        alone = model(input_ids=torch.tensor([row.input_ids])).logits[0]
        torch.testing.assert_close(together[start:end], alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_score_is_the_loss_of_the_trained_tokens(
    model: Any, rows: list[Tokenized], packed: dict[str, torch.Tensor]
) -> None:
    loss_sum, correct, trained = 0.0, 0, 0
    for row in rows:
        logits = model(input_ids=torch.tensor([row.input_ids])).logits[0, :-1]
        labels = torch.tensor(row.labels[1:])
        loss_sum += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        correct += int(((logits.argmax(-1) == labels) & (labels != IGNORED)).sum())
        trained += sum(label != IGNORED for label in row.labels)
    scored = score(model, packed)
    assert float(scored.loss_sum) == pytest.approx(loss_sum, rel=1e-5)
    assert (scored.correct, scored.tokens) == (correct, trained)


@pytest.mark.parametrize(
    ("lengths", "batch_size", "length", "sequences"),
    [
        ([100] * 50, 1, 100, 1),  # a small batch: the sequence shrinks to it
        ([100] * 50, 4, 400, 1),
        ([100] * 50, 16, 534, 3),  # a large one: as many sequences of about 512 as hold it
        ([50] * 49 + [600], 8, 600, 1),  # never shorter than the longest row
        ([700] * 10, 8, 700, 8),
    ],
)
def test_a_step_holds_the_batch_on_average(lengths: list[int], batch_size: int, length: int, sequences: int) -> None:
    packing = plan(lengths, batch_size=batch_size, on_gpu=False)
    assert (packing.length, packing.sequences) == (length, sequences)


def test_sequences_are_counted_as_they_are_packed() -> None:
    draw = random.Random(0)
    lengths = [min(100, int(draw.lognormvariate(3, 1)) + 1) for _ in range(2500)]
    packing = Packing(length=100, sequences=4)
    packed: Any = pack_dataset(Dataset.from_dict({"input_ids": [[0] * length for length in lengths]}), 100, "bfd")
    assert count_sequences(lengths, packing) == len(packed)
