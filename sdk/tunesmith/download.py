"""Bytes to disk: verified, then in place in one step, or not there at all."""

import hashlib
import os
import uuid
from pathlib import Path, PurePosixPath

import httpx

from tunesmith.errors import DigestMismatch, UnsafeName

CHUNK = 1024 * 1024  # bytes


def target(folder: Path, name: str) -> Path:
    """Where the file of that name belongs; `name` may have folders, divided by '/'.

    Raises:
        UnsafeName: it would lie outside of the folder, or its name means something else on another system.
    """
    parts = name.split("/")
    if "\0" in name or "\\" in name or PurePosixPath(name).is_absolute() or {"", ".", ".."} & set(parts):
        raise UnsafeName(f"not a name to download to: {name!r}")
    path = folder.joinpath(*parts)
    if path.is_absolute() != folder.is_absolute() or not path.parent.resolve().is_relative_to(folder.resolve()):
        raise UnsafeName(f"{name!r} leads out of {folder}")
    return path


def save(response: httpx.Response, path: Path, *, sha256: str | None, size: int) -> None:
    """Write the body to the path, by way of a temporary file beside it.

    Args:
        sha256: the digest to expect; None: not known, only the size counts.
        size: bytes to expect.

    Raises:
        DigestMismatch: other bytes came; whatever was at the path before is still there.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    digest, written = hashlib.sha256(), 0
    try:
        with temporary.open("xb") as file:
            for chunk in response.iter_bytes(CHUNK):
                written += len(chunk)
                if written > size:
                    break
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if written != size:
            raise DigestMismatch(f"{path.name}: {'more' if written > size else 'fewer'} than the promised {size} bytes")
        if sha256 is not None and digest.hexdigest() != sha256.lower():
            raise DigestMismatch(f"{path.name}: SHA-256 is {digest.hexdigest()}, promised was {sha256}")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
