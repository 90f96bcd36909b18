"""What jobs have cost so far, by what the operator charges."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from core.models import Job
from core.settings import Settings
from core.usage import repository


def costs(session: Session, settings: Settings, *, jobs: Sequence[Job]) -> dict[str, float]:
    """By the jobs' ids; none of a job that used what has no price.

    GPU-seconds at TUNESMITH_COST_PER_GPU_HOUR; of attempts that held no GPU the time that they held a slot, at
    TUNESMITH_COST_PER_CPU_HOUR: as `core.estimate.price` foretells it.
    """
    per_gpu, per_cpu = settings.cost_per_gpu_hour, settings.cost_per_cpu_hour
    if per_gpu is None and per_cpu is None:
        return {}
    slots = repository.slot_seconds(session, job_ids=[job.id for job in jobs])
    used = {job.id: ((job.gpu_seconds, per_gpu), (slots.get(job.id, 0.0), per_cpu)) for job in jobs}
    return {
        job_id: sum(seconds / 3600 * (price or 0.0) for seconds, price in parts)
        for job_id, parts in used.items()
        if all(price is not None or not seconds for seconds, price in parts)
    }
