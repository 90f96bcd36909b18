"""`score_model` and `label_model`: what another model says."""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from core.specs.asking import Ask, ChatQuestion, Reply
from core.specs.graders import LabelModel, SamplingParams, ScoreModel
from graders.outcome import Failure, Outcome, Usage, in_batch, rendered, unanswered
from graders.sample import Sample

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w])")
# The contract's spelling, and that of the completions API.
SAMPLING_NAMES = {"max_completions_tokens": "max_completion_tokens"}


def score_model(grader: ScoreModel, samples: Sequence[Sample], ask: Ask) -> list[Outcome]:
    low, high = grader.range

    def read(text: str) -> tuple[float, dict[str, float]]:
        score = _number(text)
        if score is None:
            raise Failure(
                "model_grader_parse_error", f"input: the model's answer holds no single number: {text!r:.200}"
            )
        return min(high, max(low, score)), {"score": score}

    schema = _answer_schema("score", {"type": "number", "minimum": low, "maximum": high})
    return _asked(grader, samples, ask, schema, read)


def label_model(grader: LabelModel, samples: Sequence[Sample], ask: Ask) -> list[Outcome]:
    def read(text: str) -> tuple[float, dict[str, float]]:
        label = _label(text, grader.labels)
        if label is None:
            raise Failure("model_grader_parse_error", f"input: the model's answer is none of labels: {text!r:.200}")
        return float(label in grader.passing_labels), {}

    schema = _answer_schema("label", {"type": "string", "enum": grader.labels})
    return _asked(grader, samples, ask, schema, read)


def _asked(
    grader: ScoreModel | LabelModel,
    samples: Sequence[Sample],
    ask: Ask,
    schema: dict[str, Any],
    read: Callable[[str], tuple[float, dict[str, float]]],
) -> list[Outcome]:
    sampling = _sampling(grader.sampling_params)

    def question(sample: Sample) -> ChatQuestion:
        messages: list[dict[str, str]] = []
        for place, message in enumerate(grader.input):
            text = "\n".join(rendered(f"input.{place}.content", part, sample) for part in message.templates)
            messages.append({"role": message.role, "content": text})
        return ChatQuestion(model=grader.model, messages=messages, sampling=sampling, answer_schema=schema)

    def outcome(reply: Reply) -> Outcome:
        try:
            found = Outcome(*_reward(reply, read))
        except Failure as failure:
            found = failure.outcome()
        if reply.problem is None:
            found.usage[reply.model or grader.model] = Usage(reply.prompt_tokens, reply.completion_tokens)
        return found

    return in_batch(samples, question, lambda questions: [outcome(reply) for reply in ask(questions)])


def _reward(reply: Reply, read: Callable[[str], tuple[float, dict[str, float]]]) -> tuple[float, Any, Any, Any]:
    """The first fields of an Outcome."""
    if reply.problem is not None:
        raise unanswered("model", reply.problem, away=reply.away)
    if reply.refusal:
        raise Failure("model_grader_refusal_error", f"input: the model refused: {reply.refusal!r:.200}")
    reward, scores = read(reply.text or "")
    empty = Outcome()
    return reward, empty.errors, empty.sub_rewards, scores


def _sampling(given: SamplingParams | None) -> dict[str, Any]:
    params = given.model_dump(exclude_none=True) if given else {}
    return {SAMPLING_NAMES.get(name, name): value for name, value in params.items()}


def _answer_schema(key: str, kind: dict[str, Any]) -> dict[str, Any]:
    """Reasons first: what a model has written is what its verdict can rest on."""
    properties = {"reasons": {"type": "string"}, key: kind}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _object(text: str) -> dict[str, Any]:
    """The text as an object, also where it is fenced as code; empty where it is none."""
    bare = re.sub(r"^\s*```(?:json)?|```\s*$", "", text)
    try:
        found = json.loads(bare)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(text: str) -> float | None:
    """An object's `score` or `result`, else the only number in the text."""
    found = _object(text)
    given = next((found[key] for key in ("score", "result") if key in found), None)
    if found:
        numbers = [given] if isinstance(given, int | float) and not isinstance(given, bool) else []
    else:
        numbers = NUMBER.findall(text)
    try:
        values = [float(number) for number in numbers]
    except OverflowError:
        return None
    return values[0] if len(values) == 1 and math.isfinite(values[0]) else None


def _label(text: str, labels: Sequence[str]) -> str | None:
    """An object's `label` or `result`, else the whole text, whatever the case of its letters."""
    found = _object(text)
    given = next((found[key] for key in ("label", "result") if key in found), None) if found else text
    plain = str(given).strip().strip(".\"'").casefold()
    return next((label for label in labels if label.strip().casefold() == plain), None)
