"""Which rows are tokenised: all of them where they are few, else a sample, and every row that may be too long."""

import heapq
import math
import random
from dataclasses import dataclass, field

from core.rows import kinds

# Characters: files up to WHOLE are tokenised whole, of larger ones at most SAMPLED, and as much of long rows.
WHOLE = 8_000_000
SAMPLED = 5_000_000
MESSAGE_TOKENS = 64  # more than templates write around a message


@dataclass(frozen=True)
class Row:
    """A row that is to be tokenised. index: from 0, in the file's order. draw: uniform in [0, 1), the row's lot."""

    index: int
    number: int
    content: kinds.Row
    characters: int
    draw: float


@dataclass
class Sample:
    """Takes rows as they come, in bounded memory.

    `long`: rows that may have more than `max_length` tokens, the longest of them if they are too many.
    `others`: a uniform sample of the rest: all rows whose lot is below `rate`, which is halved when they are
    too many characters.
    """

    max_length: int
    rate: float = 1.0
    long: list[tuple[int, int, Row]] = field(default_factory=list)
    others: list[Row] = field(default_factory=list)
    other_rows: int = 0
    other_characters: int = 0
    long_is_whole: bool = True
    _long_characters: int = 0
    _kept_characters: int = 0
    _lots: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, index: int, number: int, content: kinds.Row, *, characters: int, bytes: int) -> None:
        row = Row(index, number, content, characters, self._lots.random())
        # A token is at least a byte of the text.
        messages = sum(len(chat.messages) for chat in content.chats)
        if bytes + MESSAGE_TOKENS * messages <= self.max_length:
            self._add_other(row)
            return
        heapq.heappush(self.long, (characters, index, row))
        self._long_characters += characters
        while self._long_characters > SAMPLED and len(self.long) > 1:
            _, _, shortest = heapq.heappop(self.long)
            self._long_characters -= shortest.characters
            self.long_is_whole = False
            self._add_other(shortest)

    def _add_other(self, row: Row) -> None:
        self.other_rows += 1
        self.other_characters += row.characters
        if row.draw >= self.rate:
            return
        self.others.append(row)
        self._kept_characters += row.characters
        while self._kept_characters > (WHOLE if self.rate == 1 else SAMPLED) and len(self.others) > 1:
            self.rate /= 2
            least = min(self.others, key=lambda kept: kept.draw)
            self.others = [kept for kept in self.others if kept.draw < self.rate] or [least]
            self._kept_characters = sum(kept.characters for kept in self.others)

    @property
    def is_whole(self) -> bool:
        return len(self.others) == self.other_rows

    def total(self, values: list[int]) -> tuple[float, float]:
        """(total over the other rows, half-width of its 95 % interval) of a figure known for each sampled one.

        The ratio estimator of survey sampling (Cochran, Sampling Techniques, 1977, ch. 6): the figure's ratio to the
        characters, times the characters of all rows, which are known. One row tells nothing about its like: the
        interval is then as wide as the total.
        """
        n, population = len(self.others), self.other_rows
        if n == population:
            return sum(values), 0.0
        sizes = [row.characters for row in self.others]
        ratio = sum(values) / max(1, sum(sizes))
        if n < 2:
            return ratio * self.other_characters, ratio * self.other_characters
        residuals = (value - ratio * size for value, size in zip(values, sizes, strict=True))
        variance = sum(residual**2 for residual in residuals) / (n - 1)
        return ratio * self.other_characters, 1.96 * population * math.sqrt((1 - n / population) * variance / n)
