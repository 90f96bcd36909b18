"""Fetching what a trainer needs into its run directory."""

import errno
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy.orm import Session

from core.errors import TunesmithError
from core.files.report import suffix
from core.jobs import publishing
from core.models import File, Job, Model
from core.registry.catalogue import CatalogueEntry, load_catalogue
from core.registry.repository import full_base, models_named
from core.specs.base_model import BaseModelSource
from core.specs.initialization import InitializationMethod
from core.specs.job import JobSpec
from core.specs.ppo import Ppo
from core.specs.run import PrepareSpec, RunSpec, Scorer
from core.storage import Entry
from worker import forkserver
from worker.context import Context
from worker.logs import TAIL, mask, masks
from worker.patience import GivenUp
from worker.room import is_full

# Of an adapter's folder only these are needed to go on training it.
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
# Of a model with full weights: these, and its weights, which may be in several files.
BASE_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "model.safetensors.index.json",
)
BASE_TEMPLATES = "additional_chat_templates/"
BASE_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
# Of a base model, all but its weights.
DESCRIBING = (".json", ".txt", ".jinja")
LONGEST_PREPARATION = 2 * 3600  # seconds; a large model may have to be downloaded first


class UnpreparedModel(TunesmithError):
    """The base model could not be made ready; the operator should look at the catalogue."""

    code = "base_model_unavailable"


class UnreadableSpec(TunesmithError):
    """The job's spec is of another version of this program."""

    code = "unreadable_spec"


@dataclass(frozen=True)
class Input:
    """A file of rows. suffix: of the names of its copies, which say its format where its bytes do not."""

    key: str
    entry: Entry
    suffix: str


@dataclass(frozen=True)
class Assignment:
    """What a claim read of its job: plain values, so that no transaction stays open while the job runs."""

    job_id: str
    token: int
    spec: JobSpec
    seed: int
    base_model: str | None  # the catalogue's id; None for an initialization that takes no tokenizer
    object_prefix: str
    training_file: Input | None
    validation_file: Input | None
    replay_file: Input | None
    full_base: tuple[str, publishing.Folder] | None  # (name, folder) of a job-made model in the place of base_model
    parent: publishing.Folder | None  # the adapter that the job starts from
    checkpoint: publishing.Folder | None
    reward_models: tuple["RewardModel", ...]


@dataclass(frozen=True)
class RewardModel:
    """What scores answers: an adapter and the base under it, or a model by itself, which is the base then."""

    base_model: str  # the catalogue's id
    full_base: tuple[str, publishing.Folder] | None
    adapter: publishing.Folder | None


def read_assignment(session: Session, job: Job, *, token: int, organization_id: str) -> Assignment:
    """Raises UnreadableSpec where this worker does not understand the job."""
    try:
        spec = JobSpec.model_validate(job.spec)
    except ValidationError:
        raise UnreadableSpec("This worker can't read the job's spec") from None
    parent = session.get_one(Model, job.parent_model_id) if job.parent_model_id else None
    base = full_base(session, parent_model_id=job.parent_model_id)
    return Assignment(
        job_id=job.id,
        token=token,
        spec=spec,
        seed=job.seed,
        base_model=spec.model if isinstance(spec.method, InitializationMethod) else job.base_model,
        object_prefix=f"orgs/{organization_id}/jobs/{job.id}/attempts/{token}/",
        training_file=_input(session, job.training_file_id),
        validation_file=_input(session, job.validation_file_id),
        replay_file=_input(session, job.replay_file_id),
        full_base=(base.name, _folder_of(base)) if base else None,
        parent=_folder_of(parent) if parent and parent.weights == "adapter" else None,
        checkpoint=publishing.starting_point(session, job_id=job.id),
        reward_models=tuple(_reward_model(session, model) for model in _named(session, spec.method.options)),
    )


def _named(session: Session, options: object) -> list[Model]:
    return models_named(session, names=options.reward_models) if isinstance(options, Ppo) else []


def _reward_model(session: Session, model: Model) -> RewardModel:
    base = full_base(session, parent_model_id=model.id)
    return RewardModel(
        base_model=model.base_model,
        full_base=(base.name, _folder_of(base)) if base else None,
        adapter=_folder_of(model) if model.weights == "adapter" else None,
    )


def _folder_of(model: Model) -> publishing.Folder:
    return publishing.Folder(model.prefix, Entry.many(model.manifest))


def _input(session: Session, file_id: str | None) -> Input | None:
    if file_id is None:
        return None
    file = session.get_one(File, file_id)
    entry = Entry(name=file.id, bytes=file.bytes, sha256=file.sha256)
    return Input(file.object_key, entry, suffix((file.report or {}).get("format")))


def fetch(
    context: Context, assignment: Assignment, run_dir: Path, *, devices: list[int], given_up: Callable[[], bool]
) -> RunSpec:
    """Fill `run_dir/inputs` and answer the spec for the trainer; may be called again when it has failed halfway.

    Raises:
        UnpreparedModel: the catalogue no longer has the base model, or it can't be loaded.
        GivenUp: `given_up()` came true while the base model was being prepared.
    """
    inputs = run_dir / "inputs"
    shutil.rmtree(inputs, ignore_errors=True)
    base_model = inputs / "base_model"
    name = _base(context, assignment, base_model, run_dir, given_up=given_up)
    scorers = [
        _scorer(context, model, inputs / f"reward_model-{i}", run_dir, given_up=given_up)
        for i, model in enumerate(assignment.reward_models)
    ]
    return RunSpec(
        job_id=assignment.job_id,
        method=assignment.spec.method,
        seed=assignment.seed,
        base_model=str(base_model) if name else "",
        base_model_name=name or "",
        start_adapter=_folder(context, assignment.parent, inputs / "start_adapter", needed=ADAPTER_FILES.__contains__),
        training_file=_rows(context, assignment.training_file, inputs / "training") or "",
        validation_file=_rows(context, assignment.validation_file, inputs / "validation"),
        replay_file=_rows(context, assignment.replay_file, inputs / "replay"),
        reward_models=scorers,
        resume_from=_folder(context, assignment.checkpoint, inputs / "checkpoint"),
        devices=devices,
        max_duration_seconds=assignment.spec.max_duration_seconds,
        threads=context.settings.trainer_threads,
    )


