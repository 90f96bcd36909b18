# pyright: standard, reportMissingImports=false
# Copied from core/rows/ranking.py by sdk/tools/copy_core.py: change it there.
"""Rankings, the rows of reward models: responses to a prompt from the best to the worst, or a pair with a margin."""

from dataclasses import dataclass
from typing import Any

from tunesmith.rules.chat import Chat, Message, match_calls
from tunesmith.rules.error import RowError
from tunesmith.rules.preference import PREFERENCES, pair_kind, same, to_answer, to_preference, to_prompt
from tunesmith.rules.values import kind_of, only_keys

# ranking: `{"prompt": …, "responses": [{"response": …, "rank": 1}, …]}`; 1 is best.
# margin: either form of PREFERENCES, and by how much.
RANKINGS = ("ranking", "margin")
RANKING_KEYS = ("prompt", "responses")
RESPONSE_KEYS = ("response", "rank")
MOST_RESPONSES = 64
MOST_MARGIN = 10  # a difference of scores is one of log-odds: behind it one in 20,000 is the other way round


@dataclass(frozen=True)
class Ranking:
    """Chats that differ in their last messages, which alone are learnt from, the best one first.

    ranks: one a chat, ascending; chats of the same rank are not compared. margin: by how much the score of a chat has
    to lie above that of one that it is better than.
    """

    chats: tuple[Chat, ...]
    ranks: tuple[int, ...]
    margin: float = 0.0

    @property
    def sides(self) -> tuple[str, ...]:
        return tuple(f"rank {rank}" for rank in self.ranks)


def to_ranking(number: int, row: dict[str, Any], *, kind: str) -> Ranking:
    """A row of one of the two kinds.

    Raises:
        RowError: it is no ranking.
    """
    return _from_pair(number, row) if kind == "margin" else _from_responses(number, row)


def _from_pair(number: int, row: dict[str, Any]) -> Ranking:
    kind = pair_kind(row)
    only_keys(number, row, allowed=(*PREFERENCES[kind], "margin"))
    preference = to_preference(number, {key: value for key, value in row.items() if key != "margin"}, kind=kind)
    margin = row["margin"]
    if not _is_number(margin) or not 0 <= margin <= MOST_MARGIN:
        raise RowError(number, "margin", f"a number from 0 to {MOST_MARGIN} is needed, not {_given(margin)}")
    return Ranking(preference.chats, preference.ranks, float(margin))


def _from_responses(number: int, row: dict[str, Any]) -> Ranking:
    only_keys(number, row, allowed=RANKING_KEYS)
    prompt = to_prompt(number, row.get("prompt"), "prompt")
    value = row.get("responses")
    if not isinstance(value, list) or not 2 <= len(value) <= MOST_RESPONSES:
        given = f"of {len(value)}" if isinstance(value, list) and value else kind_of(value)
        raise RowError(number, "responses", f"a list of 2 to {MOST_RESPONSES} responses is needed, not {given}")
    read = [_response(number, item, f"responses[{i}]") for i, item in enumerate(value)]
    answers = [answer for answer, _ in read]
    for i, answer in enumerate(answers):
        field = f"responses[{i}].response"
        first = next(k for k, other in enumerate(answers) if same(answer, other))
        if first < i:
            raise RowError(number, field, f"is the same as responses[{first}].response: there is nothing to prefer")
        match_calls(number, [*prompt, answer], None, at="prompt", last=field)
    if len({rank for _, rank in read}) == 1:
        raise RowError(number, "responses", f"all have rank {read[0][1]}: there is nothing to prefer")
    read.sort(key=lambda response: response[1])
    return Ranking(tuple(Chat([*prompt, answer]) for answer, _ in read), tuple(rank for _, rank in read))


def _response(number: int, value: Any, field: str) -> tuple[Message, int]:
    """(the answer, its rank)."""
    if not isinstance(value, dict):
        raise RowError(number, field, f"an object with response and rank is needed, not {kind_of(value)}")
    only_keys(number, value, allowed=RESPONSE_KEYS, at=field)
    rank = value.get("rank")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise RowError(number, f"{field}.rank", f"a whole number from 1, the best, is needed, not {_given(rank)}")
    return to_answer(number, value.get("response"), f"{field}.response"), rank


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _given(value: Any) -> str:
    return f"{value!r:.40}" if _is_number(value) else kind_of(value)
