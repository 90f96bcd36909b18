"""What a file's rows are like, gathered while they are validated: 12 bytes a row, and a few megabytes."""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_digest as digest

from core.rows.features import Features
from core.rows.near import BINS, FEWEST_SHINGLES, near_rows, signatures
from core.rows.personal import PersonalData
from core.rows.sketch import MOST_HASHES, MOST_SIGNATURES, WHOLE, Sketch

BLOCK = 192 * 1024  # bytes of rows that numpy is given at once
MOST_BARS = 20  # of the histogram of lengths
ROW = 32  # bytes that a row counts for at least: of the shortest there would be a hundred thousand in a block
MOST_OF_A_ROW = 256 * 1024  # bytes of a row that are searched for patterns and likeness
SEPARATOR = bytes(8)  # as long as a shingle, so that none reaches into the next row
EMPTY_HASHES = np.empty(0, np.uint64)
EMPTY_SIGNATURES = np.empty((0, BINS), np.uint16)


@dataclass
class Survey:
    """Rows come one by one, by `add`; `figures` and `sketch` are of all that have come.

    expected_bytes: of all rows, as far as that is known before: of many rows only a share is looked at for likeness.
    """

    expected_bytes: int = 0
    empty_answers: int = 0
    refused_answers: int = 0
    personal: PersonalData = field(default_factory=PersonalData)
    _hashes: "array[int]" = field(default_factory=lambda: array("Q"))
    _lengths: "array[int]" = field(default_factory=lambda: array("I"))
    _prompts: "Smallest" = field(default_factory=lambda: Smallest(MOST_HASHES, EMPTY_HASHES))
    _near: "Smallest" = field(default_factory=lambda: Smallest(MOST_SIGNATURES, EMPTY_SIGNATURES))
    _block: list[Features] = field(default_factory=list)
    _block_numbers: list[int] = field(default_factory=list)
    _block_bytes: int = 0

    def add(self, number: int, row: Features) -> None:
        self._block.append(row)
        self._block_numbers.append(number)
        self._block_bytes += len(row.content) + ROW
        if self._block_bytes >= BLOCK:
            self._end_block()

    def extend(self, first: int, rows: Sequence[Features]) -> None:
        """Add rows whose numbers follow each other."""
        for start in range(0, len(rows), BLOCK // ROW):
            some = rows[start : start + BLOCK // ROW]
            self._block += some
            self._block_numbers += range(first + start, first + start + len(some))
            self._block_bytes += sum(map(len, [row.content for row in some])) + ROW * len(some)
            if self._block_bytes >= BLOCK:
                self._end_block()

    def _end_block(self) -> None:
        """Whatever can be done for many rows at once is cheaper by the row."""
        rows, numbers = self._block, self._block_numbers
        if not rows:
            return
        if not self._hashes:
            self._near.expect(round(self.expected_bytes / max(1, self._block_bytes) * len(rows)))
        self._block, self._block_numbers, self._block_bytes = [], [], 0
        self._lengths.extend([row.characters for row in rows])  # a row is far shorter than 2^32
        self.empty_answers += sum([row.empty for row in rows])
        self.refused_answers += sum([row.refused for row in rows])
        hashes = _hashes([digest(row.content, row.seed) for row in rows])
        self._hashes.frombytes(hashes.tobytes())
        prompts = _hashes([digest(row.prompt, row.seed) for row in rows])
        self._prompts.add(prompts, prompts)
        searched = [row.content for row in rows]
        if max(map(len, searched)) > MOST_OF_A_ROW:
            searched = [content[:MOST_OF_A_ROW] for content in searched]
        lengths = np.fromiter(map(len, searched), np.int64) + len(SEPARATOR)
        starts = np.cumsum(lengths) - lengths
        block = SEPARATOR.join(searched)
        self.personal.scan(block, starts.tolist(), numbers)
        self._add_near(block, starts, lengths, hashes)

    def _add_near(
        self, block: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64], hashes: NDArray[np.uint64]
    ) -> None:
        wanted = np.flatnonzero(hashes <= self._near.below)
        if not len(wanted):
            return
        if len(wanted) < len(starts):
            block = b"".join(block[starts[i] : starts[i] + lengths[i]] for i in wanted)
            lengths, hashes = lengths[wanted], hashes[wanted]
            starts = np.cumsum(lengths) - lengths
        found, shingles = signatures(block, starts)
        long = shingles >= FEWEST_SHINGLES
        self._near.add(hashes[long], found[long])

    def figures(self) -> dict[str, Any]:
        """The report's part about rows; the survey ends with it."""
        self._end_block()
        near = near_rows(self._near.kept()[1])
        return {
            "characters": _lengths(self._lengths),
            "duplicates": {
                "exact": self._sort_hashes(),
                "near": int(near.sum()),
                "near_rows_compared": len(near),
            },
            "empty_answers": self.empty_answers,
            "refused_answers": self.refused_answers,
            "personal_data": {
                category: {"rows": found.rows, "first_lines": found.first_lines}
                for category, found in self.personal.found.items()
            },
        }

    def _sort_hashes(self) -> int:
        """Sort the hashes where they are; answers how many rows repeat an earlier one."""
        hashes = np.frombuffer(self._hashes, np.uint64)
        hashes.sort()
        return int(np.count_nonzero(hashes[1:] == hashes[:-1]))

    def sketch(self) -> Sketch:
        """Call it after `figures`."""
        distinct = Smallest(MOST_HASHES, EMPTY_HASHES)
        hashes = np.frombuffer(self._hashes, np.uint64)
        for start in range(0, len(hashes), MOST_HASHES):
            part = hashes[start : start + MOST_HASHES]
            distinct.add(part, part)
        rows, prompts = distinct.kept()[0], self._prompts.kept()[0]
        return Sketch(rows, prompts, self._near.kept()[1], distinct.below, self._prompts.below)


def _hashes(digests: list[bytes]) -> NDArray[np.uint64]:
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


class Smallest:
    """Keeps what belongs to the `most` smallest distinct keys, which are hashes: a sample that knows its rate.

    below: all distinct keys up to it that have come are kept.
    """

    def __init__(self, most: int, values: NDArray[Any]) -> None:
        self.most = most
        self.below = WHOLE
        self._keys, self._values = EMPTY_HASHES, values
        self._waiting: list[tuple[NDArray[np.uint64], NDArray[Any]]] = []
        self._waiting_rows = 0

    def expect(self, distinct: int) -> None:
        """So many keys are to come: those that are too large to stay are not wanted, but for a margin of a half."""
        if distinct > 1.5 * self.most:
            self.below = int(WHOLE * (1.5 * self.most / distinct))

    def add(self, keys: NDArray[np.uint64], values: NDArray[Any]) -> None:
        small = keys <= self.below
        self._waiting.append((keys[small], values[small]))
        self._waiting_rows += len(self._waiting[-1][0])
        if self._waiting_rows > self.most // 4:  # the sooner, the fewer that have to be looked at
            self._merge()

    def kept(self) -> tuple[NDArray[np.uint64], NDArray[Any]]:
        """(keys, sorted; their values)"""
        self._merge()
        return self._keys, self._values

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, *(keys for keys, _ in self._waiting)])
        values = np.concatenate([self._values, *(values for _, values in self._waiting)])
        self._waiting, self._waiting_rows = [], 0
        keys, first = np.unique(keys, return_index=True)
        if len(keys) > self.most:
            self.below = int(keys[self.most - 1])
        self._keys, self._values = keys[: self.most], values[first[: self.most]]


