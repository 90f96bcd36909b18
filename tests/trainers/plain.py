"""Pre-training as anybody would write it: a loop of their own, without anything of ours but the model."""

import math
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def loop(
    folder: Path, training: str, validation: str, *, length: int, batch: int, steps: int, rate: float, seed: int
) -> float:
    """Train the model of a folder on random windows of a text; answers the loss on another one, in nats a token.

    AdamW with a linear warm-up over a twentieth of the steps, then a half cosine to zero.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    trained, held_out = (torch.tensor(tokenizer(text)["input_ids"]) for text in (training, validation))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0)
    warmup = int(0.05 * steps)
    draw = torch.Generator().manual_seed(seed)
    for step in range(steps):
        share = (
            (step + 1) / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
        )
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        starts = torch.randint(len(trained) - length, (batch,), generator=draw).tolist()
        ids = torch.stack([trained[start : start + length] for start in starts])
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return loss(model, held_out, length=length)


@torch.no_grad()
def loss(model: Any, tokens: torch.Tensor, *, length: int) -> float:
    """Mean over windows that follow each other, one token shared."""
    model.eval()
    count = (len(tokens) - 1) // (length - 1)
    windows = torch.stack([tokens[i * (length - 1) : i * (length - 1) + length] for i in range(count)])
    losses = [float(model(input_ids=some, labels=some).loss) * len(some) for some in windows.split(64)]
    return sum(losses) / count
