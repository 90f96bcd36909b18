from fastapi import APIRouter

from api.body import described_by
from api.deps import CardsDep, CatalogueDep, EngineDep, OwnerDep, SettingsDep, StorageDep
from api.grading import CheckedJobDep
from api.known_models import KnownModelsDep
from api.schemas.estimate import EstimateObject
from core.db import session_scope
from core.estimate import initialization, service
from core.jobs.service import architecture
from core.specs.initialization import InitializationMethod
from core.specs.job import JobSpec

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"])


@router.post("/estimate", openapi_extra=described_by(JobSpec))
def estimate_job(
    spec: CheckedJobDep,
    owner: OwnerDep,
    engine: EngineDep,
    catalogue: CatalogueDep,
    storage: StorageDep,
    cards: CardsDep,
    settings: SettingsDep,
    known: KnownModelsDep,
) -> EstimateObject:
    """What this job would take: tokens, steps, memory, time, cost, and what is likely to go wrong. Creates nothing."""
    with session_scope(engine) as session:  # ends before files are read
        if isinstance(spec.method, InitializationMethod):
            estimate = initialization.estimate(session, owner=owner, catalogue=catalogue, spec=spec, settings=settings)
            return EstimateObject.of(spec, estimate, base_model=architecture(spec))
        question = service.ask(session, owner=owner, catalogue=catalogue, spec=spec, known=known, settings=settings)
    estimate = service.answer(question, storage=storage, cards=cards, settings=settings)
    return EstimateObject.of(spec, estimate, base_model=question.base_model)
