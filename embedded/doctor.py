"""What `tunesmith-server doctor` prints."""

from collections.abc import Iterable, Iterator

import typer
from sqlalchemy import Engine

from core.db import make_engine
from core.objects.doctor import Report, examine, repair
from core.settings import Settings
from core.storage import Storage

MOST_SHOWN = 100  # lines of a kind


def consult(settings: Settings, *, fix: bool) -> bool:
    """Print what is amiss between database and store, and mend it where asked to; answers whether all is well then.

    Raises:
        WrongStore: nothing of this database is in the store; nothing was mended.
    """
    engine = make_engine(settings)
    try:
        return _consult(engine, Storage(settings), youngest=settings.orphan_seconds, fix=fix)
    finally:
        engine.dispose()


def _consult(engine: Engine, storage: Storage, *, youngest: float, fix: bool) -> bool:
    report = examine(engine, storage, youngest=youngest)
    _show("orphaned", (f"{stored.key} ({stored.bytes} bytes)" for stored in report.orphaned))
    _show("unfinished", (upload.key for upload in report.unfinished))
    _show("missing", map(str, report.missing))
    _show("damaged", map(str, report.damaged))
    for line in _summary(report, youngest=youngest):
        typer.echo(line)
    if report.healthy or not fix:
        return report.healthy
    left = repair(engine, storage, report, youngest=youngest)
    typer.echo("removed what was orphaned or unfinished; marked the rows whose objects are gone")
    _show("left", map(str, left))
    return not left


def _summary(report: Report, *, youngest: float) -> Iterator[str]:
    yield f"{report.objects} objects that rows point to are in the store"
    if report.fresh:
        yield f"{report.fresh} without a row are younger than {youngest:.0f} s, or an attempt's at work: left alone"
    if report.foreign:
        yield f"{report.foreign} are none of this database's: left alone"
    found = {
        "orphaned": report.orphaned,
        "unfinished": report.unfinished,
        "missing": report.missing,
        "damaged": report.damaged,
    }
    yield ", ".join(f"{len(items)} {name}" for name, items in found.items())


def _show(name: str, lines: Iterable[str]) -> None:
    for at, line in enumerate(lines):
        if at == MOST_SHOWN:
            typer.echo(f"{name:<11} … and more")
            return
        typer.echo(f"{name:<11} {line}")
