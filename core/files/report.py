"""What validation found out about a file, and what two files have in common."""

from dataclasses import dataclass
from typing import Any

from core.models import File
from core.storage import Entry, Storage

SKETCH_VERSION = 3  # rises when the same rows get other hashes or signatures


@dataclass(frozen=True)
class StoredSketch:
    """Where the sketch of a file's rows lies, and its digest."""

    key: str
    entry: Entry


def suffix(format: str | None) -> str:
    """What the name of a copy of the file has to end with: that a text is plain stands nowhere in it."""
    return ".txt" if format == "txt" else ""


def sketch_key(object_key: str) -> str:
    """Beside the file's bytes."""
    return f"{object_key}.sketch"


def stored_sketch(file: File) -> StoredSketch | None:
    """None where the file was not, or could not be, validated, or was so by a version that hashed rows otherwise."""
    written = (file.report or {}).get("sketch")
    if written is None or written.get("version") != SKETCH_VERSION:
        return None
    return StoredSketch(sketch_key(file.object_key), Entry("sketch", written["bytes"], written["sha256"]))


def overlap(storage: Storage, *, training: StoredSketch, validation: StoredSketch) -> dict[str, Any]:
    """What the validation file shares with the training file. Reads the store: call it outside of transactions.

    Raises:
        IntegrityError: a sketch is not what its digest says.
    """
    from core.rows import sketch  # numpy is large: only those who compare files pay for it

    first, second = (
        sketch.Sketch.from_bytes(storage.get_bytes(stored.key, entry=stored.entry)) for stored in (training, validation)
    )
    return sketch.overlap(first, second)
