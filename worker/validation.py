"""Queue `cpu`: validate uploaded training files."""

import logging
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.db import session_scope
from core.files import claims
from core.files.report import SKETCH_VERSION, sketch_key
from core.leases import Replaced
from core.logs import bound
from core.storage import Entry
from worker.checking import Checked, Interrupted, check
from worker.context import Context
from worker.faults import DISK_FULL, is_disk_full
from worker.fence import fenced
from worker.heartbeat import heartbeat
from worker.patience import TRANSIENT, refusal
from worker.slots import Slot

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assignment:
    """What a claim read of its file. `folder`, on the worker's disk, is this validation's own."""

    token: int
    file_id: str
    object_key: str
    entry: Entry
    folder: Path


def run_next(context: Context, slot: Slot) -> bool:
    """Claim the file that has waited longest, validate it, write the verdict; False when none waits, or none fits."""
    if not context.room.is_there():
        return False
    assignment = _claim(context)
    if assignment is None:
        return False
    slot.token = assignment.token
    with bound(file=assignment.file_id, attempt=assignment.token):
        return _run(context, assignment)


def _run(context: Context, assignment: Assignment) -> bool:
    """False where this worker should not claim the next file at once."""
    stop = threading.Event()
    try:
        with heartbeat(
            lambda: _beat(context, assignment.token), every=context.settings.heartbeat_seconds, on_replaced=stop.set
        ):
            _validate(context, assignment, stop)
    except Replaced as error:
        log.info("%s", error)
    except Exception as error:
        if isinstance(error, (*TRANSIENT, Interrupted)) and not refusal(error):
            # The lease runs out, the reconciler gives the file back: a pause that suits a service that is away.
            log.warning("the validation was interrupted: %s", error)
        else:
            log.exception("the validation failed")
            full = is_disk_full(error)
            reason = DISK_FULL if full else refusal(error) or type(error).__name__
            _release(context, assignment.token, reason=reason)
            return not full  # it may not be full any more at the next poll
    finally:
        shutil.rmtree(assignment.folder, ignore_errors=True)
    return True


def _claim(context: Context) -> Assignment | None:
    with session_scope(context.engine) as session:
        file = claims.claim(session, lease=context.lease)
        if file is None:
            return None
        session.flush()
        session.refresh(file)
        token = file.token or 0
        entry = Entry(name=file.filename, bytes=file.bytes, sha256=file.sha256)
        return Assignment(token, file.id, file.object_key, entry, _folder(context) / str(token))


def _validate(context: Context, assignment: Assignment, stop: threading.Event) -> None:
    assignment.folder.mkdir(parents=True)
    path = assignment.folder / "rows"
    context.storage.get_file(assignment.object_key, path, entry=assignment.entry)
    checked = check(path, name=assignment.entry.name, stop=stop)
    report = checked.figures
    if checked.sketch is not None:
        stored = _store_sketch(context, assignment, checked.sketch)
        report = {**report, "sketch": {"version": SKETCH_VERSION, "bytes": stored.bytes, "sha256": stored.sha256}}
    with fenced(context.engine) as session:
        claims.finish(
            session,
            token=assignment.token,
            lease=context.lease,
            rows=report["rows"],
            fault=_fault(checked),
            report=report,
        )


def _release(context: Context, token: int, *, reason: str) -> None:
    try:
        with fenced(context.engine) as session:
            claims.release(session, token=token, lease=context.lease, limits=context.limits, reason=reason)
    except (Replaced, *TRANSIENT) as problem:
        log.warning("the file was not given back: %s", problem)


def _store_sketch(context: Context, assignment: Assignment, sketch: bytes) -> Entry:
    path = assignment.folder / "sketch"
    path.write_bytes(sketch)
    return context.storage.put_file(sketch_key(assignment.object_key), path)


def _fault(checked: Checked) -> str | None:
    """The faults in one text, where there are any."""
    faults: list[dict[str, Any]] = checked.figures["faults"]
    if not faults:
        return None
    shown = "; ".join(
        f"line {fault['line']}: {fault['field']}{': ' if fault['field'] else ''}{fault['message']}" for fault in faults
    )
    more = checked.figures["fault_count"] - len(faults)
    return f"{shown}; and {more} more" if more else shown


def _beat(context: Context, token: int) -> None:
    with fenced(context.engine) as session:
        claims.heartbeat(session, token=token, lease=context.lease)


def _folder(context: Context) -> Path:
    return context.runs.parent / "validations"


def clean_up(context: Context) -> None:
    """Remove what killed workers have left of files; the processes that read them died with them."""
    found = list(_folder(context).glob("*"))  # listed first: a validation that begins meanwhile is in neither list
    with session_scope(context.engine) as session:
        live = claims.live_validations(session)
    for folder in found:
        if not folder.name.isdigit() or int(folder.name) not in live:
            shutil.rmtree(folder, ignore_errors=True)
