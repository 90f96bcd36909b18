"""`python -m tests.chaos.plants BUG …`: a Celery worker with a bug that the harness has to find.

Nothing of the product is imported at the top: its forked trainers import this module, too.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def finish_without_token_check() -> None:
    """An attempt that has been replaced ends its job all the same."""
    from sqlalchemy import select

    from core.jobs import publishing
    from core.models import Attempt, Job
    from worker import training

    checked, succeed = publishing.hold, publishing.succeed

    def unchecked(session: Any, *, token: int, lease: float) -> Job:
        attempt = session.get_one(Attempt, token)
        return session.scalars(select(Job).where(Job.id == attempt.job_id).with_for_update()).one()

    def unfenced(session: Any, **given: Any) -> None:
        publishing.hold = unchecked
        try:
            succeed(session, **given)
        finally:
            publishing.hold = checked

    publishing.succeed = unfenced
    training.clean_up = lambda context: None  # it would take the files of an attempt that has been replaced


def event_number_outside_the_lock() -> None:
    """The worker counts events by itself: what a transaction took that is rolled back is not given back."""
    from core.jobs import claims, lifecycle, publishing

    append = lifecycle.append_event
    taken: dict[str, int] = {}

    def append_event(session: Any, job: Any, **given: Any) -> None:
        job.event_seq = max(job.event_seq, taken.get(job.id, 0))
        append(session, job, **given)
        taken[job.id] = job.event_seq

    for module in (claims, lifecycle, publishing):
        if hasattr(module, "append_event"):
            module.append_event = append_event  # pyright: ignore[reportAttributeAccessIssue]


def checkpoint_before_its_upload() -> None:
    """The row is written first, with what is going to be there."""
    import hashlib

    from core.jobs import publishing
    from core.storage import Entry
    from worker.supervisor import Attempt

    def entry(folder: Path, path: Path) -> Entry:
        content = path.read_bytes()
        return Entry(path.relative_to(folder).as_posix(), len(content), hashlib.sha256(content).hexdigest())

    def publish(self: Any, event: Any) -> None:
        folder = self.run_dir / event.path
        prefix = f"{self.assignment.object_prefix}checkpoints/step-{event.step}/"
        entries = [entry(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()]
        promised = publishing.Folder(prefix=prefix, entries=entries)
        self._write(lambda s, **a: publishing.publish_checkpoint(s, event=event, folder=promised, **a))
        self._upload(prefix, folder)

    Attempt._publish_checkpoint = publish


PLANTS: dict[str, Callable[[], None]] = {
    plant.__name__: plant
    for plant in (finish_without_token_check, event_number_outside_the_lock, checkpoint_before_its_upload)
}

if __name__ == "__main__":
    from celery.__main__ import main

    PLANTS[sys.argv.pop(1)]()
    main()
