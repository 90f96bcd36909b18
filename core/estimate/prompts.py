"""Whether a job's prompts suit its model: found as its trainer would find it, before the job waits for a GPU."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.estimate import process
from core.estimate.sources import Source, fetched, source_of
from core.estimate.task import MeasureTask, RowFigures
from core.jobs import lengths, repository
from core.models import Job
from core.registry.cards import Card, Cards
from core.registry.catalogue import Catalogue
from core.registry.repository import models_named
from core.registry.service import card_of
from core.specs.job import JobSpec
from core.specs.ppo import Ppo, unreadable
from core.specs.rollouts import RolloutTraining
from core.storage import Storage


@dataclass(frozen=True)
class Question:
    """Plain values, so that no transaction is open while files are read. sources: by the keys that name them.
    reward_models: their cards; None where the catalogue has a base no more."""

    spec: JobSpec
    card: Card
    sources: dict[str, Source]
    reward_models: list[Card | None]


def ask(session: Session, *, job: Job, catalogue: Catalogue) -> Question | None:
    """Of a job on prompts whose files are validated; None where the catalogue has its base no more.

    Raises:
        InvalidState: a file can't be used any more.
    """
    card = card_of(session, catalogue=catalogue, parent_model_id=job.parent_model_id, base_model=job.base_model)
    if card is None:
        return None
    files = repository.files_of(session, job=job)
    sources = {param: source_of(file, param=param) for param, file in files}
    spec = JobSpec.model_validate(job.spec)
    names = spec.method.options.reward_models if isinstance(spec.method.options, Ppo) else []
    scorers = [
        card_of(session, catalogue=catalogue, parent_model_id=model.id, base_model=model.base_model)
        for model in models_named(session, names=names)
    ]
    return Question(spec, card, sources, scorers)


def fault(question: Question, *, storage: Storage, cards: Cards, within: Path) -> dict[str, str] | None:
    """What the job fails with, as its error; None where nothing is found.

    Of a file that is too large to be read whole, the prompts that are likeliest to be too long are.

    Args:
        within: the folder where files are put for as long as they are read.

    Raises:
        CardPending: no worker has published the model's tokenizer yet.
        Unmeasurable: the files can't be read within the limits.
        Busy: too many are being read.
    """
    spec, options = question.spec, question.spec.method.options
    assert isinstance(options, RolloutTraining)
    context = cards.facts(question.card).context
    try:
        lengths.check(spec, context=context)
    except InvalidRequest as error:
        return {"code": "invalid_spec", "message": error.message, "param": error.param or ""}
    training, validation = (question.sources.get(param) for param in ("training_file", "validation_file"))
    with process.turn(), fetched(storage, training, validation, within=within) as (folder, (path, validation_path)):
        assert path is not None
        task = MeasureTask(
            card=str(cards.folder(question.card)),
            training_file=path,
            validation_file=validation_path,
            method=spec.method,
            context=context,
            on_gpu=False,
        )
        measured = process.measure(task, folder)
    for param, rows in (("training_file", measured.rows), ("validation_file", measured.validation_rows)):
        if rows and (why := _unusable(rows, options, most=measured.plan.max_length, context=context)):
            return {"code": "invalid_file", "message": f"{param}: {why}", "param": param}
    longest = max(rows.longest for rows in (measured.rows, measured.validation_rows) if rows)
    if longest > measured.plan.max_length:  # the longest that is not dropped is not known
        return None
    return _unread(question.reward_models, cards=cards, longest=longest + options.completion_tokens(context=context))


def _unread(reward_models: list[Card | None], *, cards: Cards, longest: int) -> dict[str, str] | None:
    for i, card in enumerate(reward_models):
        known = cards.known(card) if card else None
        if known and longest > known.context:
            param = f"method.ppo.reward_models[{i}]"
            message = f"{param}: {unreadable(longest, context=known.context)}"
            return {"code": "invalid_spec", "message": message, "param": param}
    return None


def _unusable(rows: RowFigures, options: RolloutTraining, *, most: int, context: int) -> str | None:
    for example in rows.examples:  # in the file's order
        if example.tokens is None:
            return f"line {example.row}: {example.reason}"
        if options.long_rows == "error":
            return f"line {example.row}: {options.too_long(example.tokens, most=most, context=context)}"
    if rows.too_long == rows.tokenized == rows.total > 0:
        return f"all prompts have more than {most} tokens"
    return None
