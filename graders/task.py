"""What goes between `graders.process` and its child, an object a line."""

from pydantic import BaseModel

from core.specs.asking import Question, Reply
from core.specs.graders import Grader
from graders.outcome import Outcome
from graders.sample import Sample


class Task(BaseModel):
    """sample: null where the grader is only to be checked."""

    grader: Grader
    sample: Sample | None = None


class Told(BaseModel):
    """path: of the grader's key that is wrong."""

    path: str
    message: str


class Asked(BaseModel):
    """The child's questions to models; a line of Replies is the answer."""

    questions: list[Question]


class Replies(BaseModel):
    replies: list[Reply]


class Done(BaseModel):
    """The child's last line. problem: the grader can't be run. Both null: nothing is wrong with it."""

    problem: Told | None = None
    outcome: Outcome | None = None
