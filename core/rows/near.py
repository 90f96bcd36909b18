"""Rows that are almost the same: MinHash (Broder, 1997) with one permutation (Li, Owen, Zhang, 2012).

A row is the set of its shingles, the SHINGLE bytes behind each start of a word; in scripts without spaces each
character starts one. Equal bins of two signatures estimate the Jaccard similarity of the sets.
"""

import numpy as np
from numpy.typing import NDArray

BINS = 64
SHINGLE = 8  # bytes
NEAR = 0.8  # similarity from which rows count as nearly the same
FEWEST_SHINGLES = 8  # shorter rows are not compared: too little would make them alike
BAND = 4  # bins; two rows of the least similarity share one of 16 such bands with probability 0.9998
EMPTY = np.uint16(0xFFFF)
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Fibonacci hashing

Signatures = NDArray[np.uint16]  # [rows, BINS]


def signatures(block: bytes, starts: NDArray[np.int64]) -> tuple[Signatures, NDArray[np.int64]]:
    """Signatures of a block's rows, and how many shingles each one has: [rows, BINS], [rows]."""
    text = np.frombuffer(b" " + block + bytes(SHINGLE), np.uint8)
    visible = text[:-SHINGLE] > 32
    # A word starts where something visible follows a blank; every character beyond Latin script is one.
    starts_word = (visible[1:] > visible[:-1]) | (text[1:-SHINGLE] >= 0xC0)
    at = np.flatnonzero(starts_word)
    lower = text | np.uint8(0x20)  # of letters; what else it makes alike makes no difference
    windows = np.ndarray((len(block),), "<u8", lower.data, 1, (1,))
    hashed = windows[at] * FACTOR
    shingles = np.diff(np.searchsorted(at, np.append(starts, len(block))))
    row = np.repeat(np.arange(len(starts)), shingles)
    # The top bits of the product depend on all bytes: six choose the bin, sixteen are the value in it.
    found = np.full(len(starts) * BINS, EMPTY, np.uint16)
    np.minimum.at(found, row * BINS + (hashed >> np.uint64(58)).astype(np.int64), _values(hashed))
    return found.reshape(-1, BINS), shingles


def _values(hashed: NDArray[np.uint64]) -> NDArray[np.uint16]:
    return np.minimum((hashed >> np.uint64(42)).astype(np.uint16), EMPTY - np.uint16(1))


def near_rows(rows: Signatures, others: Signatures | None = None) -> NDArray[np.bool_]:
    """[rows]: which are nearly the same as an earlier one of them; of `others`, where they are given."""
    count = len(rows)
    everything = rows if others is None else np.concatenate((others, rows))
    is_row = np.arange(len(everything)) >= len(everything) - count
    near = np.zeros(len(everything), np.bool_)
    filled = _densified(everything)
    for band in range(0, BINS, BAND):
        keys = np.ascontiguousarray(filled[:, band : band + BAND]).view("<u8").ravel()
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]]) + 1
        if not len(same):
            continue
        group_start = np.ones(len(order), np.bool_)
        group_start[same] = False
        first = order[np.maximum.accumulate(np.where(group_start, np.arange(len(order)), 0))[same]]
        later = order[same]
        for earlier in (first, order[same - 1]):
            pairs = ~near[later] & is_row[later]
            if others is not None:
                pairs &= ~is_row[earlier]
            a, b = later[pairs], earlier[pairs]
            near[a[_similarity(everything[a], everything[b]) >= NEAR]] = True
    return near[len(everything) - count :]


def _similarity(a: Signatures, b: Signatures) -> NDArray[np.float64]:
    """Equal bins over those that either row fills."""
    filled = (a != EMPTY) | (b != EMPTY)
    return ((a == b) & filled).sum(axis=1) / np.maximum(1, filled.sum(axis=1))


def _densified(rows: Signatures) -> Signatures:
    """Empty bins take the value of the next filled one (Shrivastava, Li, 2014), so that short rows can share bands."""
    filled, step = rows.copy(), 1
    while step < BINS:
        filled = np.where(filled == EMPTY, np.roll(filled, -step, axis=1), filled)
        step *= 2
    return filled
