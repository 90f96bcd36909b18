"""What clients ask before they train: how a model sees a file, and what a job would take."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.access.service import require_project
from core.errors import InvalidRequest
from core.estimate import process, repository
from core.estimate.compute import Compute, compute
from core.estimate.memory import Memory, memory
from core.estimate.price import Cost, Time, cost, time
from core.estimate.repository import Throughput
from core.estimate.sources import Source, fetched, source_of
from core.estimate.task import Measured, MeasureTask, Previewed, PreviewTask
from core.estimate.warnings import Warning, warnings
from core.files import repository as files
from core.files.report import overlap
from core.files.service import VALIDATED_PURPOSE
from core.jobs import repository as jobs
from core.jobs import shapes, usable
from core.jobs.known import KnownModels
from core.jobs.service import inputs, set_up
from core.models import File, Job, Worker
from core.registry.cards import Card, Cards
from core.registry.catalogue import Catalogue
from core.registry.service import StartingModel, starting_model
from core.rows.prompt import PROMPTS
from core.settings import Settings
from core.specs.choices import max_length
from core.specs.job import JobSpec
from core.specs.lora import Lora
from core.specs.method import training_options
from core.specs.training import Training
from core.storage import Storage
from core.workers import repository as workers


class InvalidFile(InvalidRequest):
    """What its validation found does not go with the job: it would fail with the same code."""

    code = "invalid_file"


@dataclass(frozen=True)
class Question:
    """What an estimate needs of the database: plain values, so that no transaction is open while files are read."""

    spec: JobSpec
    base_model: str
    card: Card
    rank: int | None
    training: Source
    validation: Source | None
    replay: Source | None
    workers: list[Worker]
    on_gpu: bool
    throughput: Throughput | None


@dataclass(frozen=True)
class Estimate:
    measured: Measured
    memory: Memory
    time: Time
    cost: Cost
    compute: Compute
    warnings: list[Warning]


def ask(
    session: Session, *, owner: Owner, catalogue: Catalogue, spec: JobSpec, known: KnownModels, settings: Settings
) -> Question:
    """Check a job that trains as if it were created, and read what its estimate needs.

    Raises:
        NotAllowed, UnknownModel, NotFound, InvalidRequest: as when a job is created.
        InvalidState: a file is not processed yet, or can't be used.
        InvalidFile: the method can't learn from a file.
    """
    require_project(owner)
    start, training, validation, replay = inputs(session, owner=owner, catalogue=catalogue, spec=spec, known=known)
    assert start is not None  # this and the next only an initialization lacks
    assert training is not None
    set_up(spec, settings.integrations)
    replay_file = f"method.{spec.method.type}.replay.file"
    named = {"training_file": training, "validation_file": validation, replay_file: replay}
    given = {param: file for param, file in named.items() if file}
    sources = check_files(session, spec, start, given)
    present = workers.trainers(session, silent_seconds=settings.lease_seconds)
    wanted = spec.resources.gpus
    on_gpu = wanted == 1 or (wanted is None and any(worker.devices for worker in present))
    return Question(
        spec=spec,
        base_model=start.base_model,
        card=start.card,
        rank=_rank(session, spec, start),
        training=sources["training_file"],
        validation=sources.get("validation_file"),
        replay=sources.get(replay_file),
        workers=present,
        on_gpu=on_gpu,
        throughput=repository.throughput(
            session,
            base_model=start.base_model,
            initialized_by=_initialized_by(session, start),
            method=spec.method,
            on_gpu=on_gpu,
        ),
    )


def check_files(
    session: Session, spec: JobSpec, start: StartingModel | None, given: dict[str, File]
) -> dict[str, Source]:
    """The sources of files by the keys that name them.

    Raises:
        InvalidState: a file is not processed yet, or can't be used.
        InvalidFile: the job would fail by what the validation of its files has found.
    """
    sources = {param: source_of(file, param=param) for param, file in given.items()}
    parent_id = start.parent.id if start and start.parent else None
    job = Job(spec=spec.model_dump(mode="json", exclude={"hyperparameters"}), parent_model_id=parent_id)
    for param, file in given.items():
        if fault := usable.fault(session, job, file, param=param):
            key, message = fault
            raise InvalidFile(message, param=key)
    return sources


def _initialized_by(session: Session, start: StartingModel) -> Job | None:
    if start.parent is None:
        return None
    first = jobs.origin(session, job=session.get_one(Job, start.parent.job_id))
    return first if first.spec["method"]["type"] == "initialization" else None


def answer(question: Question, *, storage: Storage, cards: Cards, settings: Settings) -> Estimate:
    """Read the files as the trainer would, in a limited child process.

    Raises:
        CardPending: no worker has published the model's tokenizer yet.
        InvalidRequest: max_length is more than the model's context, or the file can't be read with this model.
        Busy: too many estimates are being made.
    """
    facts = cards.facts(question.card)
    options = training_options(question.spec.method)
    _max_length(options, context=facts.context, param=f"method.{question.spec.method.type}.max_length")
    files = (question.training, question.validation, question.replay)
    with process.turn(), fetched(storage, *files) as (folder, (training, validation, replay)):
        assert training is not None
        task = MeasureTask(
            card=str(cards.folder(question.card)),
            training_file=training,
            validation_file=validation,
            replay_file=replay,
            method=question.spec.method,
            context=facts.context,
            on_gpu=question.on_gpu,
        )
        measured = process.measure(task, folder)
    on_gpu = question.on_gpu
    taken = memory(
        facts,
        measured,
        rank=question.rank,
        four_bits=options.quantization is not None,
        writes=options.YIELDS == "policy",
        beside=options.holds_reference + len(getattr(options, "reward_models", ())),
        on_gpu=on_gpu,
        workers=question.workers,
    )
    used = compute(facts, measured, rank=question.rank)
    needed = time(measured, question.throughput, base_model=question.base_model, on_gpu=on_gpu)
    return Estimate(
        measured=measured,
        memory=taken,
        time=needed,
        cost=cost(needed, settings, on_gpu=on_gpu),
        compute=used,
        warnings=warnings(
            measured,
            taken,
            used,
            method=question.spec.method,
            report=question.training.report,
            overlap=_overlap(question, storage),
            gpus=question.spec.resources.gpus,
        ),
    )


def _overlap(question: Question, storage: Storage) -> dict[str, Any] | None:
    training, validation = question.training.sketch, question.validation.sketch if question.validation else None
    return overlap(storage, training=training, validation=validation) if training and validation else None


def find_preview(
    session: Session, *, owner: Owner, catalogue: Catalogue, file_id: str, model: str
) -> tuple[Source, Card]:
    """The file and the card of the model whose template it is shown in.

    Raises:
        NotFound: the file is not the owner's.
        UnknownModel: neither the catalogue nor the owner has the model.
        InvalidRequest: the file is no training data.
        InvalidState: it is not processed yet, or can't be used.
    """
    file = files.get(session, owner=owner, file_id=file_id)
    if file.purpose != VALIDATED_PURPOSE:
        raise InvalidRequest(f"file_id: file {file.id} has purpose {file.purpose!r}, not 'fine-tune'", param="file_id")
    card = starting_model(session, owner=owner, catalogue=catalogue, name=model).card
    return source_of(file, param="file_id"), card


def preview(
    source: Source,
    card: Card,
    *,
    storage: Storage,
    cards: Cards,
    offset: int,
    limit: int,
    max_length: int | None,
) -> Previewed:
    """Rows as the model reads them.

    Args:
        max_length: tokens; null: what a job takes by default.

    Raises:
        CardPending, InvalidRequest, Busy: as `answer`.
    """
    options = Training.model_validate({"max_length": max_length or "auto"})
    longest = _max_length(options, context=cards.facts(card).context, param="max_length")
    with process.turn(), fetched(storage, source) as (folder, (file,)):
        assert file is not None
        task = PreviewTask(
            card=str(cards.folder(card)),
            file=file,
            offset=offset,
            limit=limit,
            max_length=longest,
            prompts=(source.report or {}).get("kind") in PROMPTS,
        )
        return process.preview(task, folder)


def _rank(session: Session, spec: JobSpec, start: StartingModel) -> int | None:
    """The adapter's, which a job that starts from an adapter takes over; None where there is none to train."""
    options = training_options(spec.method)
    if options.weights == "full":
        return None
    if options.lora is None and start.parent is not None and start.parent.weights == "adapter":
        return shapes.shape(session, start.parent).r
    return (options.lora or Lora()).r


def _max_length(options: Training, *, context: int, param: str) -> int:
    try:
        return max_length(options, context=context)
    except ValueError as error:
        raise InvalidRequest(str(error), param=param) from None
