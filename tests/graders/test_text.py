"""string_check and text_similarity, and what templates make of items and samples."""

import json
from typing import Any

import pytest

from core.specs.asking import EmbedQuestion, Reply
from graders.sample import Sample
from graders.score import Scorer
from graders.text import MOST_COMPARED
from tests.graders.grading import grader, nobody, outcome, reward


def check(operation: str, given: str, wanted: str) -> float:
    options = {"input": "{{ sample.output_text }}", "reference": "{{ item.a }}", "operation": operation}
    return reward(grader("string_check", **options), given, a=wanted)


@pytest.mark.parametrize(
    ("operation", "given", "wanted", "value"),
    [
        ("eq", "a", "a", 1),
        ("eq", "A", "a", 0),
        ("ne", "a", "a", 0),
        ("neq", "A", "a", 1),
        ("like", "x a y", "a", 1),
        ("like", "x A y", "a", 0),
        ("ilike", "x STRASSE y", "straße", 1),
        ("ilike", "b", "a", 0),
    ],
)
def test_string_check(operation: str, given: str, wanted: str, value: float) -> None:
    assert check(operation, given, wanted) == value


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ sample.output_text }}", '{"a": [{"b": "c"}], "n": 1.5}'),
        ("{{sample.output_json.a.0.b}}!", "c!"),
        ("{{ sample.output_json.n }}", "1.5"),
        ("{{ sample.output_json.a }}", '[{"b": "c"}]'),
        ("{{ sample.output_tools.0.function.name }}", "look"),
        ("{{ sample.choices.0.message.content }}", '{"a": [{"b": "c"}], "n": 1.5}'),
        ("{{ item.answer.de }}/{{ item.n }}", "ja/null"),
        ("no reference, { braces } and }}", "no reference, { braces } and }}"),
    ],
)
def test_templates_reach_into_items_and_samples(template: str, value: str) -> None:
    sample = Sample(
        output_text='{"a": [{"b": "c"}], "n": 1.5}',
        output_tools=[{"type": "function", "function": {"name": "look", "arguments": "{}"}}],
        item={"answer": {"de": "ja"}, "n": None, "expected": value},
    )
    equal = grader("string_check", input=template, reference="{{ item.expected }}", operation="eq")
    with Scorer(nobody) as scorer:
        (found,) = scorer.score(equal, [sample])
    assert (found.reward, found.errors.details) == (1, [])


def test_what_a_template_puts_in_is_not_a_template() -> None:
    assert check("eq", "{{ item.a }}", "{{ item.a }}") == 1
    assert check("eq", "{{ item.a }}", "x") == 0


@pytest.mark.parametrize(
    ("template", "flag", "words"),
    [
        (
            "{{ item.answr }}",
            "invalid_variable_error",
            "input: {{ item.answr }}: item has no 'answr'; it has a, answer",
        ),
        (
            "{{ item.answer.x }}",
            "invalid_variable_error",
            "input: {{ item.answer.x }}: item.answer has no 'x'; it is a str",
        ),
        (
            "{{ sample.output_json.x }}",
            "sample_parse_error",
            "input: {{ sample.output_json.x }}: the sample's text is no",
        ),
        ("{{ sample.output_tools.0 }}", "invalid_variable_error", "it is a list of 0"),
        (f"{{{{ sample.output_tools.{'9' * 5000} }}}}", "invalid_variable_error", "input: "),
    ],
)
def test_what_is_not_there_is_told_by_flag_and_path(template: str, flag: str, words: str) -> None:
    found = outcome(grader("string_check", input=template, reference="", operation="eq"), "text", a=1, answer="b")
    assert found.reward == 0
    assert getattr(found.errors, flag)
    assert words in found.errors.details[0]
    nested = {"one": {"type": "string_check", "name": "a", "input": template, "reference": "", "operation": "eq"}}
    found = outcome(grader("multi", graders=nested, calculate_output="one"), "text", a=1, answer="b")
    assert getattr(found.errors, flag)
    assert found.errors.details[0].startswith("graders.one.input: {{ ")


def similar(metric: str, given: str, wanted: str) -> float:
    options = {"input": "{{ sample.output_text }}", "reference": "{{ item.a }}", "evaluation_metric": metric}
    return reward(grader("text_similarity", **options), given, a=wanted)


