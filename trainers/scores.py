"""Scores of responses: by one reward model, or by several, with how far they are apart."""

import statistics
from collections.abc import Sequence as Several
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from transformers import AutoTokenizer

from core.rows import packing
from core.rows.chat import Chat
from core.rows.tokens import ChatTokenizer
from trainers import adapters, attention
from trainers.loading import load_scorer
from trainers.scoring import Sequence, packed


@dataclass(frozen=True)
class Scored:
    """each: the scores of a response by all models, in their order. mean, spread: theirs; the standard deviation."""

    mean: float
    spread: float
    each: tuple[float, ...]


def load(folder: Path, base: Path | None = None) -> Any:
    """A reward model that a job has made, in fp32 on the CPU.

    Args:
        folder: the job's artifacts, or a checkpoint.
        base: of an adapter: the folder of the model that it sits on.

    Raises:
        ValueError: the folder holds a policy, or an adapter, and there is no base.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    is_adapter = (folder / adapters.CONFIG).exists()
    if is_adapter and base is None:
        raise ValueError(f"{folder} holds an adapter: give the base that it sits on")
    if is_adapter and LoraConfig.from_pretrained(str(folder)).task_type != "SEQ_CLS":
        raise ValueError(
            f"{folder} holds the adapter of a policy, which writes answers; one of a reward model is needed"
        )
    model, has_head = load_scorer(
        str(base if is_adapter else folder), pad_token_id=tokenizer.pad_token_id, dtype=torch.float32
    )
    if is_adapter:
        model = PeftModel.from_pretrained(model, str(folder))
    elif not has_head:
        raise ValueError(f"{folder} holds a policy, which writes answers; a reward model is needed")
    attention.use(model)
    return model.eval()


def score(models: Several[Any], chats: Several[Chat], tokenizer: ChatTokenizer) -> list[Scored]:
    """What the models think of each chat's last message, which is to be a trained one.

    Args:
        tokenizer: of their base, which all of them have in common.

    Raises:
        ValueError: the template refuses a chat.
    """
    rows = [tokenizer.tokenize(chat).input_ids for chat in chats]
    by_model = [scores_of(model, rows) for model in models]
    return [Scored(statistics.fmean(each), statistics.pstdev(each), each) for each in zip(*by_model, strict=True)]


@torch.no_grad()
def scores_of(model: Any, rows: list[list[int]]) -> list[float]:
    """The score of each row of tokens, in their order; rows share sequences."""
    rows = [without_padding(row, model.config.pad_token_id) for row in rows]
    device = model.device
    capacity = packing.capacity(shared=True, on_gpu=device.type == "cuda")
    found = [0.0] * len(rows)
    for places in packing.bins([len(row) for row in rows], capacity=capacity):
        sequence = packed([rows[place] for place in places])
        inputs = {key: value.to(device) if key != "edges" else value for key, value in sequence.items()}
        for place, value in zip(places, last_scores(model, inputs).tolist(), strict=True):
            found[place] = value
    return found


def without_padding(row: list[int], pad_token_id: int) -> list[int]:
    """The row up to the token that transformers scores at, which is the last one that does not look like padding.

    Where the end of a turn serves as padding, its template may end every row in it.
    """
    end = len(row)
    while end > 1 and row[end - 1] == pad_token_id:
        end -= 1
    return row[:end]


def last_scores(model: Any, sequence: Sequence) -> torch.Tensor:
    """[rows]: the head's score at the last token of each row, in fp32."""
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    with attention.rows(sequence["edges"]):
        inputs = {key: sequence[key] for key in ("input_ids", "position_ids")}
        states = base.base_model(**inputs, use_cache=False).last_hidden_state[0]
    last = torch.tensor(sequence["edges"][1:], device=states.device) - 1
    with torch.autocast(states.device.type, enabled=False):
        return base.score(states[last].float()).squeeze(-1)
