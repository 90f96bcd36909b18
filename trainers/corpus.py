"""A job's text as sequences of tokens, on disk: a corpus may be larger than memory.

The file of tokens is one row of documents, each between two tokens that end one. A sequence is `length` tokens of it,
and begins with the token that the one before it ended with, so that every token but the first is foretold once. What
the tokenizer puts before a text begins each document, and is foretold by nothing that stands before it.
"""

import random
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from core.rows import packing, read
from core.rows.error import RowError
from core.rows.text import Text
from core.rows.tokens import IGNORED, ChatTokenizer
from core.specs.run import RunSpec
from trainers.errors import SpecError
from trainers.rundir import RunDir
from trainers.stopping import StopRequest

FOLDER = "corpus"


@dataclass(frozen=True)
class Sequences(Dataset[dict[str, Any]]):
    """Sequences of corpora.

    corpora: the tokens of each. places: [sequences, 2], each the number of a corpus and a place in it, in sequences.
    end: the token that ends a document. begun: documents begin with tokens of their own, else with the `end` of the
    one before.
    """

    corpora: list[NDArray[np.uint32]]
    places: NDArray[np.int64]
    length: int
    end: int
    begun: bool = False

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, at: int) -> dict[str, Any]:
        """`input_ids`, `labels`: [length]. `edges`: where the sequence begins, and each document in it."""
        corpus, place = self.places[at]
        start = place * (self.length - 1)
        tokens = self.corpora[corpus][start : start + self.length].astype(np.int64)
        begins = np.flatnonzero(tokens[: self.length - self.begun] == self.end) + self.begun
        edges = np.union1d([0], begins)
        labels = tokens.copy()
        labels[edges if self.begun else 0] = IGNORED  # of its first token the sequence before has the loss, if any
        return {"input_ids": tokens, "labels": labels, "edges": edges.tolist()}

    @property
    def longest(self) -> int:
        return self.length

    @property
    def token_count(self) -> int:
        return len(self) * self.length

    def first(self, count: int) -> "Sequences":
        return self._only(self.places[:count])

    def split(self, held_out: int, *, seed: int) -> "tuple[Sequences, Sequences]":
        """(the rest, so many sequences that the seed draws), both in the file's order."""
        if held_out == 0:
            return self, self.first(0)
        drawn = np.zeros(len(self), bool)
        drawn[random.Random(seed).sample(range(len(self)), held_out)] = True
        return self._only(self.places[~drawn]), self._only(self.places[drawn])

    def with_replay(self, replay: "Sequences", count: int, *, seed: int) -> "Sequences":
        """These, and behind them so many sequences of other corpora, which the seed draws."""
        drawn = sorted(random.Random(seed).sample(range(len(replay)), count))
        others = replay.places[drawn] + np.array([len(self.corpora), 0])
        places = np.concatenate([self.places, others])
        return replace(self, corpora=self.corpora + replay.corpora, places=places)

    def _only(self, places: NDArray[np.int64]) -> "Sequences":
        return replace(self, places=places)


def read_corpus(
    spec: RunSpec, path: str, tokenizer: ChatTokenizer, run_dir: RunDir, stop: StopRequest, *, limit: int, param: str
) -> Sequences:
    """Tokenise a file of documents into a file of tokens.

    Args:
        limit: tokens of a sequence.

    Raises:
        SpecError: a row is no document, or they don't fill a sequence; the model has no token that ends a document.
    """
    end = tokenizer.end_of_document
    if end is None:
        raise SpecError("model: its tokenizer has no token that ends a document", param="model")
    written = run_dir.working / FOLDER / param
    written.parent.mkdir(parents=True, exist_ok=True)
    with written.open("wb") as file:
        file.write(np.uint32(end).tobytes())
        try:
            for number, row in read.rows(path):
                stop.check()
                if not isinstance(row, Text):
                    raise RowError(number, "", f"is a {type(row).__name__.lower()}, not a text")
                (tokens,) = tokenizer.tokenize_row(row)
                file.write(np.array(tokens.input_ids, np.uint32).tobytes())
        except RowError as fault:
            raise SpecError(f"{param}: {fault}", param=param, code="invalid_file") from None
    tokens = np.memmap(written, np.uint32, "r")
    count = packing.sequences(len(tokens) - 1, length=limit)
    if count == 0:
        message = f"{param}: the text has {len(tokens) - 1} tokens, too few for one sequence of max_length ({limit})"
        raise SpecError(message, param=param, code="invalid_file")
    places = np.stack([np.zeros(count, np.int64), np.arange(count)], axis=1)
    return Sequences([tokens], places, limit, end, begun=bool(tokenizer.begin_of_document))
