"""What is refused before anything is graded: each error names the key, what was given and what is allowed."""

from typing import Any

import pytest
from pydantic import ValidationError

from api.schemas.grader import GraderCheck
from api.validation import explain
from core.specs import formula, grader_template
from core.specs.graders import ScoreModel, StringCheck
from graders.monty import MontyRunner
from graders.needs import flaw, lacking
from tests.graders.grading import grader

CHECK = {"type": "string_check", "name": "a", "input": "x", "reference": "x", "operation": "eq"}
MATH = {"type": "math", "name": "m", "reference": "1"}
MODEL = {"type": "score_model", "name": "s", "model": "m", "input": [{"role": "user", "content": "?"}]}
LABEL = {**MODEL, "type": "label_model", "labels": ["a"], "passing_labels": ["a"]}
PYTHON = {"type": "python", "name": "p", "source": "def grade(sample, item):\n    return 1\n"}


def multi(**options: Any) -> dict[str, Any]:
    return {"type": "multi", "name": "m", "graders": {"one": CHECK}, "calculate_output": "one", **options}


def refused(body: dict[str, Any]) -> tuple[str | None, str]:
    """(the key that the API names, its message)"""
    with pytest.raises(ValidationError) as caught:
        GraderCheck.model_validate({"grader": body}, strict=True)
    error = explain(caught.value.errors(), body={"grader": body}, schema=GraderCheck.model_json_schema())
    return error.param, error.message


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({**CHECK, "inptu": "x"}, "grader.inptu", ["unknown key", "input, name, operation, reference, type"]),
        ({**CHECK, "operation": "is"}, "grader.operation", ["'eq', 'ne', 'neq', 'like' or 'ilike'", "'is'"]),
        ({**CHECK, "input": "{{ itm.x }}"}, "grader.input", ["{{ itm.x }}", "item.<key>, sample.output_text"]),
        ({**CHECK, "input": "{{ sample.text }}"}, "grader.input", ["{{ sample.text }}", "sample.output_json"]),
        ({**CHECK, "input": "{{ item.a | upper }}"}, "grader.input", ["{{ item.a | upper }}"]),
        ({**CHECK, "input": "{{ item.a"}, "grader.input", ["'{{' has no '}}'"]),
        ({**CHECK, "type": "strng"}, "grader.type", ["strng", "string_check"]),
        (LABEL, "grader.type", ["label_model"]),
        ({**PYTHON, "image_tag": "2025-05-08"}, "grader.image_tag", ["2025-05-08", "leave it out"]),
        ({**PYTHON, "source": "x" * 300_000}, "grader.source", ["262144"]),
        ({**MODEL, "range": [1, 0]}, "grader.range", ["[1.0, 0.0]"]),
        (
            {**MODEL, "input": [{"role": "user", "content": "{{x}}"}]},
            "grader.input.0.content",
            ["{{x}}", "item.<key>"],
        ),
        (multi(calculate_output="one +"), "grader.calculate_output", ["character 6", "it ends"]),
        (multi(calculate_output="one + two"), "grader.calculate_output", ["'two'", "there are one"]),
        (multi(calculate_output="().__class__"), "grader.calculate_output", ["character 2", "a number, a name"]),
        (multi(graders={"min": CHECK}, calculate_output="1"), "grader.graders.min", ["function", "another name"]),
        (
            multi(graders={"one": {**LABEL, "passing_labels": ["b"]}}),
            "grader.graders.one.passing_labels",
            ["'b'", "there are a"],
        ),
        (multi(graders={"one": {**CHECK, "x": 1}}), "grader.graders.one.x", ["unknown key", "operation"]),
        (multi(graders={"one": multi()}), "grader.graders.one.type", ["multi"]),
        (multi(graders=CHECK), "grader.graders.type", ["string_check"]),
        (
            {"type": "reasoning", "name": "r", "reference": "1", "weights": {"style": 1}},
            "grader.weights.style",
            ["brevity, correctness, quality"],
        ),
    ],
)
def test_refusals_name_the_key_the_value_and_what_is_allowed(
    body: dict[str, Any], param: str, words: list[str]
) -> None:
    named, message = refused(body)
    assert named == param
    for word in words:
        assert word in message


def test_defaults_are_the_contracts() -> None:
    model = grader(**MODEL)
    assert isinstance(model, ScoreModel)
    assert (model.range, model.sampling_params) == ([0.0, 1.0], None)
    assert isinstance(grader(**{**CHECK, "operation": "neq"}), StringCheck)


