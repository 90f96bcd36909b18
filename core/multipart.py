"""Streaming bytes into one object of the store, a part at a time. Knows a client of S3, not how it was made."""

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 5 * 1024 * 1024  # the least that the protocol takes, as each upload under way holds one


class MultipartWriter:
    """Streams bytes of unknown length into one object, which becomes visible whole, at the end, or never.

    After the `with` block `bytes` and `sha256` describe what was written; an exception inside it aborts the upload.
    Memory: one part, the same from first to last: many that come and go would not all go back to the system.
    """

    def __init__(self, client: "S3Client", *, bucket: str, key: str) -> None:
        self._client = client
        self._at: dict[str, str] = {"Bucket": bucket, "Key": key}
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._buffer = bytearray()  # of one part, from the first byte on; the next part is filled into it again
        self._filled = 0
        self._digest = hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes; sends a part to the store whenever one is full."""
        self._digest.update(chunk)
        self.bytes += len(chunk)
        self._buffer = self._buffer or bytearray(PART)
        rest = memoryview(chunk)
        while rest:
            piece = rest[: PART - self._filled]
            self._buffer[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            rest = rest[len(piece) :]
            if self._filled == PART:
                self._send(self._buffer)
                self._filled = 0

    def _send(self, part: bytes | bytearray) -> None:
        if self._upload_id is None:
            self._upload_id = self._client.create_multipart_upload(**self._at)["UploadId"]  # pyright: ignore[reportArgumentType]
        number = len(self._parts) + 1
        answer = self._client.upload_part(**self._at, UploadId=self._upload_id, PartNumber=number, Body=part)  # pyright: ignore[reportArgumentType]
        self._parts.append({"ETag": answer["ETag"], "PartNumber": number})

    def __enter__(self) -> "MultipartWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.finish()
        else:
            self.abort()

    def finish(self) -> None:
        """Make the object visible."""
        self._complete()
        self._free()

    def _complete(self) -> None:
        if self._upload_id is None:
            self._client.put_object(**self._at, Body=self._rest())  # pyright: ignore[reportArgumentType]
        else:
            if self._filled:
                self._send(self._rest())
            parts: Any = {"Parts": self._parts}
            self._client.complete_multipart_upload(**self._at, UploadId=self._upload_id, MultipartUpload=parts)  # pyright: ignore[reportArgumentType]

    def _rest(self) -> bytes:
        return bytes(memoryview(self._buffer)[: self._filled])

    def _free(self) -> None:
        # Not left to the garbage collector: who holds a writer may be part of a cycle, and wait long for it.
        self._buffer, self._filled = bytearray(), 0

    def abort(self) -> None:
        self._free()
        if self._upload_id is not None:
            self._client.abort_multipart_upload(**self._at, UploadId=self._upload_id)  # pyright: ignore[reportArgumentType]
            self._upload_id = None
