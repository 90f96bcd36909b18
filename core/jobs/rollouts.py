"""The answers that a job has learnt from, as far as it kept them: one file, looked through line by line."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.errors import InvalidRequest
from core.paging import Page, unknown_cursor

GRADER_REWARD = "grader_reward"
Key = Literal["step", "reward", "advantage", "completion_tokens", "grader_reward"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What a list of rollouts is narrowed down to; None leaves a bound open.

    failed: whether they could not be graded. row: of the training file. text: part of a message of the prompt, or of
    the completion, in any case. grader: a key of `rewards`, which they have to have: what GRADER_REWARD means.

    Raises:
        InvalidRequest: a bound of a grader's reward without the grader.
    """

    min_step: int | None = None
    max_step: int | None = None
    min_reward: float | None = None
    max_reward: float | None = None
    min_advantage: float | None = None
    max_advantage: float | None = None
    min_completion_tokens: int | None = None
    max_completion_tokens: int | None = None
    grader: str | None = None
    min_grader_reward: float | None = None
    max_grader_reward: float | None = None
    truncated: bool | None = None
    failed: bool | None = None
    row: int | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        for key in ("min_grader_reward", "max_grader_reward"):
            if self.grader is None and getattr(self, key) is not None:
                raise InvalidRequest(f"{key}: of which grader? Name one of a rollout's rewards as `grader`", param=key)

    def has(self, row: Row) -> bool:
        return (
            _between(row["step"], self.min_step, self.max_step)
            and _between(row["reward"], self.min_reward, self.max_reward)
            and _between(row["advantage"], self.min_advantage, self.max_advantage)
            and _between(row["completion_tokens"], self.min_completion_tokens, self.max_completion_tokens)
            and (self.grader is None or self._graded(row["rewards"].get(self.grader)))
            and self.row in (None, row["row"])
            and self.truncated in (None, row["truncated"])
            and self.failed in (None, row.get("error") is not None)
            and (self.text is None or self._says(row))
        )

    def _graded(self, reward: float | None) -> bool:
        return reward is not None and _between(reward, self.min_grader_reward, self.max_grader_reward)

    def _says(self, row: Row) -> bool:
        said = [row["completion"], *(message["content"] for message in row["prompt"])]
        return any(str(self.text).casefold() in text.casefold() for text in said if isinstance(text, str))


def _between(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def page(path: Path, wanted: Wanted, *, by: Key, descending: bool, after: str | None, limit: int) -> Page[Row]:
    """Rollouts, each with its number as its `id`, which orders those that are equal.

    Of all but the page's, a few numbers are held. A number stays an answer's own when a running job thins its file out.

    Raises:
        InvalidRequest: the file has no rollout `after`, or no longer; or none that the wanted grader has graded.
    """
    cursor, places = None, list[tuple[float, int, int]]()  # (value, number, where its line begins)
    graders = dict[str, None]()
    for offset, row in _rows(path):
        graders.update(dict.fromkeys(row["rewards"]))
        place = _value(row, by, wanted), row["number"], offset
        if str(row["number"]) == after:
            cursor = place
        if wanted.has(row):
            places.append(place)
    if wanted.grader is not None and wanted.grader not in graders:
        there = ", ".join(graders) or "none: what a grader without parts gives is the reward itself"
        raise InvalidRequest(f"grader: the job's rewards have no {wanted.grader!r}; they have {there}", param="grader")
    if after is not None and cursor is None:
        raise unknown_cursor(after)
    places.sort(reverse=descending)
    if cursor is not None:
        places = [place for place in places if (place < cursor if descending else place > cursor)]
    with path.open("rb") as file:
        return Page([_row_at(file, place) for place in places[:limit]], has_more=len(places) > limit)


def _value(row: Row, by: Key, wanted: Wanted) -> float:
    """What it is sorted by. One that the grader has not graded is in no list by its reward, but may be `after`."""
    return row["rewards"].get(wanted.grader, -math.inf) if by == GRADER_REWARD else row[by]


def _row_at(file: Any, place: tuple[float, int, int]) -> Row:
    file.seek(place[2])
    row = msgspec.json.decode(file.readline())
    return {"id": str(row.pop("number")), **row}


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    """(where its line begins, row)"""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            yield offset, msgspec.json.decode(line)
            offset += len(line)