@pytest.mark.parametrize("sandbox", ["monty", "full"])
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\ny = = 2\ndef grade(sample, item):\n    return 1\n", ["line 2", "SyntaxError"]),
        ("x = 1\n\nreturn 5 +\n", ["line 3", "SyntaxError"]),
        ("def score(sample, item):\n    return 1\n", ["grade(sample, item)"]),
    ],
)
def test_a_source_that_does_not_compile_is_refused_with_its_line(sandbox: str, source: str, words: list[str]) -> None:
    part = {**PYTHON, "source": source, "sandbox": sandbox}
    with MontyRunner() as monty:
        problem = flaw(grader(**multi(graders={"one": CHECK, "two": part})), monty)
        assert flaw(grader(**PYTHON), monty) is None
    assert problem is not None
    assert problem.path == "graders.two.source"
    for word in words:
        assert word in problem.message


def test_what_monty_does_not_know_is_refused_with_its_line() -> None:
    with MontyRunner() as monty:
        problem = flaw(grader(**{**PYTHON, "source": "import json\nimport numpy\n\ndef grade(s, i): return 1"}), monty)
    assert problem is not None
    assert problem.message == "line 2: ModuleNotFoundError: No module named 'numpy'"


def test_what_the_operator_has_not_set_is_refused() -> None:
    cosine = grader("text_similarity", input="a", reference="b", evaluation_metric="cosine")
    found = lacking(cosine, models=True, embeddings=False)
    assert found is not None
    assert (found.path, "TUNESMITH_GRADER_EMBEDDINGS_URL" in found.message) == ("evaluation_metric", True)
    assert lacking(cosine, models=False, embeddings=True) is None
    nested = grader(**multi(graders={"one": CHECK, "two": LABEL}))
    found = lacking(nested, models=False, embeddings=True)
    assert found is not None
    assert (found.path, "TUNESMITH_GRADER_MODEL_URL" in found.message) == ("graders.two.type", True)
    judged = grader("reasoning", reference="1", quality=MODEL)
    found = lacking(judged, models=False, embeddings=False)
    assert found is not None
    assert found.path == "quality.type"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("-2 ^ 2", -4),
        ("2 ^ 3 ^ 2", 512),
        ("2 ^ -1", 0.5),
        ("(a + b) / 2", 0.375),
        ("min(a, b, 1) + max(a, 0.75)", 1.0),
        ("abs(-a) + floor(1.5) + ceil(0.5) + exp(0) + sqrt(4) + log(1)", 5.5),
        ("1e-1 * .5", 0.05),
        ("+".join(["1"] * 500), 500),
    ],
)
def test_formulas(text: str, value: float) -> None:
    formula.check(text, known=["a", "b"])
    assert formula.evaluate(formula.parse(text), {"a": 0.5, "b": 0.25}) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("a - b / 100", {"a": 1, "b": -0.01}),
        ("-(a + 2 * b) * (3 - 1) + 7", {"a": -2, "b": -4}),
        ("a + a - 2 * a + b / 2 ^ 2", {"a": 0, "b": 0.25}),
        ("min(1, 2)", {}),
    ],
)
def test_weights_of_sums(text: str, weights: dict[str, float]) -> None:
    assert formula.weights(formula.parse(text)) == pytest.approx(weights)


@pytest.mark.parametrize("text", ["a * b", "1 / a", "max(a, 0)", "a ^ 2", "a / b", "a / 0"])
def test_what_is_no_weighted_sum(text: str) -> None:
    with pytest.raises(formula.FormulaError):
        formula.weights(formula.parse(text))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["{" * 2**18, "{{" + " {{" * 2**16, "{{ item." + "a" * 2**18])
def test_a_template_of_braces_is_looked_through_once(text: str) -> None:
    with pytest.raises(ValueError, match="has no '}}' behind it"):
        grader_template.check(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "1 +",
            ")",
            "(1",
            "1 2",
            "a b",
            "a.b",
            "a[0]",
            "__import__('os')",
            "lambda: 1",
            "abs(1, 2)",
            "min()",
            "1 = 1",
        ),
        *("(" * 60 + "1" + ")" * 60, "-" * 60 + "1", "2^" * 60 + "1", "1+" * 600 + "1"),
    ],
)
def test_what_is_no_formula(text: str) -> None:
    with pytest.raises(formula.FormulaError):
        formula.check(text, known=["a", "b"])


@pytest.mark.parametrize("text", ["1 / (a - 0.5)", "log(0)", "sqrt(-1)", "9 ^ 9 ^ 9", "exp(1000)", "1e300 * 1e300"])
def test_formulas_without_a_value(text: str) -> None:
    with pytest.raises(formula.FormulaError, match=r"for a = 0\.5"):
        formula.evaluate(formula.parse(text), {"a": 0.5})
