"""How the rows of an optimiser step share sequences."""

import math
from bisect import bisect_left, insort
from collections.abc import Sequence

# Tokens that go through the model together, unless one row alone has more: enough for products that keep a CPU, or a
# GPU, busy; more would take memory and bring nothing.
CPU_LENGTH = 1024
GPU_LENGTH = 2048


def capacity(*, shared: bool, on_gpu: bool) -> int:
    """Tokens that a sequence of several rows holds at most; 0 where each row is one."""
    if not shared:
        return 0
    return GPU_LENGTH if on_gpu else CPU_LENGTH


def bins(lengths: Sequence[int], *, capacity: int) -> list[list[int]]:
    """The rows, by their places, that share each sequence: the longest first, each into the fullest that has room.

    Best fit decreasing (Johnson, 1974); a row that is longer than the capacity has a sequence of its own.
    """
    found: list[list[int]] = []
    free: list[tuple[int, int]] = []  # (tokens left, bin), of bins that have any left, ascending
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        at = bisect_left(free, (lengths[row], 0))
        if at == len(free):
            left, bin = capacity - lengths[row], len(found)
            found.append([row])
        else:
            left, bin = free.pop(at)
            left -= lengths[row]
            found[bin].append(row)
        if left > 0:
            insort(free, (left, bin))
    return found


def longest_sequence(lengths: Sequence[int], *, batch_size: int, capacity: int) -> int:
    """Tokens of a sequence, at most: of a step's rows, of the longest row, or what fits."""
    of_step = math.ceil(batch_size * sum(lengths) / max(1, len(lengths)))
    return max(max(lengths, default=0), min(capacity, of_step))


def sequences(tokens: int, *, length: int) -> int:
    """How many sequences so many tokens fill, behind one that ends the document before the first.

    The last token of each is the first of the next: it adds length - 1.
    """
    return tokens // (length - 1)


def steps_per_epoch(rows: int, *, batch_size: int) -> int:
    """Optimiser steps of one pass; the last one may hold fewer rows."""
    return math.ceil(rows / batch_size)
