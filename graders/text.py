"""`string_check` and `text_similarity`."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from core.specs.asking import Ask, EmbedQuestion
from core.specs.graders import StringCheck, TextSimilarity
from graders.outcome import Outcome, each, in_batch, rendered, unanswered
from graders.sample import Sample

# Characters of a text that are compared: rouge_l and meteor take the product of both lengths.
MOST_COMPARED = 20_000
WORD = re.compile(r"\w+|[^\w\s]")


def string_check(grader: StringCheck, samples: Sequence[Sample]) -> list[Outcome]:
    def grade(sample: Sample) -> Outcome:
        given, wanted = (rendered(key, getattr(grader, key), sample) for key in ("input", "reference"))
        match grader.operation:
            case "eq":
                holds = given == wanted
            case "ne" | "neq":
                holds = given != wanted
            case "like":
                holds = wanted in given
            case "ilike":
                holds = wanted.casefold() in given.casefold()
        return Outcome(float(holds))

    return each(samples, grade)


def text_similarity(grader: TextSimilarity, samples: Sequence[Sample], ask: Ask) -> list[Outcome]:
    def texts(sample: Sample) -> tuple[str, str]:
        return rendered("input", grader.input, sample), rendered("reference", grader.reference, sample)

    if grader.evaluation_metric == "cosine":
        return in_batch(samples, texts, lambda pairs: _cosines(pairs, ask))
    measure = _measure(grader.evaluation_metric)

    def grade(sample: Sample) -> Outcome:
        given, wanted = texts(sample)
        outcome = Outcome(measure(given[:MOST_COMPARED], wanted[:MOST_COMPARED]))
        if max(len(given), len(wanted)) > MOST_COMPARED:
            # No more than the flag: with details the answer would count as one that could not be graded.
            outcome.errors.truncated_observation_error = True
        return outcome

    return each(samples, grade)


def _measure(metric: str) -> Callable[[str, str], float]:
    """The metric as a function of the input and the reference; libraries are loaded where they are used."""
    if metric == "fuzzy_match":
        from rapidfuzz import fuzz

        return lambda given, wanted: fuzz.ratio(given, wanted) / 100
    if metric.startswith("rouge"):
        from rouge_score.rouge_scorer import RougeScorer

        name = metric.replace("rouge_", "rouge").replace("rougel", "rougeL")
        scorer = RougeScorer([name], use_stemmer=False)
        return lambda given, wanted: float(scorer.score(wanted, given)[name].fmeasure)
    if metric == "meteor":
        return _meteor
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from nltk.translate.gleu_score import sentence_gleu

    def of_words(given: str, wanted: str) -> float:
        reference, words = [_words(wanted)], _words(given)
        if not words or not reference[0]:
            return float(words == reference[0])
        if metric == "gleu":
            return float(sentence_gleu(reference, words))
        # Orders that a short text does not have are left out; of the others none may make the product 0 by itself.
        order = min(4, len(words), len(reference[0]))
        smoothed = SmoothingFunction().method1
        return cast("float", sentence_bleu(reference, words, [1 / order] * order, smoothing_function=smoothed))

    return of_words


def _words(text: str) -> list[str]:
    return WORD.findall(text)


class NoSynonyms:
    """In WordNet's place: what is left of METEOR are exact and stem matches, which need no data."""

    @staticmethod
    def synsets(word: str) -> list[Any]:
        return []


def _meteor(given: str, wanted: str) -> float:
    from nltk.translate.meteor_score import single_meteor_score

    # Its type wants WordNet's own reader, of which it uses that one method.
    return float(single_meteor_score(_words(wanted), _words(given), wordnet=cast("Any", NoSynonyms)))


def _cosines(pairs: Sequence[tuple[str, str]], ask: Ask) -> list[Outcome]:
    replies = ask([EmbedQuestion(texts=list(pair)) for pair in pairs])
    found: list[Outcome] = []
    for reply in replies:
        if reply.problem is not None or len(reply.vectors) != 2:
            problem = reply.problem or f"{len(reply.vectors)} embeddings of 2 texts"
            found.append(unanswered("evaluation_metric: cosine", problem, away=reply.away).outcome())
        else:
            found.append(Outcome(_cosine(*reply.vectors)))
    return found


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """Of opposite directions 0, as every reward of this grader is between 0 and 1."""
    length = math.hypot(*a) * math.hypot(*b)
    product = sum(x * y for x, y in zip(a, b, strict=False))
    return max(0.0, min(1.0, product / length)) if length else 0.0
