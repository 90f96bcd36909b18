"""A job's rows, read and tokenised."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.rows import read
from core.rows.error import RowError
from core.rows.kinds import Row
from core.rows.long import fitted
from core.rows.tokens import ChatTokenizer, Tokenized
from trainers.errors import SpecError
from trainers.rundir import RunDir
from trainers.stopping import StopRequest


@dataclass
class Rows:
    """Rows and their tokens, one for one: of each chat that a row is read as."""

    content: list[Row] = field(default_factory=list)
    tokens: list[list[Tokenized]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.content)

    def lengths(self) -> list[int]:
        return [sum(len(chat.input_ids) for chat in row) for row in self.tokens]

    def chats(self) -> list[Tokenized]:
        """Of all rows, one behind the other."""
        return [chat for row in self.tokens for chat in row]

    def first(self, count: int) -> "Rows":
        return Rows(self.content[:count], self.tokens[:count])

    def with_replay(self, replay: "Rows", count: int, *, seed: int) -> "Rows":
        """These, and behind them so many rows of others, which the seed draws."""
        drawn = sorted(random.Random(seed).sample(range(len(replay)), count))
        return Rows(self.content + [replay.content[i] for i in drawn], self.tokens + [replay.tokens[i] for i in drawn])

    def split(self, held_out: int, *, seed: int) -> "tuple[Rows, Rows]":
        """(the rest, so many rows that the seed draws), both in the file's order."""
        drawn = set(random.Random(seed).sample(range(len(self)), held_out))
        rest, held = Rows(), Rows()
        for i, (row, tokens) in enumerate(zip(self.content, self.tokens, strict=True)):
            side = held if i in drawn else rest
            side.content.append(row)
            side.tokens.append(tokens)
        return rest, held


def read_rows(
    path: str,
    tokenizer: ChatTokenizer,
    run_dir: RunDir,
    stop: StopRequest,
    *,
    wanted: tuple[type[Row], ...],
    limit: int,
    long_rows: str,
    param: str,
) -> Rows:
    """Parse and tokenise a file, and say how many rows are longer than `limit` tokens.

    Args:
        wanted: what the method learns from.

    Raises:
        SpecError: no row is left, or one can't be parsed, is none that is wanted, does not suit the chat template, or
            is longer where `long_rows` calls that an error.
    """
    rows, cut, dropped = Rows(), 0, 0
    for number, row in _parsed(path, param):
        stop.check()
        if not isinstance(row, wanted):
            learnt = " or ".join(f"a {kind.__name__.lower()}" for kind in wanted)
            raise _refused(param, f"line {number}: is a {type(row).__name__.lower()}, not {learnt}")
        try:
            tokens = [tokenizer.tokenize(chat) for chat in row.chats]
            kept = fitted(tokens, limit=limit, long_rows=long_rows)
        except ValueError as error:
            raise _refused(param, f"line {number}: {error}") from None
        if kept is None:
            dropped += 1
            continue
        cut += kept is not tokens
        rows.content.append(row)
        rows.tokens.append(kept)
    if not rows:
        raise _refused(param, f"all rows are longer than max_length ({limit})" if dropped else "the file has no rows")
    if cut or dropped:
        long, total = cut + dropped, len(rows) + dropped
        run_dir.say(
            f"{param}: {long} of {total} rows have more than {limit} tokens (max_length): {cut} were cut off "
            f"there, {dropped} were left out",
            level="warn",
        )
    return rows


def _parsed(path: str, param: str) -> Iterator[tuple[int, Row]]:
    try:
        yield from read.rows(path)
    except RowError as fault:
        raise _refused(param, str(fault)) from None


def _refused(param: str, why: str) -> SpecError:
    return SpecError(f"{param}: {why}", param=param, code="invalid_file")
