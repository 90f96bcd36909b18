"""What a grader needs of the deployment, and what is wrong with it beyond its form."""

import ast
import warnings
from dataclasses import dataclass
from typing import Any

from core.specs.graders import AnyGrader, LabelModel, PythonGrader, ScoreModel, TextSimilarity, parts
from graders import sandbox
from graders.monty import MontyRunner


@dataclass(frozen=True)
class Problem:
    """path: of the grader's key that is to be changed."""

    path: str
    message: str


def lacking(grader: AnyGrader, *, models: bool, embeddings: bool) -> Problem | None:
    """The first thing that the grader needs and that is not here.

    Args:
        models: whether the operator has set a server for model graders.
        embeddings: whether the operator has set one for embeddings.
    """
    for path, part in parts(grader):
        found = _lacks(part, models=models, embeddings=embeddings)
        if found is not None:
            return Problem(f"{path}.{found.path}" if path else found.path, found.message)
    return None


def _lacks(part: Any, *, models: bool, embeddings: bool) -> Problem | None:
    if isinstance(part, ScoreModel | LabelModel) and not models:
        return Problem("type", f"{part.type} needs a server to ask, and TUNESMITH_GRADER_MODEL_URL is not set")
    if isinstance(part, TextSimilarity) and part.evaluation_metric == "cosine" and not embeddings:
        words = "cosine needs a server for embeddings, and TUNESMITH_GRADER_EMBEDDINGS_URL is not set"
        return Problem("evaluation_metric", f"{words}; the other metrics need none")
    if isinstance(part, PythonGrader) and part.sandbox == "full" and (why := sandbox.missing()) is not None:
        return Problem("sandbox", f"'full' is not possible here: {why}; 'monty' needs nothing")
    return None


def flaw(grader: AnyGrader, monty: MontyRunner) -> Problem | None:
    """The first source that does not compile or defines no `grade`. For a process that can be killed."""
    for path, part in parts(grader):
        if isinstance(part, PythonGrader):
            words = monty.check(part) if part.sandbox == "monty" else _uncompiled(part.source)
            if words is not None:
                return Problem(f"{path}.source" if path else "source", words)
    return None


def _uncompiled(source: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in somebody else's source
            compile(source, "grader.py", "exec", dont_inherit=True)
            tree = ast.parse(source)
    except SyntaxError as error:
        return f"line {error.lineno}: SyntaxError: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"can't be compiled: {type(error).__name__}: {error}"
    # Defined, or assigned, wherever it is; whether it is a function shows when it is called.
    if not any("grade" in (getattr(node, "name", None), getattr(node, "id", None)) for node in ast.walk(tree)):
        return "no function 'grade' in it; define: def grade(sample, item) -> float"
    return None
