"""What the child is asked and what it answers: one JSON object each way."""

from typing import Annotated, Literal

from pydantic import Field

from core.specs.method import Method, training_options
from core.specs.strict import Strict
from core.specs.training import Training


class MeasureTask(Strict):
    """Foretell what training would read. Paths are the parent's own."""

    type: Literal["measure"] = "measure"
    card: str = Field(description="Folder of the model's card.")
    training_file: str
    validation_file: str | None = None
    replay_file: str | None = None
    method: Method
    context: int = Field(description="Longest sequence of the model, in tokens.")
    on_gpu: bool

    @property
    def options(self) -> Training:
        return training_options(self.method)


class PreviewTask(Strict):
    """Show rows [offset, offset + limit) as the model sees them."""

    type: Literal["preview"] = "preview"
    card: str
    file: str
    offset: int
    limit: int
    max_length: int
    prompts: bool = Field(default=False, description="The rows wait for an answer: there is nothing to learn in them.")


Task = Annotated[MeasureTask | PreviewTask, Field(discriminator="type")]


class Example(Strict):
    """A row that can't be trained as it is. tokens: of its longest answer; null where the template refuses it."""

    row: int
    tokens: int | None
    reason: str


class TokenFigures(Strict):
    """Tokens of one pass over the rows, as far as they are trained."""

    total: int
    trained: int
    total_interval: int = Field(description="Half-width of the 95 % interval of total; 0: exact.")
    trained_interval: int
    padded: int = Field(description="What batches in random order would hold, each padded to its longest row.")


class RowFigures(Strict):
    total: int
    tokenized: int
    too_long: int
    left_out: int = Field(description="Of the rows that are too long: those of which nothing is trained.")
    too_long_is_exact: bool
    unusable: int
    examples: list[Example]
    median: int = Field(description="Tokens of the middle row that fits, of prompts without answers; 0: none does.")
    longest: int


class Plan(Strict):
    """How the trainer would go about it."""

    max_length: int = Field(description="Of rows; of prompts also what the longest answer leaves them of the context.")
    epochs: int
    batch_size: int
    sequence_length: int | None = Field(description="Tokens that go through the model together; null without rows.")
    share: float = Field(description="Tokens of one pass, with what is replayed and without what is held out, ÷ all.")
    passes: float = Field(description="What tokens, which are of all rows, are to be multiplied by.")
    steps: int


class Notes(Strict):
    """What was noticed in passing."""

    duplicates: int = Field(description="Rows that are equal to an earlier one, of the first million.")
    leaked: list[int] = Field(description="The first rows that are in the validation file too.")
    leaked_count: int
    ignores_system: bool = Field(description="Rows have a system message, and the template drops or refuses it.")
    ignores_tools: bool = Field(description="Rows offer tools, and the template does not show them.")


class Measured(Strict):
    """What one pass over each file shows. exact: every row of the training file was tokenised."""

    exact: bool
    tokens: TokenFigures
    rows: RowFigures
    validation_rows: RowFigures | None = Field(description="Null without a validation file.")
    replay_rows: RowFigures | None = Field(default=None, description="Null without a replay file.")
    completion_tokens: int | None = Field(
        default=None, description="What each sampled answer is counted at, the most it may have; null: none is sampled."
    )
    plan: Plan
    notes: Notes


class PreviewToken(Strict):
    """trained: it carries loss. masked: it is only read. truncated: it lies behind max_length."""

    id: int
    text: str
    state: Literal["trained", "masked", "truncated"]


class PreviewRow(Strict):
    """One row as the model reads it. error: why the template can't render it; the rest is empty then."""

    object: Literal["file.preview_row"] = "file.preview_row"
    row: int
    side: str | None = Field(
        default=None,
        description="Which answer this is where a row has several, each of which is shown: 'chosen' or 'rejected' of a "
        "preference, 'rank 1' and so on of a ranking.",
    )
    text: str
    tokens: list[PreviewToken]
    trained_tokens: int
    total_tokens: int
    truncated: bool = Field(description="The row has more tokens than max_length.")
    error: str | None = None


class Previewed(Strict):
    rows: list[PreviewRow]
    has_more: bool


class Refused(Strict):
    """The task can't be done, for a reason that its author can mend."""

    message: str


class Answer(Strict):
    """One of the three."""

    measured: Measured | None = None
    previewed: Previewed | None = None
    refused: Refused | None = None
