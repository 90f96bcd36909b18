"""SQL about what training has been like here."""

from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Float, func, select
from sqlalchemy.orm import Session

from core.jobs.repository import origin
from core.jobs.states import SUCCEEDED
from core.models import Job, Metric
from core.specs.method import Method

RECENT = 20  # jobs


@dataclass(frozen=True)
class Throughput:
    """tokens_per_second: the median over the steps of `jobs` recent jobs."""

    tokens_per_second: float
    jobs: int


def throughput(
    session: Session, *, base_model: str, initialized_by: Job | None, method: Method, on_gpu: bool
) -> Throughput | None:
    """How fast this deployment trains such weights of a base model by a method, whoever's jobs they were.

    Args:
        initialized_by: the job whose random weights the base is, where one made it: models of its name have all sizes.

    Returns:
        None: it never has.
    """
    kind = Job.spec["method"]["type"].astext
    options = Job.spec["method"].op("->")(kind)
    trained = func.coalesce(options.op("->>")("weights"), "adapter")
    recent = (
        select(Job)
        .where(Job.base_model == base_model, kind == method.type, trained == method.options.weights)
        .where(Job.status == SUCCEEDED, (Job.gpu_seconds > 0) == on_gpu)
        .order_by(Job.created_at.desc())
    )
    if initialized_by is None:
        jobs = session.scalars(recent.limit(RECENT)).all()
    else:
        of_its_size = (job for job in session.scalars(recent) if origin(session, job=job) is initialized_by)
        jobs = list(islice(of_its_size, RECENT))
    speed = Metric.data["tokens_per_second"].astext.cast(Float)
    median = func.percentile_cont(0.5).within_group(speed)
    counted = func.count(Metric.job_id.distinct())
    among = Metric.job_id.in_([job.id for job in jobs])
    found, count = session.execute(select(median, counted).where(among, speed.is_not(None))).one()
    return None if found is None else Throughput(float(found), count)