def _lengths(lengths: "array[int]") -> dict[str, Any] | None:
    """Quantiles, exact, by nearest rank; mean, sum and histogram. None without rows."""
    values = np.frombuffer(lengths, np.uint32)
    if not len(values):
        return None
    values.sort()
    ranks = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    figures: dict[str, Any] = {name: int(values[_rank(share, len(values))]) for name, share in ranks.items()}
    figures["mean"] = round(float(values.mean(dtype=np.float64)), 1)
    figures["total"] = int(values.sum(dtype=np.uint64))
    figures["histogram"] = _histogram(values)
    return figures


def _histogram(lengths: NDArray[np.uint32]) -> list[dict[str, int]]:
    """How many rows are from `min` to `max` long, from the shortest to the longest, without gaps; at most MOST_BARS.

    Each bar is longer than the one before by about the same factor: the longest row may have a thousand times the
    length of most, which bars of one width would show as a single one; where all are nearly as long, it is the same.

    Args:
        lengths: [rows], sorted.
    """
    least, most = int(lengths[0]), int(lengths[-1])
    bounds = np.rint(np.geomspace(max(1, least), most + 1, MOST_BARS + 1)).astype(np.int64)
    bounds[[0, -1]] = least, most + 1
    bounds = np.unique(bounds)  # short rows have no fractions of characters to be told apart by
    rows = np.diff(np.searchsorted(lengths, bounds))
    return [
        {"min": int(low), "max": int(high) - 1, "rows": int(count)}
        for low, high, count in zip(bounds[:-1], bounds[1:], rows, strict=True)
    ]


def _rank(share: float, count: int) -> int:
    return max(0, math.ceil(share * count) - 1)
