"""Graders: how good an answer is, as data. `type` names a grader, and its other keys are its options.

The types that the contract has keep its names, keys and defaults; `math`, `reasoning` and the key `sandbox` are ours.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from core.specs import formula, grader_template
from core.specs.strict import Strict, WrongKey

MOST_SOURCE = 256 * 1024  # characters of a python grader, and of a template
GRADER_KEY = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
Metric = Literal[
    "cosine",
    "fuzzy_match",
    "bleu",
    "gleu",
    "meteor",
    "rouge_1",
    "rouge_2",
    "rouge_3",
    "rouge_4",
    "rouge_5",
    "rouge_l",
]
Name = Annotated[str, Field(min_length=1, max_length=256, description="A name of the client's, for people.")]
Template = Annotated[str, Field(max_length=MOST_SOURCE), AfterValidator(grader_template.check)]
Model = Annotated[
    str, Field(min_length=1, max_length=256, description="As the operator's server of model graders names it.")
]
Share = Annotated[float, Field(ge=0, le=100)]


class StringCheck(Strict):
    """1 where the two texts stand in that relation, else 0."""

    type: Literal["string_check"]
    name: Name
    input: Template = Field(description="A template.")
    reference: Template = Field(description="A template.")
    operation: Literal["eq", "ne", "neq", "like", "ilike"] = Field(
        description="eq: equal. ne, also written neq: not equal. like: input holds reference. ilike: likewise, "
        "whatever the case of letters."
    )


class TextSimilarity(Strict):
    """How alike two texts are, from 0 to 1."""

    type: Literal["text_similarity"]
    name: Name
    input: Template = Field(description="A template.")
    reference: Template = Field(description="A template.")
    evaluation_metric: Metric = Field(
        description="fuzzy_match: RapidFuzz's ratio. bleu (Papineni et al., 2002) and gleu (Wu et al., 2016, arXiv "
        "1609.08144), of sentences, by NLTK. meteor (Banerjee and Lavie, 2005): exact and stem matches, no synonyms. "
        "rouge_1 to rouge_5 and rouge_l (Lin, 2004): F1, by rouge-score. cosine: of embeddings, where the operator has "
        "set a server for them."
    )


class ContentPart(Strict):
    """Text in a message; graders read no images and no sound."""

    type: Literal["input_text", "output_text", "text"]
    text: Template


class EvalMessage(Strict):
    """A message to the model that grades; its text is a template."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Template | ContentPart | Annotated[list[ContentPart], Field(min_length=1, max_length=64)]
    type: Literal["message"] = "message"

    @property
    def templates(self) -> list[str]:
        """The text, part by part."""
        if isinstance(self.content, str):
            return [self.content]
        return [part.text for part in ([self.content] if isinstance(self.content, ContentPart) else self.content)]


Input = Annotated[list[EvalMessage], Field(min_length=1, max_length=64)]


class SamplingParams(Strict):
    """How the model that grades is sampled; null: as its server does."""

    seed: int | None = None
    top_p: float | None = Field(default=None, gt=0, le=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_completions_tokens: int | None = Field(default=None, ge=1, le=131072)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None


class ScoreModel(Strict):
    """What a model says that the answer is worth."""

    type: Literal["score_model"]
    name: Name
    model: Model
    input: Input
    range: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(
        default=[0.0, 1.0], description="The lowest and the highest score; what is beyond counts as these."
    )
    sampling_params: SamplingParams | None = None

    @model_validator(mode="after")
    def range_has_room(self) -> "ScoreModel":
        if not self.range[0] < self.range[1]:
            raise WrongKey("range", f"the first must be below the second; given {self.range}")
        return self


class LabelModel(Strict):
    """1 where a model gives the answer one of the passing labels, else 0; only inside a multi grader."""

    type: Literal["label_model"]
    name: Name
    model: Model
    input: Input
    labels: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=64)]
    passing_labels: Annotated[list[str], Field(min_length=1, max_length=64)]
    sampling_params: SamplingParams | None = None

    @model_validator(mode="after")
    def passing_are_labels(self) -> "LabelModel":
        if unknown := [label for label in self.passing_labels if label not in self.labels]:
            raise WrongKey("passing_labels", f"{unknown[0]!r} is none of labels; there are {', '.join(self.labels)}")
        return self


