from typing import Literal

from pydantic import BaseModel

from api.schemas.file import FileObject
from api.schemas.page import unix
from core.models import File, Upload, UploadPart


class UploadObject(BaseModel):
    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    # What the upload became, once it is completed; null again when that file has been deleted.
    file: FileObject | None = None
    # Ours: as announced.
    mime_type: str

    @classmethod
    def of(cls, upload: Upload, *, file: File | None = None) -> "UploadObject":
        return cls(
            id=upload.id,
            bytes=upload.bytes,
            created_at=unix(upload.created_at),
            expires_at=unix(upload.expires_at),
            filename=upload.filename,
            purpose=upload.purpose,
            status=upload.status,  # pyright: ignore[reportArgumentType]
            file=FileObject.of(file) if file else None,
            mime_type=upload.mime_type,
        )


class UploadPartObject(BaseModel):
    id: str
    object: Literal["upload.part"] = "upload.part"
    created_at: int
    upload_id: str
    # Ours: what arrived.
    bytes: int
    sha256: str

    @classmethod
    def of(cls, part: UploadPart) -> "UploadPartObject":
        return cls(
            id=part.id,
            created_at=unix(part.created_at),
            upload_id=part.upload_id,
            bytes=part.bytes,
            sha256=part.sha256,
        )
