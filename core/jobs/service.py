"""What clients ask of jobs."""

import secrets
from collections.abc import Collection

from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.access.service import require_project
from core.db import after_commit
from core.errors import InvalidRequest, InvalidState
from core.exports import claims as exports
from core.files import repository as files
from core.ids import new_id
from core.jobs import lengths, prompt_checks, repository, reward_models, shapes, usable
from core.jobs.claims import end_attempt
from core.jobs.known import KnownModels
from core.jobs.lifecycle import append_event, queue_validated, transition
from core.jobs.states import CANCELLED, FAILED, PAUSED, PAUSING, QUEUED, RUNNING, TERMINAL, VALIDATING_FILES
from core.models import File, Job
from core.queue import ring
from core.registry.catalogue import Catalogue
from core.registry.service import StartingModel, starting_model, unknown_model
from core.specs.initialization import Initialization, InitializationMethod
from core.specs.integrations import Integration
from core.specs.job import JobSpec
from core.specs.method import ROLLOUTS
from core.specs.ppo import Ppo


def create(
    session: Session,
    *,
    owner: Owner,
    catalogue: Catalogue,
    spec: JobSpec,
    known: KnownModels,
    integrations: Collection[str] = (),
    max_parameters: int | None = None,
) -> Job:
    """Insert a job with its first events; it is queued at once where its files are processed already
    and have no prompts.

    Args:
        known: what cards tell of the models that it names.
        integrations: the types that this deployment has set.
        max_parameters: of a model that an initialization may make.

    Raises:
        NotAllowed: an operator key.
        UnknownModel: neither the catalogue nor the project has the model.
        NotFound: a file is not the project's.
        InvalidRequest: as `inputs` and `check_size`.
    """
    project_id = require_project(owner)
    if max_parameters is not None:
        check_size(spec, most=max_parameters)
    start, training, validation, replay = inputs(session, owner=owner, catalogue=catalogue, spec=spec, known=known)
    base_model = start.base_model if start else architecture(spec)
    stored = spec.model_dump(mode="json", exclude={"hyperparameters"})
    if start is None and spec.model and (entry := catalogue.find(spec.model)):
        stored["model"] = entry.id  # workers know no aliases
    job = Job(
        id=new_id("ftjob-"),
        project_id=project_id,
        spec=stored,
        model=spec.model or base_model,
        base_model=base_model,
        parent_model_id=start.parent.id if start and start.parent else None,
        training_file_id=training.id if training else None,
        validation_file_id=validation.id if validation else None,
        replay_file_id=replay.id if replay else None,
        seed=spec.seed if spec.seed is not None else secrets.randbelow(2**31),
        api_key_id=owner.key_id,
        needed_devices=spec.resources.gpus or int(spec.method.options.quantization is not None),
        input_bytes=sum(file.bytes for file in (training, validation, replay) if file),
        status=VALIDATING_FILES,
        status_reason="waiting for its files to be processed",
        event_seq=0,
    )
    session.add(job)
    session.flush()
    exports.add(session, job, set_up(spec, integrations))
    append_event(session, job, message=f"Created fine-tuning job: {job.id}")
    if start and start.parent is None and spec.model != base_model:
        message = f"Model {spec.model} stands for {base_model} here ({start.public_id}): that is what is trained"
        append_event(session, job, message=message)
    if training:
        append_event(session, job, message=f"Validating training file: {training.id}")
    advance_validation(session, job)
    return job


def set_up(spec: JobSpec, integrations: Collection[str]) -> list[Integration]:
    """The job's integrations.

    Raises:
        InvalidRequest: one of them is not set here.
    """
    for i, integration in enumerate(spec.integrations or []):
        if integration.type not in integrations:
            there = ", ".join(sorted(integrations)) or "none"
            raise InvalidRequest(
                f"integrations.{i}.type: {integration.type!r} is not set up here (there are: {there}); an operator "
                "can (docs/integrations.md). A job's metrics are read from the API in any case",
                param=f"integrations.{i}.type",
            )
    return spec.integrations or []


