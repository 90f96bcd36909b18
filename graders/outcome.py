"""What grading yields, in the contract's terms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from core.specs import grader_template
from graders.sample import Sample

LONGEST_DETAIL = 2000  # characters


@dataclass
class Errors:
    """The contract's flags, and words for people: `details` begin with the path of the grader's key.

    away: a server that graders ask is, for the time being.
    """

    formula_parse_error: bool = False
    sample_parse_error: bool = False
    truncated_observation_error: bool = False
    unresponsive_reward_error: bool = False
    invalid_variable_error: bool = False
    other_error: bool = False
    python_grader_server_error: bool = False
    python_grader_server_error_type: str | None = None
    python_grader_runtime_error: bool = False
    python_grader_runtime_error_details: str | None = None
    model_grader_server_error: bool = False
    model_grader_refusal_error: bool = False
    model_grader_parse_error: bool = False
    model_grader_server_error_details: str | None = None
    away: bool = False
    details: list[str] = field(default_factory=list)

    def add(self, other: "Errors", *, path: str) -> None:
        """Take over what went wrong with a grader inside this one."""
        for one in fields(self):
            if one.name != "details":
                setattr(self, one.name, getattr(self, one.name) or getattr(other, one.name))
        self.details += [f"{path}.{detail}" for detail in other.details]


@dataclass
class Usage:
    """Tokens that model graders took."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass
class Outcome:
    """The reward of one sample. It is 0 where something went wrong, as far as the grader's parts are concerned.

    sub_rewards: of the parts, before they are weighted. scores: figures behind the reward. seconds: this sample's share
    of the time that its batch took.
    """

    reward: float = 0.0
    errors: Errors = field(default_factory=Errors)
    sub_rewards: dict[str, float] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    seconds: float = 0.0

    def take(self, key: str, other: "Outcome", *, path: str) -> None:
        """Count a part in, under that key."""
        self.sub_rewards[key] = other.reward
        self.errors.add(other.errors, path=path)
        for model, used in other.usage.items():
            sum_ = self.usage.setdefault(model, Usage())
            sum_.prompt_tokens += used.prompt_tokens
            sum_.completion_tokens += used.completion_tokens


class Failure(Exception):
    """A sample can't be graded. flag: which one of Errors. further: others of its fields, by their names."""

    def __init__(self, flag: str, message: str, **further: Any) -> None:
        super().__init__(message)
        self.flag, self.message, self.further = flag, message[:LONGEST_DETAIL], further

    def outcome(self) -> Outcome:
        return Outcome(errors=Errors(**{self.flag: True, **self.further}, details=[self.message]))


def unanswered(key: str, problem: str, *, away: bool) -> Failure:
    """A model's server has given nothing to grade by. key: of the grader, which chooses the model."""
    details = {"model_grader_server_error_details": problem}
    return Failure("model_grader_server_error", f"{key}: {problem}", away=away, **details)


def rendered(key: str, template: str, sample: Sample) -> str:
    """The template of that key, filled in.

    Raises:
        Failure: the item has no such key, or the text is no JSON, or none that can be sent.
    """
    try:
        text = grader_template.render(template, item=sample.item, sample=sample.names)
        text.encode()
    except UnicodeEncodeError:  # JSON can name one half of a surrogate pair, which is no character
        raise Failure("sample_parse_error", f"{key}: it holds half a character, which no text can") from None
    except grader_template.UnknownName as error:
        raise Failure("invalid_variable_error", f"{key}: {error}") from None
    except grader_template.NotJson as error:
        raise Failure("sample_parse_error", f"{key}: {error}") from None
    return text


def each(samples: Sequence[Sample], grade: Callable[[Sample], Outcome]) -> list[Outcome]:
    """An outcome for every sample; `grade` may raise Failure."""

    def one(sample: Sample) -> Outcome:
        try:
            return grade(sample)
        except Failure as failure:
            return failure.outcome()

    return [one(sample) for sample in samples]


def in_batch(
    samples: Sequence[Sample],
    prepare: Callable[[Sample], Any],
    grade: Callable[[list[Any]], Sequence[Outcome]],
) -> list[Outcome]:
    """As `each`, where all that could be prepared is graded at once."""
    found: dict[int, Outcome] = {}
    ready: dict[int, Any] = {}
    for place, sample in enumerate(samples):
        try:
            ready[place] = prepare(sample)
        except Failure as failure:
            found[place] = failure.outcome()
    graded: Mapping[int, Outcome] = dict(zip(ready, grade(list(ready.values())), strict=True)) if ready else {}
    return [found[place] if place in found else graded[place] for place in range(len(samples))]
