"""What an initialization would take: it trains nothing, and the size of its model follows from the job alone."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.access.service import require_project
from core.estimate.compute import Compute
from core.estimate.memory import FULL_BYTES, Memory, devices
from core.estimate.price import Time, cost
from core.estimate.service import Estimate, check_files
from core.estimate.task import Measured, Notes, Plan, RowFigures, TokenFigures
from core.estimate.warnings import Warning, no_room
from core.jobs.service import check_size, inputs
from core.registry.catalogue import Catalogue
from core.settings import Settings
from core.specs.initialization import Initialization
from core.specs.job import JobSpec
from core.workers import repository as workers

TAKES_SECONDS = "an initialization takes seconds, which are not estimated"


def estimate(session: Session, *, owner: Owner, catalogue: Catalogue, spec: JobSpec, settings: Settings) -> Estimate:
    """Check an initialization as if it were created; its model has so many parameters, without steps or tokens.

    Raises:
        NotAllowed, UnknownModel, NotFound, InvalidRequest: as when a job is created.
        InvalidState, InvalidFile: as `check_files`.
    """
    require_project(owner)
    options = spec.method.options
    assert isinstance(options, Initialization)
    check_size(spec, most=settings.initialization_max_parameters)
    _, training, _, _ = inputs(session, owner=owner, catalogue=catalogue, spec=spec, known={})
    check_files(session, spec, None, {"training_file": training} if training else {})
    parameters = options.parameters(vocab_size=options.vocab_size or 0)
    bytes_ = parameters * FULL_BYTES
    present = workers.trainers(session, silent_seconds=settings.lease_seconds)
    memory = Memory(bytes_, 0, 0, 0, bytes_, devices(present, bytes_))
    time = Time(None, None, 0, TAKES_SECONDS)
    return Estimate(
        measured=_nothing(context=options.shape.context),
        memory=memory,
        time=time,
        cost=cost(time, settings, on_gpu=False),
        compute=Compute(parameters, tokens=0, tokens_per_parameter=0, flops=0),
        warnings=[*no_room(memory, param="method.initialization.sizes"), *_vocabulary(options)],
    )


def _vocabulary(options: Initialization) -> Iterator[Warning]:
    if options.vocab_size is None:
        message = (
            "how many tokens the vocabulary has is known once the job runs: parameters and memory are those of the "
            "model without its embeddings"
        )
        yield Warning("vocabulary_unknown", message, "method.initialization.tokenizer")


def _nothing(*, context: int) -> Measured:
    """No row is trained."""
    rows = {key: 0 for key in ("total", "tokenized", "too_long", "left_out", "unusable", "median", "longest")}
    plan = {key: 0 for key in ("epochs", "batch_size", "share", "passes", "steps")}
    return Measured(
        exact=True,
        tokens=TokenFigures(total=0, trained=0, total_interval=0, trained_interval=0, padded=0),
        rows=RowFigures(**rows, too_long_is_exact=True, examples=[]),
        validation_rows=None,
        plan=Plan(**plan, max_length=context, sequence_length=None),
        notes=Notes(duplicates=0, leaked=[], leaked_count=0, ignores_system=False, ignores_tools=False),
    )