METRICS = ["fuzzy_match", "bleu", "gleu", "meteor", *(f"rouge_{n}" for n in "12345"), "rouge_l"]
LONG = "the quick brown fox jumps over the lazy dog near the river bank"


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_goes_from_0_to_1(metric: str) -> None:
    assert similar(metric, LONG, LONG) == pytest.approx(1, abs=0.001)
    assert similar(metric, "0123456789", LONG) == pytest.approx(0, abs=0.01)
    assert 0 < similar(metric, LONG.replace("fox", "cat"), LONG) < 1
    assert similar(metric, "", LONG) == 0


def test_metrics_have_their_known_values() -> None:
    """Worked out by hand from the papers' definitions."""
    assert similar("rouge_1", "the cat sat", "the cat on the mat") == pytest.approx(
        2 * (2 / 3) * (2 / 5) / (2 / 3 + 2 / 5)
    )
    assert similar("rouge_2", "the cat sat", "the cat on the mat") == pytest.approx(
        2 * (1 / 2) * (1 / 4) / (1 / 2 + 1 / 4)
    )
    assert similar("rouge_l", "the mat the cat", "the cat on the mat") == pytest.approx(
        2 * (2 / 4) * (2 / 5) / (2 / 4 + 2 / 5)
    )
    # Of the 10 n-grams of "a b c d", 6 are among the 10 of "a b c e".
    assert similar("gleu", "a b c d", "a b c e") == pytest.approx(6 / 10)
    # Precisions 3/4, 2/3, 1/2 and, smoothed, 0.1/1; the lengths are the same.
    assert similar("bleu", "a b c d", "a b c e") == pytest.approx((3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25)
    assert similar("fuzzy_match", "abcd", "abcx") == pytest.approx(6 / 8)


def test_meteor_knows_stems_and_no_synonyms() -> None:
    """Two words in one chunk of two: the fragmentation penalty is 0.5 (1/2)^3."""
    assert similar("meteor", "jumping dogs", "jumped dog") == pytest.approx(1 - 0.5 / 8)
    assert similar("meteor", "car", "automobile") == 0


def test_only_the_beginning_of_very_long_texts_is_compared() -> None:
    options = {"input": "{{ sample.output_text }}", "reference": "a", "evaluation_metric": "fuzzy_match"}
    found = outcome(grader("text_similarity", **options), "a" * (MOST_COMPARED + 1))
    assert found.errors.truncated_observation_error


def test_cosine_is_asked_for_all_samples_at_once() -> None:
    asked: list[Any] = []

    def ask(questions: Any) -> list[Reply]:
        asked.append(list(questions))
        vectors = {"up": [0.0, 2.0], "right": [1.0, 0.0], "down": [0.0, -1.0]}
        return [
            Reply(problem="away") if "lost" in q.texts else Reply(vectors=[vectors[t] for t in q.texts])
            for q in questions
        ]

    cosine = grader("text_similarity", input="{{ sample.output_text }}", reference="up", evaluation_metric="cosine")
    with Scorer(ask) as scorer:
        found = scorer.score(cosine, [Sample(output_text=text) for text in ("up", "right", "down", "lost")])
    assert [one.reward for one in found] == [1, 0, 0, 0]
    assert asked == [[EmbedQuestion(texts=[text, "up"]) for text in ("up", "right", "down", "lost")]]
    assert [one.errors.model_grader_server_error for one in found] == [False, False, False, True]


def test_multi_reckons_with_its_parts() -> None:
    parts = {
        "exact": {
            "type": "string_check",
            "name": "e",
            "input": "{{ sample.output_text }}",
            "reference": "ab",
            "operation": "eq",
        },
        "close": {
            "type": "text_similarity",
            "name": "c",
            "input": "{{ sample.output_text }}",
            "reference": "ab",
            "evaluation_metric": "fuzzy_match",
        },
    }
    found = outcome(grader("multi", graders=parts, calculate_output="0.5 * exact + close ^ 2"), "ac")
    assert found.sub_rewards == {"exact": 0, "close": 0.5}
    assert found.reward == 0.25
    found = outcome(grader("multi", graders=parts, calculate_output="close / exact"), "ac")
    assert (found.reward, found.errors.other_error) == (0, True)
    assert found.errors.details == ["calculate_output: has no value for exact = 0, close = 0.5: float division by zero"]
    json.dumps(vars(found.errors))
