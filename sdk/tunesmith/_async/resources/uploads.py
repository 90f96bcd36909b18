"""Large files, in parts."""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tunesmith import partial
from tunesmith._async import waiting
from tunesmith._async.resources.base import AsyncResource
from tunesmith._async.transport import AsyncTransport
from tunesmith.answers import given, parse, segment
from tunesmith.errors import BadRequestError, NotFoundError, UnexpectedAnswer
from tunesmith.types import File, Upload, UploadPart

MIME_TYPE = "application/octet-stream"
AT_ONCE = 4  # parts


class AsyncParts(AsyncResource):
    """`client.uploads.parts`: the pieces of an upload."""

    async def create(self, upload_id: str, *, data: bytes) -> UploadPart:
        """Send one part, of at most 64 MB. Parts may come in any order: `complete` names them in the right one."""
        path = f"/uploads/{segment(upload_id)}/parts"
        answer = await self._transport.request("POST", path, upload=("data", "part", io.BytesIO(data)))
        return parse(UploadPart, answer)


class AsyncUploads(AsyncResource):
    """`client.uploads`: large files, in parts. `upload_file` does all of it."""

    def __init__(self, transport: AsyncTransport) -> None:
        super().__init__(transport)
        self.parts = AsyncParts(transport)

    async def create(
        self,
        *,
        filename: str,
        bytes: int,
        purpose: str = "fine-tune",
        mime_type: str = MIME_TYPE,
        expires_after: int | None = None,
    ) -> Upload:
        """Announce a file of so many bytes; its parts follow.

        Args:
            expires_after: seconds after which the file that it becomes is deleted, 3600 to 2592000; None: it stays.
        """
        body: dict[str, object] = {"filename": filename, "bytes": bytes, "purpose": purpose, "mime_type": mime_type}
        if expires_after is not None:
            body["expires_after"] = {"anchor": "created_at", "seconds": expires_after}
        return parse(Upload, await self._transport.request("POST", "/uploads", body=body))

    async def retrieve(self, upload_id: str) -> Upload:
        """The upload's present state."""
        return parse(Upload, await self._transport.request("GET", f"/uploads/{segment(upload_id)}"))

    async def complete(self, upload_id: str, *, part_ids: Sequence[str], md5: str | None = None) -> Upload:
        """Put the parts together; `file` of the answer is the file. `md5`, in hexadecimal, is verified if given."""
        path = f"/uploads/{segment(upload_id)}/complete"
        body = given(part_ids=[*part_ids], md5=md5)
        return parse(Upload, await self._transport.request("POST", path, body=body))

    async def cancel(self, upload_id: str) -> Upload:
        """Give the upload up; its parts are thrown away."""
        return parse(Upload, await self._transport.request("POST", f"/uploads/{segment(upload_id)}/cancel"))

    async def upload_file(
        self,
        path: str | os.PathLike[str],
        *,
        purpose: str = "fine-tune",
        expires_after: int | None = None,
        part_size: int = partial.PART_SIZE,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> File:
        """Send the file at the path in parts, four at once, and answer the file that they make.

        What has arrived is noted in `$XDG_CACHE_HOME/tunesmith/uploads` (`~/.cache` where that is not set), under
        the digest of the content: after an interruption, call it again within the upload's hour and only the missing
        parts are sent.

        Args:
            expires_after: seconds after which the file is deleted, 3600 to 2592000; None: it stays.
            part_size: bytes of a part, at most 64 MB; so much memory is used four times.
            on_progress: called with (bytes that have arrived, bytes in all) after each part.

        Raises:
            OSError: the file cannot be read.
            ValueError: `part_size` is not positive.
        """
        if part_size <= 0:
            raise ValueError(f"part_size is not positive: {part_size}")
        content = await waiting.in_thread(lambda: partial.read(Path(path)))
        record = partial.record_path(self._transport.base_url, content, purpose=purpose, expires_after=expires_after)
        left = partial.resume(record)
        if left is not None:
            try:
                return await self._send(content, left, on_progress)
            except (BadRequestError, NotFoundError):
                left.forget()  # cancelled or expired meanwhile, or another project's: begin anew
        upload = await self.create(
            filename=content.path.name, bytes=content.size, purpose=purpose, expires_after=expires_after
        )
        return await self._send(content, partial.begin(record, upload, part_size), on_progress)

    async def _send(
        self, content: partial.Content, under_way: partial.Partial, on_progress: Callable[[int, int], None] | None
    ) -> File:
        async def send(number: int) -> None:
            data = await waiting.in_thread(lambda: content.part(number, under_way.part_size))
            under_way.add(number, (await self.parts.create(under_way.upload_id, data=data)).id)
            if on_progress is not None:
                on_progress(min(content.size, len(under_way.parts) * under_way.part_size), content.size)

        await waiting.each(under_way.missing(content.size), send, at_once=AT_ONCE)
        part_ids = [part for _, part in sorted(under_way.parts.items())]
        upload = await self.complete(under_way.upload_id, part_ids=part_ids, md5=content.md5)
        under_way.forget()
        if upload.file is None:
            raise UnexpectedAnswer("the completed upload names no file")
        return upload.file
