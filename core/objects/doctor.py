"""Comparing database and object store, both ways, and repairing what can be repaired."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Engine

from core.db import session_scope
from core.errors import TunesmithError
from core.objects.repository import ROOT, Pointer, mark_lost, pointers, prefixes
from core.objects.verdicts import abandoned, judge
from core.storage import Storage, Stored, Unfinished

AT_ONCE = 1000  # objects of one judgement


class WrongStore(TunesmithError):
    """Nothing that the database knows of is in the store: one of the two is another deployment's."""

    code = "wrong_store"


@dataclass
class Report:
    """objects: those that rows point to. fresh: without a row, too young to tell. foreign: nothing of this database.

    missing, damaged: what rows point to and the store does not have, or has with another size.
    """

    objects: int = 0
    fresh: int = 0
    foreign: int = 0
    orphaned: list[Stored] = field(default_factory=list)
    unfinished: list[Unfinished] = field(default_factory=list)
    missing: list[Pointer] = field(default_factory=list)
    damaged: list[Pointer] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        return not (self.orphaned or self.unfinished or self.missing or self.damaged)


def examine(engine: Engine, storage: Storage, *, youngest: float) -> Report:
    """Look at every object and at every row that points to one; changes nothing. Memory: the key of every object.

    Args:
        youngest: seconds; what is younger and has no row is not judged: it may be an upload under way.
    """
    report, sizes = Report(), dict[str, int]()
    for page in _pages(storage):
        with session_scope(engine) as session:
            verdicts = judge(session, page, youngest=youngest)
        for stored, verdict in zip(page, verdicts, strict=True):
            if verdict == "known":
                sizes[stored.key] = stored.bytes
            elif verdict == "orphaned":
                report.orphaned.append(stored)
            elif verdict == "fresh":
                report.fresh += 1
            else:
                report.foreign += 1
    report.objects = len(sizes)
    with session_scope(engine) as session:
        ours = prefixes(session)
        doubtful = [pointer for pointer in pointers(session) if sizes.get(pointer.key) != pointer.bytes]
    begun = [upload for prefix in ours for upload in storage.unfinished(prefix)]
    with session_scope(engine) as session:
        report.unfinished = abandoned(session, begun, youngest=youngest)
    for pointer in doubtful:  # asked again: it may have come after its page was listed
        size = storage.size(pointer.key)
        if size is None:
            report.missing.append(pointer)
        elif size != pointer.bytes:
            report.damaged.append(pointer)
    return report


def repair(engine: Engine, storage: Storage, report: Report, *, youngest: float) -> list[Pointer]:
    """Remove what is orphaned, and mark the rows whose objects are gone, so that nobody relies on them.

    Files become unusable, parts of uploads have to be sent again, checkpoints are forgotten and models deleted: a job
    goes on from an earlier one.

    Returns:
        What stays amiss: a row that says what a job once yielded has nothing that could be marked, and a model that
        others need is missed although it is marked.

    Raises:
        WrongStore: the store has none of the objects that rows point to; nothing is changed.
    """
    lost = [*report.missing, *report.damaged]
    if lost and not report.objects:
        raise WrongStore(f"the store has none of the {len(lost)} objects that rows point to: is it the right one?")
    for upload in report.unfinished:
        storage.abort(upload)
    for start in range(0, len(report.orphaned), AT_ONCE):
        part = report.orphaned[start : start + AT_ONCE]
        with session_scope(engine) as session:
            verdicts = judge(session, part, youngest=youngest)  # again: a while has passed
        for stored, verdict in zip(part, verdicts, strict=True):
            if verdict == "orphaned":
                storage.delete(stored.key)
    left: list[Pointer] = []
    for pointer in lost:
        with session_scope(engine) as session:
            if not mark_lost(session, pointer):
                left.append(pointer)
    return left


def _pages(storage: Storage) -> Iterator[list[Stored]]:
    after = ""
    while page := storage.page(ROOT, after=after):
        yield page
        after = page[-1].key
