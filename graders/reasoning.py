"""`reasoning`: correctness, quality of the chain of thought, and brevity."""

import re
from collections import Counter
from collections.abc import Sequence

from core.specs.asking import Ask
from core.specs.graders import ReasoningGrader
from graders.equivalence import Equivalence, compared
from graders.models import score_model
from graders.outcome import Failure, Outcome, rendered
from graders.sample import Sample

OPEN, CLOSE = "<think>", "</think>"
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
WORD = re.compile(r"\w+")
BOXED = re.compile(r"\\boxed\s*\{([^{}]+)\}")
RUN = 4  # words
MOST_REPEATED = 0.2  # share of the runs of words that may have been there before
FEWEST_RUNS = 20  # a shorter chain is too short to judge by shares


def reasoning(grader: ReasoningGrader, samples: Sequence[Sample], ask: Ask, equivalence: Equivalence) -> list[Outcome]:
    judged = score_model(grader.quality, samples, ask) if grader.quality else [None] * len(samples)
    return [_grade(grader, sample, of_model, equivalence) for sample, of_model in zip(samples, judged, strict=True)]


def _grade(grader: ReasoningGrader, sample: Sample, of_model: Outcome | None, equivalence: Equivalence) -> Outcome:
    outcome = Outcome()
    outcome.take("correctness", _correctness(grader, sample, equivalence), path="correctness")
    right = outcome.sub_rewards["correctness"]
    if of_model is not None and grader.quality is not None:
        low, high = grader.quality.range
        failed = bool(of_model.errors.details)
        of_model.reward = 0.0 if failed else max(0.0, (of_model.reward - low) / (high - low))
        outcome.take("quality", of_model, path="quality")
        outcome.scores |= {f"quality_{name}": value for name, value in of_model.scores.items()}
    else:
        checks = form_checks(sample.output_text)
        outcome.scores |= {name: float(holds) for name, holds in checks.items()}
        outcome.sub_rewards["quality"] = sum(checks.values()) / len(checks)
    short = 1 / (1 + len(sample.output_text) / grader.brevity_half_length)
    outcome.sub_rewards["brevity"] = short if right else 0.0
    weights = grader.weights.model_dump()
    outcome.reward = sum(weights[part] * reward for part, reward in outcome.sub_rewards.items())
    return outcome


def _correctness(grader: ReasoningGrader, sample: Sample, equivalence: Equivalence) -> Outcome:
    try:
        wanted = rendered("reference", grader.reference, sample)
    except Failure as failure:
        return failure.outcome()
    given = split(sample.output_text)[1]
    if not given:
        return Outcome(0.0)
    return (
        compared(equivalence, given, wanted)
        if grader.check == "math"
        else Outcome(float(_plain(given) == _plain(wanted)))
    )


def _plain(text: str) -> str:
    return " ".join(text.split()).removesuffix(".").casefold()


def split(text: str) -> tuple[str, str]:
    """(the chain of thought, the answer behind it); without a closed think block everything is the answer, and of an
    open one nothing is."""
    thought, closed, answer = text.rpartition(CLOSE)
    if not closed:
        return ("", text.strip()) if OPEN not in text else (text.partition(OPEN)[2].strip(), "")
    return thought.partition(OPEN)[2].strip(), answer.strip()


def form_checks(text: str) -> dict[str, bool]:
    """What can be said of a chain's quality by its form alone."""
    chain, answer = split(text)
    one_block = text.count(OPEN) == 1 == text.count(CLOSE) and text.lstrip().startswith(OPEN) and bool(chain)
    return {
        "one_think_block": one_block,
        "answer_after_it": one_block and bool(answer),
        "no_repetition": one_block and not repeats(chain),
        "answer_follows": one_block and bool(answer) and follows(chain, answer),
    }


def repeats(chain: str) -> bool:
    """Whether a line of some length comes three times, or too many runs of words have been there before."""
    lines = Counter(line.strip() for line in chain.splitlines() if len(line.split()) >= RUN)
    if lines and max(lines.values()) >= 3:
        return True
    words = WORD.findall(chain.casefold())
    runs = [tuple(words[place : place + RUN]) for place in range(len(words) - RUN + 1)]
    return len(runs) >= FEWEST_RUNS and 1 - len(set(runs)) / len(runs) > MOST_REPEATED


def follows(chain: str, answer: str) -> bool:
    """Whether what the answer ends in (what is boxed, else its last number, else its last word) is in the last step."""
    last = next((line for line in reversed(chain.splitlines()) if WORD.search(line)), "")
    boxed = BOXED.findall(answer)
    text = boxed[-1] if boxed else answer
    for kind, plain in ((NUMBER, _number), (WORD, str.casefold)):
        if found := kind.findall(text):
            return plain(found[-1]) in {plain(there) for there in kind.findall(last)}
    return False


def _number(text: str) -> str:
    """1,000.50 and 1000.5 are the same."""
    plain = text.replace(",", "")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
