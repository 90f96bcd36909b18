"""The shape of the adapter that a job goes on training."""

from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.jobs import repository
from core.models import Job, Model
from core.specs.job import JobSpec
from core.specs.lora import Lora

SHAPE = ("r", "alpha", "dropout", "target_modules", "rslora", "dora")


def check(session: Session, spec: JobSpec, parent: Model) -> None:
    """Raises InvalidRequest where `lora` asks for another shape than that of the adapter that the job starts from.

    Of `target_modules` only lists of names are compared: which layers the other values name is the model's to tell, and
    the trainer's to see.
    """
    lora = spec.method.options.lora
    if lora is None or parent.weights == "full":
        return
    there = shape(session, parent)
    for key in SHAPE:
        given, has = (
            sorted(set(value)) if isinstance(value, list) else value
            for value in (getattr(lora, key), getattr(there, key))
        )
        if given != has and not (key == "target_modules" and isinstance(given, str) | isinstance(has, str)):
            param = f"method.{spec.method.type}.lora.{key}"
            raise InvalidRequest(
                f"{param}: {given} was asked for, but the adapter that this job goes on training has {has}; leave lora "
                "out to take over its shape",
                param=param,
            )


def shape(session: Session, adapter: Model) -> Lora:
    """As the first job of its line that began with no adapter has asked for it; those after it have not changed it."""
    for job in repository.line(session, job=session.get_one(Job, adapter.job_id)):
        options = JobSpec.model_validate(job.spec).method.options
        if options.weights == "full":
            break
        if options.lora is not None:
            return options.lora
    return Lora()
