"""What a grader asks a model, and what it is answered: the two sides are in different processes.

Who grades has neither the model's address nor its key. It hands questions to an `Ask`, a function of whoever started
it, all questions of a batch at once, so that they can be put at the same time.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from core.specs.strict import Strict


class ChatQuestion(Strict):
    """A chat completion. `answer_schema`: the JSON schema that the answer is to have."""

    kind: Literal["chat"] = "chat"
    model: str
    messages: list[dict[str, str]]
    sampling: dict[str, Any] = Field(default_factory=dict, description="As the completions API names them.")
    answer_schema: dict[str, Any]


class EmbedQuestion(Strict):
    """Embeddings of texts, by the model that the operator has chosen."""

    kind: Literal["embed"] = "embed"
    texts: list[str]


class Reply(Strict):
    """What came back. Where `problem` says why nothing did, all else is empty.

    text: of a chat. refusal: the model's own words where it declined. model: as its server names it. away: the problem
    is the server's, and may be over when it is asked later.
    """

    text: str | None = None
    vectors: list[list[float]] = Field(default_factory=list)
    refusal: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    problem: str | None = None
    away: bool = False


Question = Annotated[ChatQuestion | EmbedQuestion, Field(discriminator="kind")]
# A batch, as it is written down between processes.
QUESTIONS: TypeAdapter[list[Question]] = TypeAdapter(list[Question])
REPLIES: TypeAdapter[list[Reply]] = TypeAdapter(list[Reply])
# Answers are in the order of the questions. Never raises: a problem is a Reply.
Ask = Callable[[Sequence[ChatQuestion | EmbedQuestion]], list[Reply]]
