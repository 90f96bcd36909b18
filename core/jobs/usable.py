"""Whether a job's method can learn from a file, as far as the file's validation tells: before it waits for a GPU."""

from typing import Any

from sqlalchemy.orm import Session

from core.jobs import repository
from core.models import File, Job
from core.rows.chat import REASONING
from core.specs import grader_template
from core.specs.graders import templates
from core.specs.initialization import FEWEST_BPE_TOKENS, FEWEST_CHARACTER_TOKENS, Initialization
from core.specs.job import JobSpec
from core.specs.method import USABLE_KINDS, graders
from core.specs.pretraining import Pretraining

UNCOMPRESSED = ("jsonl", "csv", "txt")  # formats whose bytes are no fewer than those of the texts in them
BYTES_OF_CHARACTER = 4  # at most, in UTF-8
# Beside those of its bytes: one ends the document, and some tokenizers begin each with a mark, or BOS, or both.
TOKENS_OF_ROW = 3
VOCABULARY = "method.initialization.tokenizer.vocab_size"


def fault(session: Session, job: Job, file: File, *, param: str) -> tuple[str, str] | None:
    """(key, what is wrong) where the method can't learn from the file; None where it can, or that is not known yet.

    Args:
        param: the key that names the file.
    """
    unusable = _unusable(session, job, file)
    if unusable:
        return param, f"{param}: file {file.id} can't be used: {unusable}"
    if not file.report:
        return None
    if job.spec["method"]["type"] == "initialization":
        return _too_few_tokens(file, file.report, job.spec["method"]["initialization"]["tokenizer"])
    return _unknown_key(job, file, file.report)


def _unknown_key(job: Job, file: File, report: dict[str, Any]) -> tuple[str, str] | None:
    """Where a grader's template names a key that no row of the file has; what some rows lack shows in training."""
    keys = REASONING if report.get("kind") == "reasoning" else report.get("keys")
    if keys is None:
        return None
    for param, grader in graders(JobSpec.model_validate(job.spec).method):
        for path, template in templates(grader):
            for reference, key in grader_template.keys(template, "item"):
                if key not in keys:
                    words = f"{reference}: no row of file {file.id} has {key!r}; they have {', '.join(keys) or 'none'}"
                    return f"{param}.{path}", f"{param}.{path}: {words}"
    return None


def _unusable(session: Session, job: Job, file: File) -> str | None:
    if file.status == "error":
        return file.status_details
    report = file.report or {}
    kind, method = report.get("kind"), job.spec["method"]["type"]
    if kind is None:
        return None
    if kind not in USABLE_KINDS[method]:
        return f"it holds rows of the form {kind}, but method {method} learns from {', '.join(USABLE_KINDS[method])}"
    return _too_short(session, job, file, report) if method == "pretraining" else None


def _too_short(session: Session, job: Job, file: File, report: dict[str, Any]) -> str | None:
    """Why no sequence can be filled, where bytes alone tell: each is a token at most."""
    length, bytes_ = _sequence(session, job), _most_bytes(file, report)
    if length is None or bytes_ is None:
        return None
    most = bytes_ + TOKENS_OF_ROW * report["rows"]
    if most >= length - 1:
        return None
    return f"its text is at most {most} tokens, but one sequence has {length} (method.pretraining.max_length)"


def _sequence(session: Session, job: Job) -> int | None:
    """Tokens of a sequence; None where only the trainer sees the model's context: that of one not initialised here."""
    length = job.spec["method"]["pretraining"]["max_length"]
    if length != "auto":
        return length
    tokens = context(session, job=job)
    return tokens and min(tokens, Pretraining.MOST_AUTO_LENGTH)


def context(session: Session, *, job: Job) -> int | None:
    """Of the model that a job trains or makes; None where only a worker sees it: of one not initialised here."""
    first = repository.origin(session, job=job)
    if first.spec["method"]["type"] != "initialization":
        return None
    return Initialization.model_validate(first.spec["method"]["initialization"]).shape.context


def _too_few_tokens(file: File, report: dict[str, Any], tokenizer: dict[str, Any]) -> tuple[str, str] | None:
    """Where more tokens are asked for than the text has bytes, each of which adds one at most."""
    asked, bytes_ = tokenizer.get("vocab_size"), _most_bytes(file, report)
    if asked is None or bytes_ is None:
        return None
    most = bytes_ + (FEWEST_BPE_TOKENS if tokenizer["type"] == "bpe" else FEWEST_CHARACTER_TOKENS)
    if asked <= most:
        return None
    return VOCABULARY, f"{VOCABULARY}: given {asked}, but the text of file {file.id} supports {most} at most"


def _most_bytes(file: File, report: dict[str, Any]) -> int | None:
    """Those of the file's texts are no more; None where a report of an earlier version does not tell."""
    characters = (report.get("characters") or {}).get("total")
    bounds = [file.bytes] if report.get("format") in UNCOMPRESSED else []
    return min(bounds if characters is None else [*bounds, BYTES_OF_CHARACTER * characters], default=None)