class PythonGrader(Strict):
    """What `grade(sample, item)` answers, a function that the source defines."""

    type: Literal["python"]
    name: Name
    source: str = Field(min_length=1, max_length=MOST_SOURCE, description="Defines `def grade(sample, item) -> float`.")
    image_tag: str | None = Field(default=None, description="The hosted service's; there are no images here.")
    sandbox: Literal["monty", "full"] = Field(
        default="monty",
        description="monty: an interpreter that knows a part of Python and its library, and of the machine nothing. "
        "full: CPython with the server's packages under bubblewrap, where the machine allows it.",
    )
    timeout_seconds: float = Field(default=120.0, gt=0, le=120, description="For one answer.")

    @model_validator(mode="after")
    def no_images(self) -> "PythonGrader":
        if self.image_tag is not None:
            words = f"given {self.image_tag[:80]!r}, but there are no images to choose from here"
            raise WrongKey("image_tag", f"{words}: leave it out; sandbox 'full' has the packages of the server")
        return self


class MathGrader(Strict):
    """1 where the answer is mathematically the reference, else 0, by math-verify.

    Of an answer in words, what is boxed counts, else the last number or formula.
    """

    type: Literal["math"]
    name: Name
    input: Template = Field(default="{{ sample.output_text }}", description="A template.")
    reference: Template = Field(description="A template: a number, or a formula in LaTeX with or without $.")


class ReasoningWeights(Strict):
    """What each part of a reasoning reward is worth where it is perfect."""

    correctness: Share = Field(default=1.0, description="The answer is right.")
    quality: Share = Field(default=0.5, description="The chain of thought is good.")
    brevity: Share = Field(default=0.2, description="It is short; paid only where the answer is right.")


class ReasoningGrader(Strict):
    """A chain of thought in `<think>` and an answer behind it: correctness, quality and brevity, weighted and summed.

    quality, where no model judges it, is the share of four checks that hold: there is one think block and nothing
    before it; an answer stands behind it; nothing repeats itself; what the answer ends in occurs in the last step.
    """

    type: Literal["reasoning"]
    name: Name
    reference: Template = Field(description="A template: the right answer.")
    check: Literal["math", "text"] = Field(
        default="math",
        description="How the answer behind the think block is compared. math: as the grader of that name does. text: "
        "letter by letter, but for case, blanks and a last full stop.",
    )
    weights: ReasoningWeights = Field(default_factory=ReasoningWeights)
    quality: ScoreModel | None = Field(
        default=None, description="A model that judges the chain, its range scaled to 0 and 1; null: the four checks."
    )
    brevity_half_length: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="Characters at which brevity is one half: it is 1 / (1 + characters / this). 1 gives 1 / (1 + "
        "characters).",
    )


Part = Annotated[
    StringCheck | TextSimilarity | ScoreModel | LabelModel | PythonGrader | MathGrader | ReasoningGrader,
    Field(discriminator="type"),
]
PartKey = Annotated[str, Field(pattern=GRADER_KEY)]


class MultiGrader(Strict):
    """A formula over the rewards of several graders."""

    type: Literal["multi"]
    name: Name
    graders: dict[PartKey, Part] = Field(
        min_length=1, max_length=32, description="Each under the name by which the formula knows it."
    )
    calculate_output: str = Field(
        description="The formula: names of graders, numbers, + - * / ^, brackets, min, max, abs, floor, ceil, exp, "
        "sqrt, log."
    )

    @model_validator(mode="after")
    def formula_is_one(self) -> "MultiGrader":
        if taken := sorted(set(self.graders) & set(formula.FUNCTIONS)):
            raise WrongKey(f"graders.{taken[0]}", "is a function of formulas: choose another name")
        try:
            formula.check(self.calculate_output, known=self.graders)
        except formula.FormulaError as error:
            raise WrongKey("calculate_output", str(error)) from None
        return self


Grader = Annotated[
    StringCheck | TextSimilarity | ScoreModel | PythonGrader | MathGrader | ReasoningGrader | MultiGrader,
    Field(discriminator="type"),
]
AnyGrader = Part | MultiGrader


def parts(grader: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, grader) of the grader itself and of every grader in it; the paths are those of its keys."""
    yield path, grader
    inner: dict[str, Any] = {}
    if isinstance(grader, MultiGrader):
        inner = {f"graders.{key}": part for key, part in grader.graders.items()}
    elif isinstance(grader, ReasoningGrader) and grader.quality is not None:
        inner = {"quality": grader.quality}
    for key, part in inner.items():
        yield from parts(part, f"{path}.{key}" if path else key)


def templates(grader: Any) -> Iterator[tuple[str, str]]:
    """(path, template) of the grader and of every grader in it; the paths are those of its keys."""
    for path, part in parts(grader):
        for key in ("input", "reference"):
            given = getattr(part, key, None)
            if isinstance(given, str):
                texts = [(key, given)]
            else:
                texts = [(f"{key}.{i}.content", text) for i, said in enumerate(given or []) for text in said.templates]
            for below, text in texts:
                yield f"{path}.{below}" if path else below, text
