"""How long packed sequences are, and how many make a step."""

import math
from dataclasses import dataclass

# SDPA's mask of a packed sequence is dense, T x T: on a CPU a longer one costs more than it saves.
CPU_LENGTH = 512
GPU_LENGTH = 2048


@dataclass(frozen=True)
class Packing:
    """length: tokens that a packed sequence holds at most. sequences: how many of them make one optimiser step."""

    length: int
    sequences: int


def plan(lengths: list[int], *, batch_size: int, on_gpu: bool) -> Packing:
    """Sequences of about the usual length that together hold `batch_size` rows a step, on average.

    The length gives way to the batch: a small batch makes it shorter, and a batch of 1.4 usual lengths is one sequence
    of that length. It is never shorter than the longest row.

    Args:
        lengths: tokens of each training row.
        batch_size: rows per optimiser step.
    """
    tokens_per_step = batch_size * sum(lengths) / len(lengths)
    usual = GPU_LENGTH if on_gpu else CPU_LENGTH
    sequences = max(1, round(tokens_per_step / usual))
    length = max(max(lengths), math.ceil(tokens_per_step / sequences))
    return Packing(length=length, sequences=max(1, round(tokens_per_step / length)))
