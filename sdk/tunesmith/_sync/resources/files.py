# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/files.py: change it there.
"""Data files."""

import os
from pathlib import Path

from tunesmith import partial
from tunesmith._sync import polling, transfers, waiting
from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith._sync.resources.uploads import Uploads
from tunesmith._sync.transport import Transport
from tunesmith.answers import given, parse, segment
from tunesmith.errors import FileRejectedError, NotFoundError
from tunesmith.types import Deleted, File, FileReport, PreviewRow

UPLOADED = "uploaded"
LARGEST_AT_ONCE = 64 * 1024 * 1024  # bytes; larger files are sent in parts


class Files(Resource):
    """`client.files`: data files.

    ```python
    train = client.files.upload("train.jsonl")
    train = client.files.wait_for_processing(train.id)
    print(train.rows, train.sha256)
    ```
    """

    def __init__(self, transport: Transport, uploads: Uploads) -> None:
        super().__init__(transport)
        self._uploads = uploads
        self._sent: dict[tuple[str, str, str, int | None], str] = {}  # content and how it was sent → file id

    def create(
        self, *, file: str | os.PathLike[str], purpose: str = "fine-tune", expires_after: int | None = None
    ) -> File:
        """Upload the file at the path. Its rows are validated afterwards: see `wait_for_processing`.

        Args:
            expires_after: seconds from now after which the file is deleted, 3600 to 2592000; None: it stays.

        Raises:
            OSError: it cannot be read.
        """
        path, fields = Path(file), {"purpose": purpose}
        if expires_after is not None:
            fields |= {"expires_after[anchor]": "created_at", "expires_after[seconds]": str(expires_after)}
        with path.open("rb") as opened:
            answer = self._transport.request("POST", "/files", fields=fields, upload=("file", path.name, opened))
        return parse(File, answer)

    def upload(
        self, path: str | os.PathLike[str], *, purpose: str = "fine-tune", expires_after: int | None = None
    ) -> File:
        """Upload the file at the path, whatever its size; content that this client has sent before is not sent twice.

        Args:
            expires_after: seconds from now after which the file is deleted, 3600 to 2592000; None: it stays.

        Raises:
            OSError: it cannot be read.
        """
        file, _ = self._send(Path(path), purpose=purpose, expires_after=expires_after)
        return file

    def _send(self, path: Path, *, purpose: str = "fine-tune", expires_after: int | None = None) -> tuple[File, bool]:
        """(the file, whether this call has sent it)."""
        content = waiting.in_thread(lambda: partial.read(path))
        sent = (content.sha256, content.path.name, purpose, expires_after)
        known = self._sent.get(sent)
        if known is not None:
            try:
                return self.retrieve(known), False
            except NotFoundError:
                pass  # deleted since
        if content.size > LARGEST_AT_ONCE:
            file = self._uploads.upload_file(path, purpose=purpose, expires_after=expires_after)
        else:
            file = self.create(file=path, purpose=purpose, expires_after=expires_after)
        self._sent[sent] = file.id
        return file, True

    def retrieve(self, file_id: str) -> File:
        """The file's present state."""
        return parse(File, self._transport.request("GET", _path(file_id)))

    def list(
        self,
        *,
        purpose: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
        project_id: str | None = None,
    ) -> Page[File]:
        """Files, newest first unless `order` is "asc"; `limit` is a page's length, `after` the id before it.

        Args:
            project_id: for operators, whose keys see every project.
        """
        query = given(purpose=purpose, limit=limit, after=after, order=order, project_id=project_id)
        return self._pages(File, "/files", query)

    def delete(self, file_id: str) -> Deleted:
        """Delete the file; jobs that already use it keep its bytes until they end."""
        return parse(Deleted, self._transport.request("DELETE", _path(file_id)))

    def content(self, file_id: str) -> bytes:
        """The file's bytes, all of them in memory; `download` is for large files."""
        with self._transport.stream(_path(file_id, "/content")) as response:
            return response.read()

    def download(self, file_id: str, path: str | os.PathLike[str]) -> Path:
        """Write the file's bytes to the path, verified; returns the path.

        Raises:
            DigestMismatch: other bytes came than were uploaded; the path is as it was.
        """
        file, to = self.retrieve(file_id), Path(path)
        transfers.save(
            lambda headers: self._transport.stream(_path(file_id, "/content"), headers=headers),
            to,
            sha256=file.sha256,
            size=file.bytes,
        )
        return to

    def wait_for_processing(self, file_id: str, *, timeout: float | None = 300) -> File:
        """Wait until the file is validated, at most `timeout` seconds (None: for ever).

        Raises:
            FileRejectedError: its contents are not usable.
            WaitTimeout: it is not validated in time.
        """

        def look() -> File:
            return self.retrieve(file_id)

        file = polling.until(
            lambda file: file.status != UPLOADED, look, what=f"validation of {file_id}", timeout=timeout
        )
        if file.status == "error":
            raise FileRejectedError(file)
        return file

    def report(self, file_id: str, *, validation_file: str | None = None) -> FileReport:
        """What the validation found in the file, and which of its rows that validation file holds as well."""
        query = given(validation_file=validation_file)
        return parse(FileReport, self._transport.request("GET", _path(file_id, "/report"), query=query))

    def preview(
        self,
        file_id: str,
        *,
        model: str,
        offset: int | None = None,
        limit: int | None = None,
        max_length: int | None = None,
    ) -> Page[PreviewRow]:
        """Rows as that model's template renders them, token by token: what is trained, masked, truncated."""
        query = given(model=model, offset=offset, limit=limit, max_length=max_length)
        return self._pages(PreviewRow, _path(file_id, "/preview"), query)


def _path(file_id: str, rest: str = "") -> str:
    return f"/files/{segment(file_id)}{rest}"