def inputs(
    session: Session, *, owner: Owner, catalogue: Catalogue, spec: JobSpec, known: KnownModels
) -> tuple[StartingModel | None, File | None, File | None, File | None]:
    """What a job would start from and read: (model, training file, validation file, replay file).

    The first two are only an initialization's to lack: it starts from nothing.

    Raises:
        UnknownModel: neither the catalogue nor the project has the model.
        NotFound: a file is not the project's.
        InvalidRequest: the model is of a kind that the method can't start from, or its context is known to be shorter
            than max_length or an answer; its adapter is known to have another shape; a reward model can't score the
            model's answers; a file has another purpose, is named twice, or there is nothing, or twice something, to
            validate on.
    """
    _check_validation(spec)
    options, path = spec.method.options, f"method.{spec.method.type}"
    start = training = validation = replay = None
    if isinstance(options, Initialization):
        _check_initialization(spec, options, catalogue)
    else:
        model, kinds = spec.model or "", options.STARTS_FROM
        start = starting_model(session, owner=owner, catalogue=catalogue, name=model, kinds=kinds)
    if spec.training_file is not None:
        training = _usable_file(session, owner, param="training_file", file_id=spec.training_file)
    if spec.validation_file is not None:
        validation = _usable_file(session, owner, param="validation_file", file_id=spec.validation_file)
        if training and validation.id == training.id:
            words = "validation_file: is the training file; give rows that training never sees"
            raise InvalidRequest(words, param="validation_file")
    if options.replay is not None:
        param = f"{path}.replay.file"
        replay = _usable_file(session, owner, param=param, file_id=options.replay.file)
        for other, key in ((training, "training_file"), (validation, "validation_file")):
            if other and replay.id == other.id:
                raise InvalidRequest(f"{param}: is the {key}; give rows of earlier training", param=param)
    if start and isinstance(options, Ppo):
        reward_models.check(session, owner=owner, catalogue=catalogue, options=options, policy=start, known=known)
    if start and start.parent:
        shapes.check(session, spec, start.parent)
    if start:
        _check_length(session, spec, start, known)
    return start, training, validation, replay


def _check_length(session: Session, spec: JobSpec, start: StartingModel, known: KnownModels) -> None:
    """Raises InvalidRequest where rows or answers are to be longer than the model's context, if that is known."""
    context = usable.context(session, job=session.get_one(Job, start.parent.job_id)) if start.parent else None
    if context is None and start.card.key in known:
        context = known[start.card.key].context
    if context is not None:
        lengths.check(spec, context=context)


def architecture(spec: JobSpec) -> str:
    """What the models of an initialization name as their base."""
    assert isinstance(spec.method, InitializationMethod)
    return spec.method.initialization.architecture


def _check_initialization(spec: JobSpec, options: Initialization, catalogue: Catalogue) -> None:
    """It takes what its tokenizer comes from, and nothing else.

    Raises:
        InvalidRequest: that is not given, or something else is.
        UnknownModel: the catalogue has no such model.
    """
    source = options.tokenizer.type
    needed, other = ("model", "training_file") if source == "model" else ("training_file", "model")
    why = f"an initialization whose tokenizer.type is {source!r}"
    if getattr(spec, needed) is None:
        raise InvalidRequest(f"{needed}: is needed by {why}", param=needed)
    for key in (other, "validation_file", "integrations", "max_duration_seconds"):
        if getattr(spec, key) is not None:
            raise InvalidRequest(f"{key}: means nothing to {why}; leave it out", param=key)
    if spec.resources.gpus:
        raise InvalidRequest(f"resources.gpus: {why} uses no GPU; leave it out", param="resources.gpus")
    if spec.model is not None and catalogue.find(spec.model) is None:
        raise unknown_model(catalogue, spec.model)


def check_size(spec: JobSpec, *, most: int) -> None:
    """Raises InvalidRequest where the model that an initialization makes would have more parameters than `most`.

    A vocabulary that only a worker sees is not counted.
    """
    options = spec.method.options
    if not isinstance(options, Initialization):
        return
    vocab_size = options.vocab_size
    count = options.parameters(vocab_size=vocab_size or 0)
    if count > most:
        key = "sizes" if options.sizes.model_dump(exclude_none=True) else "preset"
        param = f"method.initialization.{key}"
        embeddings = f"with a vocabulary of {vocab_size:,}" if vocab_size else "without its embeddings"
        message = f"{param}: such a model {embeddings} has {count:,} parameters, but at most {most:,} are made here"
        raise InvalidRequest(message, param=param)


