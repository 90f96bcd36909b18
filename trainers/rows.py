"""A job's rows, read and tokenised."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.rows import read
from core.rows.chat import Chat
from core.rows.error import RowError
from core.rows.long import fitted
from core.rows.tokens import ChatTokenizer, Tokenized
from trainers.errors import SpecError
from trainers.rundir import RunDir
from trainers.stopping import StopRequest


@dataclass
class Rows:
    """Chats and their tokens, one for one."""

    chats: list[Chat] = field(default_factory=list)
    tokens: list[Tokenized] = field(default_factory=list)

    def lengths(self) -> list[int]:
        return [len(row.input_ids) for row in self.tokens]

    def with_replay(self, replay: "Rows", count: int, *, seed: int) -> "Rows":
        """These, and behind them so many rows of others, which the seed draws."""
        drawn = sorted(random.Random(seed).sample(range(len(replay.chats)), count))
        return Rows(self.chats + [replay.chats[i] for i in drawn], self.tokens + [replay.tokens[i] for i in drawn])

    def split(self, held_out: int, *, seed: int) -> "tuple[Rows, Rows]":
        """(the rest, so many rows that the seed draws), both in the file's order."""
        drawn = set(random.Random(seed).sample(range(len(self.chats)), held_out))
        rest, held = Rows(), Rows()
        for i, (chat, tokens) in enumerate(zip(self.chats, self.tokens, strict=True)):
            side = held if i in drawn else rest
            side.chats.append(chat)
            side.tokens.append(tokens)
        return rest, held


def read_rows(
    path: str,
    tokenizer: ChatTokenizer,
    run_dir: RunDir,
    stop: StopRequest,
    *,
    limit: int,
    long_rows: str,
    param: str,
) -> Rows:
    """Parse and tokenise a file, and say how many rows are longer than `limit` tokens.

    Raises:
        SpecError: no row is left, or one can't be parsed, does not suit the chat template, or is longer where
            `long_rows` calls that an error.
    """
    rows, cut, dropped = Rows(), 0, 0
    for number, chat in _parsed(path, param):
        stop.check()
        try:
            tokens = tokenizer.tokenize(chat)
            kept = fitted(tokens, limit=limit, long_rows=long_rows)
        except ValueError as error:
            raise _refused(param, f"line {number}: {error}") from None
        if kept is None:
            dropped += 1
            continue
        cut += kept is not tokens
        rows.chats.append(chat)
        rows.tokens.append(kept)
    if not rows.tokens:
        raise _refused(param, f"all rows are longer than max_length ({limit})" if dropped else "the file has no rows")
    if cut or dropped:
        long, total = cut + dropped, len(rows.tokens) + dropped
        run_dir.say(
            f"{param}: {long} of {total} rows have more than {limit} tokens (max_length): {cut} were cut off "
            f"there, {dropped} were left out",
            level="warn",
        )
    return rows


def _parsed(path: str, param: str) -> Iterator[tuple[int, Chat]]:
    try:
        yield from read.chats(path)
    except RowError as fault:
        raise _refused(param, str(fault)) from None


def _refused(param: str, why: str) -> SpecError:
    return SpecError(f"{param}: {why}", param=param, code="invalid_file")
