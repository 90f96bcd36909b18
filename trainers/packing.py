"""How long packed sequences are, and how many make a step."""

import math
from dataclasses import dataclass

# SDPA's mask of a packed sequence is dense, T x T: on a CPU a longer one costs more than it saves.
CPU_LENGTH = 512
GPU_LENGTH = 4096


@dataclass(frozen=True)
class Packing:
    """length: tokens of a packed sequence. sequences: how many of them make one optimiser step."""

    length: int
    sequences: int


def plan(lengths: list[int], *, batch_size: int, on_gpu: bool) -> Packing:
    """Sequences that hold `batch_size` rows a step on average, no shorter than the longest row.

    Args:
        lengths: tokens of each training row.
        batch_size: rows per optimiser step.
    """
    tokens_per_step = batch_size * sum(lengths) / len(lengths)
    longest = max(lengths)
    usual = GPU_LENGTH if on_gpu else CPU_LENGTH
    length = max(longest, min(usual, math.ceil(tokens_per_step)))
    return Packing(length=length, sequences=max(1, round(tokens_per_step / length)))
