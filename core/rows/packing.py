"""How long packed sequences are, how many there are, and how many make a step."""

import math
from bisect import bisect_left, insort
from dataclasses import dataclass

# SDPA's mask of a packed sequence is dense, T x T: on a CPU a longer one costs more than it saves.
CPU_LENGTH = 512
GPU_LENGTH = 2048
TOGETHER = 1000  # rows that TRL packs together, in the file's order


@dataclass(frozen=True)
class Packing:
    """length: tokens that a sequence holds at most. sequences: how many of them make one optimiser step.

    shared: rows share sequences; else each row is one.
    """

    length: int
    sequences: int
    shared: bool = True


def plan(lengths: list[int], *, batch_size: int, on_gpu: bool, shared: bool = True) -> Packing:
    """Sequences of about the usual length that together hold `batch_size` rows a step, on average.

    The length gives way to the batch: a small batch makes it shorter, and a batch of 1.4 usual lengths is one sequence
    of that length. It is never shorter than the longest row.

    Args:
        lengths: tokens of each training row.
        batch_size: rows per optimiser step.
        shared: whether rows may share a sequence.
    """
    if not shared:
        return Packing(length=max(lengths), sequences=batch_size, shared=False)
    tokens_per_step = batch_size * sum(lengths) / len(lengths)
    usual = GPU_LENGTH if on_gpu else CPU_LENGTH
    sequences = max(1, round(tokens_per_step / usual))
    length = max(max(lengths), math.ceil(tokens_per_step / sequences))
    return Packing(length=length, sequences=max(1, round(tokens_per_step / length)))


def count_sequences(lengths: list[int], packing: Packing) -> int:
    """How many sequences TRL's `bfd` packing makes: the longest row first, each into the fullest that has room."""
    if not packing.shared:
        return len(lengths)
    return sum(_bins(lengths[at : at + TOGETHER], packing.length) for at in range(0, len(lengths), TOGETHER))


def _bins(lengths: list[int], capacity: int) -> int:
    """Best fit decreasing; which of several equally full bins takes a row makes no difference to their number."""
    count, free = 0, []  # free: tokens left in each bin that has any, ascending
    for length in sorted(lengths, reverse=True):
        at = bisect_left(free, length)
        if at == len(free):
            count += 1
            left = capacity - length
        else:
            left = free.pop(at) - length
        if left > 0:
            insort(free, left)
    return count


def steps_per_epoch(sequences: int, packing: Packing) -> int:
    """Optimiser steps of one pass; the last one may hold fewer sequences."""
    return math.ceil(sequences / packing.sequences)