def _check_validation(spec: JobSpec) -> None:
    options, path = spec.method.options, f"method.{spec.method.type}"
    if options.validation_split is not None and spec.validation_file is not None:
        param = f"{path}.validation_split"
        raise InvalidRequest(f"{param}: give it or a validation_file, not both", param=param)
    if options.needs_validation and options.validation_split is None and spec.validation_file is None:
        raise InvalidRequest(
            f"{path}.{options.needs_validation}: there is nothing to validate on; give a validation_file, or "
            f"{path}.validation_split",
            param=f"{path}.{options.needs_validation}",
        )


def _usable_file(session: Session, owner: Owner, *, param: str, file_id: str) -> File:
    # Shared lock: the transaction that finishes this file either saw this job or is seen by it.
    file = files.get(session, owner=owner, file_id=file_id, param=param, share=True)
    if file.purpose != "fine-tune":
        raise InvalidRequest(f"{param}: file {file.id} has purpose {file.purpose!r}, not 'fine-tune'", param=param)
    return file


def advance_validation(session: Session, job: Job) -> None:
    """Move a locked job on when its files allow it: all processed, or one of them unusable.

    Where there are prompts, they are checked before it is queued.
    """
    inputs = repository.files_of(session, job=job)
    for param, file in inputs:
        fault = usable.fault(session, job, file, param=param)
        if fault:
            key, message = fault
            error = {"code": "invalid_file", "message": message, "param": key}
            transition(session, job, FAILED, reason=message, message=message, level="error", error=error)
            return
    if all(file.status == "processed" for _, file in inputs):
        if job.spec["method"]["type"] in ROLLOUTS:
            prompt_checks.begin(session, job)
        else:
            queue_validated(session, job)


def file_finished(session: Session, *, file_id: str) -> None:
    """Move the jobs that waited for a file; called in the transaction that finishes it."""
    for job in repository.waiting_for(session, file_id=file_id):
        advance_validation(session, job)


def advance_waiting(session: Session) -> None:
    """Look again at the jobs that wait for files: a net under `file_finished`, which should leave it nothing."""
    for job in repository.waiting_with_finished_file(session):
        advance_validation(session, job)


def cancel(session: Session, *, owner: Owner, job_id: str) -> Job:
    """Cancel at once, in every state that is not terminal; a running attempt loses its fence.

    Raises:
        InvalidState: the job has ended.
    """
    job = repository.get(session, owner=owner, job_id=job_id, lock=True)
    if job.status in TERMINAL:
        raise InvalidState(f"job {job.id} has {_ended(job)}: it can't be cancelled")
    if job.token is not None:
        end_attempt(session, token=job.token, outcome="cancelled")
    transition(session, job, CANCELLED, reason="cancelled on request", message="The job was cancelled on request")
    return job


def pause(session: Session, *, owner: Owner, job_id: str) -> Job:
    """Pause a queued job at once, a running one after its next checkpoint.

    Raises:
        InvalidState: the job is neither queued nor running (nor pausing or paused already).
    """
    job = repository.get(session, owner=owner, job_id=job_id, lock=True)
    if job.status == QUEUED:
        transition(session, job, PAUSED, reason="paused on request", message="The job was paused on request")
    elif job.status == RUNNING:
        message = "The job will pause at its next step, after a checkpoint"
        transition(session, job, PAUSING, reason="asked to pause", message=message)
    elif job.status not in (PAUSING, PAUSED):
        raise InvalidState(f"job {job.id} is {job.status}: only queued and running jobs can be paused")
    return job


def resume(session: Session, *, owner: Owner, job_id: str) -> Job:
    """Queue a paused job again; it goes on from its last checkpoint.

    Raises:
        InvalidState: the job is not paused.
    """
    job = repository.get(session, owner=owner, job_id=job_id, lock=True)
    if job.status != PAUSED:
        raise InvalidState(f"job {job.id} is {job.status}: only paused jobs can be resumed")
    transition(session, job, QUEUED, reason="waiting for a free slot", message="The job was resumed on request")
    after_commit(session, lambda: ring("train"))
    return job


def _ended(job: Job) -> str:
    return "been cancelled" if job.status == CANCELLED else job.status
