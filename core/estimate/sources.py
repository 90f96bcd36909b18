"""The bytes of files: where they are, and on this process's disk for as long as they are read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidState
from core.files.report import StoredSketch, stored_sketch, suffix
from core.models import File
from core.scratch import scratch
from core.storage import Entry, Storage


@dataclass(frozen=True)
class Source:
    """Where a file's bytes are. format: as validation found it."""

    id: str
    format: str | None
    key: str
    entry: Entry
    report: dict[str, Any] | None
    sketch: StoredSketch | None


def source_of(file: File, *, param: str) -> Source:
    """Raises InvalidState where the file is not processed yet, or can't be used."""
    if file.status == "uploaded":
        raise InvalidState(f"{param}: file {file.id} has not been validated yet; try again in a moment", param=param)
    if file.status != "processed":
        raise InvalidState(f"{param}: file {file.id} can't be used: {file.status_details}", param=param)
    entry = Entry(name=file.id, bytes=file.bytes, sha256=file.sha256)
    format = (file.report or {}).get("format")
    sketch = stored_sketch(file)
    return Source(id=file.id, format=format, key=file.object_key, entry=entry, report=file.report, sketch=sketch)


@contextmanager
def fetched(
    storage: Storage, *sources: Source | None, within: Path | None = None
) -> Iterator[tuple[Path, list[str | None]]]:
    """(folder, paths of the files in it, one for each source), for as long as the block lasts; within: as `scratch`."""
    with scratch("estimate", within=within) as folder:
        paths: list[str | None] = [None] * len(sources)
        for i, source in enumerate(sources):
            if source is not None:
                path = folder / f"rows-{i}{suffix(source.format)}"
                storage.get_file(source.key, path, entry=source.entry)
                paths[i] = str(path)
        yield folder, paths
