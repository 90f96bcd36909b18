from typing import Literal

from pydantic import BaseModel

from api.schemas.page import unix, unix_or_none
from core.models import File


class FileObject(BaseModel):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str
    status_details: str | None = None
    expires_at: int | None = None
    # Ours: how many rows of data it holds and of which kind, the digest of its bytes, and whose it is.
    rows: int | None = None
    kind: str | None = None
    sha256: str
    project_id: str

    @classmethod
    def of(cls, file: File) -> "FileObject":
        return cls(
            id=file.id,
            bytes=file.bytes,
            created_at=unix(file.created_at),
            filename=file.filename,
            purpose=file.purpose,
            status=file.status,
            status_details=file.status_details,
            expires_at=unix_or_none(file.expires_at),
            rows=file.rows,
            kind=(file.report or {}).get("kind"),
            sha256=file.sha256,
            project_id=file.project_id,
        )


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True
