"""A policy's answers: sampled, and what a model makes of their tokens."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from transformers import GenerationConfig

from core.rows import packing
from core.rows.prompt import Prompt
from trainers import attention
from trainers.prompts import Prompts
from trainers.samples import SAMPLED_TOGETHER, as_read, generate
from trainers.scoring import packed

TOGETHER = 128  # prompts that are answered at once, at most


@dataclass(frozen=True)
class Answer:
    """place: of the prompt in the file. tokens: with the one that ended it, where it did not get cut off."""

    prompt: Prompt
    place: int
    prompt_tokens: list[int]
    tokens: list[int]
    ended: bool
    text: str

    def __len__(self) -> int:
        return len(self.tokens)


class Words(NamedTuple):
    """What a model makes of answers' tokens: [tokens] of one answer behind another, or [answers, tokens].

    log_probabilities: in nats, as sampled from, at its temperature. entropies: of the distributions that they were
    drawn from. values: what the value head expects the rewards from a token on to come to.
    """

    log_probabilities: torch.Tensor
    entropies: torch.Tensor
    values: torch.Tensor


def sample(
    model: Any, tokenizer: Any, prompts: Prompts, *, ends: list[int], max_tokens: int, temperature: float
) -> list[Answer]:
    """An answer to each prompt, drawn by PyTorch's random numbers from the model's whole distribution."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    together = min(TOGETHER, max(1, SAMPLED_TOGETHER // (prompts.longest + max_tokens)))
    how = {"ends": ends, "max_tokens": max_tokens, "together": together}
    with _plain_generation(base):
        drawn = generate(
            base, tokenizer, prompts.tokens, **how, do_sample=True, temperature=temperature, top_k=0, top_p=1.0
        )
    rows = zip(prompts.content, prompts.numbers, prompts.tokens, drawn, strict=True)
    return [
        Answer(prompt, place, asked, said, ended=said[-1] in ends, text=as_read(tokenizer, asked, said, ends))
        for prompt, place, asked, said in rows
    ]


@contextmanager
def _plain_generation(model: Any) -> Iterator[None]:
    """Without what the model's own configuration says of sampling (penalties, top_p): it would not be the policy's."""
    kept, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = kept


def mask_of(answers: Sequence[Answer], device: Any) -> torch.Tensor:
    """[answers, tokens of the longest]: true where an answer has a token."""
    lengths = torch.tensor([len(answer) for answer in answers], device=device)
    return torch.arange(int(lengths.max()), device=device) < lengths[:, None]


def parts(answers: Sequence[Answer], *, on_gpu: bool) -> list[list[int]]:
    """The answers, by their places, that go through a model together, one behind the other, without padding."""
    lengths = [len(answer.prompt_tokens) + len(answer) for answer in answers]
    return packing.bins(lengths, capacity=packing.capacity(shared=True, on_gpu=on_gpu))


@torch.no_grad()
def all_words(
    model: Any, head: torch.nn.Linear, answers: Sequence[Answer], mask: torch.Tensor, *, temperature: float
) -> Words:
    """[answers, tokens], 0 behind an answer's last token."""
    found = Words(*(torch.zeros(mask.shape, device=mask.device) for _ in Words._fields))
    for part in parts(answers, on_gpu=mask.is_cuda):
        of_part = words(model, head, [answers[i] for i in part], temperature=temperature)
        for column, values in zip(found, of_part, strict=True):
            for i, of_answer in zip(part, values.split([len(answers[i]) for i in part]), strict=True):
                column[i, : len(of_answer)] = of_answer
    return found


def words(model: Any, head: torch.nn.Linear, answers: Sequence[Answer], *, temperature: float) -> Words:
    """[tokens], of one answer behind the other; with gradients, but for the entropies.

    Logits and values come of one pass, at the positions in front of the answers' tokens and no others.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    sequence = packed([answer.prompt_tokens + answer.tokens[:-1] for answer in answers])
    starts = zip(sequence["edges"], answers, strict=False)
    kept = [start + len(answer.prompt_tokens) - 1 + k for start, answer in starts for k in range(len(answer))]
    inputs = {key: sequence[key].to(base.device) for key in ("input_ids", "position_ids")}
    targets = torch.tensor([token for answer in answers for token in answer.tokens], device=base.device)
    states: list[torch.Tensor] = []  # the last hidden ones, as the model's own head gets them
    seen = base.get_output_embeddings().register_forward_pre_hook(lambda _, given: states.append(given[0]))
    try:
        with attention.rows(sequence["edges"]):
            logits = base(**inputs, use_cache=False, logits_to_keep=torch.tensor(kept, device=base.device)).logits[0]
    finally:
        seen.remove()
    with torch.autocast(base.device.type, enabled=False):
        by_word = (logits.float() / temperature).log_softmax(-1)
        values = head(states[0][0].float()).squeeze(-1)
    log_probabilities = by_word.gather(1, targets[:, None]).squeeze(1)
    by_word = by_word.detach()
    return Words(log_probabilities, -(by_word.exp() * by_word).sum(-1), values)