def _base(
    context: Context, assignment: Assignment, target: Path, run_dir: Path, *, given_up: Callable[[], bool]
) -> str | None:
    """Put the model that is trained, or under the adapter, at `target`; answers its public name.

    Of an initialization it is the card of the model whose tokenizer is taken: no weights; None where there is none.
    """
    if assignment.full_base is not None:
        name, folder = assignment.full_base
        _folder(context, folder, target, needed=_is_of_base)
        return name
    if assignment.base_model is None:
        return None
    weights = not isinstance(assignment.spec.method, InitializationMethod)
    return _prepared(context, assignment.base_model, target, run_dir, given_up=given_up, weights=weights)


def _scorer(
    context: Context, model: RewardModel, target: Path, run_dir: Path, *, given_up: Callable[[], bool]
) -> Scorer:
    """Put a reward model below `target`, with its tokenizer, which the trainer compares with the policy's."""
    base = target / "base"
    if model.full_base is not None:
        _folder(context, model.full_base[1], base, needed=_is_of_base)
    else:
        _prepared(context, model.base_model, base, run_dir, given_up=given_up, weights=True)
    adapter = _folder(context, model.adapter, target / "adapter", needed=_is_of_scorer)
    return Scorer(base=str(base), adapter=adapter)


def _prepared(
    context: Context, id: str, target: Path, run_dir: Path, *, given_up: Callable[[], bool], weights: bool
) -> str:
    """Put a model of the catalogue at `target`; answers its public name."""
    entry = load_catalogue(context.settings.catalogue).find(id)
    if entry is None:
        raise UnpreparedModel(f"base model {id!r} is no longer in the catalogue")
    context.cache.link_model(
        entry.source.key if weights else f"{entry.source.key}-card",
        target,
        prepare=lambda folder: prepare_model(context, entry, folder, run_dir, given_up=given_up, weights=weights),
    )
    return entry.public_id


def _is_of_base(name: str) -> bool:
    return name in BASE_FILES or name.startswith(BASE_TEMPLATES) or BASE_WEIGHTS.fullmatch(name) is not None


def _is_of_scorer(name: str) -> bool:
    return name in ADAPTER_FILES or name in BASE_FILES


def _rows(context: Context, input: Input | None, target: Path) -> str | None:
    return input and _file(context, input.key, input.entry, target.with_name(target.name + input.suffix))


def _file(context: Context, key: str, entry: Entry, target: Path) -> str:
    context.cache.link_file(entry, target, fetch=lambda path: context.storage.get_file(key, path, entry=entry))
    return str(target)


def _folder(
    context: Context,
    folder: publishing.Folder | None,
    target: Path,
    *,
    needed: Callable[[str], bool] = lambda name: True,
) -> str | None:
    if folder is None:
        return None
    for entry in folder.entries:
        if needed(entry.name):
            _file(context, f"{folder.prefix}{entry.name}", entry, target / entry.name)
    return str(target)


def prepare_model(
    context: Context,
    entry: CatalogueEntry,
    folder: Path,
    run_dir: Path,
    *,
    given_up: Callable[[], bool],
    weights: bool = True,
) -> None:
    """Make the base model's folder (or its card's, without weights) in a child: this needs torch and transformers.

    Raises:
        UnpreparedModel: it can't be made of what the source has, or not in LONGEST_PREPARATION seconds.
        OSError: the disk is full.
        GivenUp: `given_up()` came true meanwhile.
    """
    source = entry.source
    if source.kind == "s3":
        bucket, _, prefix = source.location.partition("/")
        downloaded = run_dir / "base_model"
        context.storage.get_prefix(bucket, prefix, downloaded, suffixes=None if weights else DESCRIBING)
        source = BaseModelSource(kind="folder", location=str(downloaded))
    spec = run_dir / "prepare.json"
    spec.write_text(PrepareSpec(source=source, folder=str(folder), weights=weights).model_dump_json())
    log = run_dir / "prepare.log"
    process = forkserver.spawn(
        "trainers.prepare", "main", str(spec), devices=[], threads=context.settings.trainer_threads, log=str(log)
    )
    deadline = time.monotonic() + LONGEST_PREPARATION
    try:
        while not wait([process.sentinel], timeout=0.5):
            if given_up():
                raise GivenUp(f"preparation of {entry.id}")
            if time.monotonic() > deadline:
                raise UnpreparedModel(f"base model {entry.id!r} was not prepared in {LONGEST_PREPARATION} s")
        process.join()
    finally:
        forkserver.kill(process)
    if process.exitcode != 0 or not folder.is_dir():
        if os.strerror(errno.ENOSPC) in last_line(log) or is_full(run_dir):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        masked = masks(run_dir=run_dir, work_dir=context.settings.work_dir.resolve())
        if entry.source.kind == "folder":
            masked["<source>"] = Path(entry.source.location)
        raise UnpreparedModel(f"base model {entry.id!r} could not be prepared: {mask(last_line(log), masked)}")


def last_line(path: Path) -> str:
    """The last line of a log, shortened: what a traceback ends with."""
    if not path.exists():
        return "no output"
    with path.open("rb") as file:  # it may be longer than memory
        file.seek(max(0, path.stat().st_size - TAIL))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:500] if lines else "no output"
