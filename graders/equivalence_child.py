"""`python -m graders.equivalence_child`: pairs of answers and references from standard input, a verdict a line.

A process of its own, without secrets and with limits: SymPy can take any time and memory over a formula of few
characters, and what is parsed was written by a model. Whoever waits kills it where it takes too long.
"""

import json
import logging
import re
import resource
import sys
from functools import lru_cache
from typing import Any

from math_verify import parse, verify
from math_verify.parser import ExprExtractionConfig, LatexExtractionConfig

from graders import seccomp

MEMORY = 2 * 1024**3  # bytes of address space
SECONDS = 3  # for a parse and for a comparison; the alarm of math-verify
PLAIN = re.compile(r"[-+]?[\d,. ]*\d\s*(?:%|/\s*\d+)?")
MARKED = re.compile(r"\$|\\boxed|\\\(|\\\[")
LATEX, WORDS = [LatexExtractionConfig()], [LatexExtractionConfig(), ExprExtractionConfig()]
LONGEST_LINE = 200  # characters of an answer that may be a formula by itself


@lru_cache(maxsize=1000)
def of_reference(text: str) -> list[Any]:
    """The reference as SymPy has it: a plain number, or LaTeX, whether it is marked as such or not."""
    if PLAIN.fullmatch(text.strip()) or MARKED.search(text):
        return _parse(text, WORDS)
    return _parse(f"${text}$", LATEX) or _parse(text, WORDS)


def of_answer(text: str) -> list[Any]:
    """What the answer says last, or boxed; a bare line may be a formula without its $."""
    found = _parse(text, WORDS)
    bare = text.strip()
    if not found and "\n" not in bare and len(bare) <= LONGEST_LINE:
        return _parse(f"${bare}$", LATEX)
    return found


def _parse(text: str, targets: list[Any]) -> list[Any]:
    return parse(text, extraction_config=targets, parsing_timeout=SECONDS)


def verdict(answer: str, reference: str) -> dict[str, Any]:
    wanted = of_reference(reference)
    if not wanted:
        return {"problem": f"the reference is no number and no formula: {reference[:200]!r}"}
    return {"equal": bool(verify(wanted, of_answer(answer), timeout_seconds=SECONDS))}


def main() -> int:
    logging.disable(logging.CRITICAL)
    limit()
    for line in sys.stdin:
        try:
            found = verdict(*json.loads(line))
        except (MemoryError, RecursionError) as error:
            found = {"problem": f"{type(error).__name__}: too large to compare"}
        except Exception as error:  # whatever SymPy raises over what a model wrote
            found = {"problem": f"{type(error).__name__}: it can't be compared"}
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    return 0


def limit() -> None:
    """From here on: no more memory than that, no processes, no network, nothing written."""
    for name, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(name, (most, most))
    if seccomp.SUPPORTED:
        seccomp.install(seccomp.ALONE)


if __name__ == "__main__":
    sys.exit(main())
