"""Data files."""

import os
from pathlib import Path

from tunesmith import download, polling
from tunesmith.errors import FileRejectedError
from tunesmith.page import Page
from tunesmith.resources.base import Resource, get_page, parse, segment
from tunesmith.types import Deleted, File

UPLOADED = "uploaded"


class Files(Resource):
    def create(self, *, file: str | os.PathLike[str], purpose: str = "fine-tune") -> File:
        """Upload the file at the path. Its rows are validated afterwards: see `wait_for_processing`.

        Raises:
            OSError: it cannot be read.
        """
        path = Path(file)
        with path.open("rb") as opened:
            answer = self._transport.request("POST", "/files", fields={"purpose": purpose}, upload=(path.name, opened))
        return parse(File, answer)

    def retrieve(self, file_id: str) -> File:
        return parse(File, self._transport.request("GET", f"/files/{segment(file_id)}"))

    def list(
        self,
        *,
        purpose: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
    ) -> Page[File]:
        """Files, newest first unless `order` is "asc"; `limit` is a page's length, `after` the id before it."""
        query = {"purpose": purpose, "limit": limit, "after": after, "order": order}
        return get_page(self._transport, File, "/files", query)

    def delete(self, file_id: str) -> Deleted:
        """Delete the file; jobs that already use it keep its bytes until they end."""
        return parse(Deleted, self._transport.request("DELETE", f"/files/{segment(file_id)}"))

    def content(self, file_id: str) -> bytes:
        """The file's bytes, all of them in memory; `download` is for large files."""
        with self._transport.stream(f"/files/{segment(file_id)}/content") as response:
            return response.read()

    def download(self, file_id: str, path: str | os.PathLike[str]) -> Path:
        """Write the file's bytes to the path, verified; returns the path.

        Raises:
            DigestMismatch: other bytes came than were uploaded; the path is as it was.
        """
        file, to = self.retrieve(file_id), Path(path)
        with self._transport.stream(f"/files/{segment(file_id)}/content") as response:
            download.save(response, to, sha256=file.sha256, size=file.bytes)
        return to

    def wait_for_processing(self, file_id: str, *, timeout: float | None = 300) -> File:
        """Wait until the file is validated, at most `timeout` seconds (None: for ever).

        Raises:
            FileRejectedError: its contents are not usable.
            WaitTimeout: it is not validated in time.
        """
        for file in polling.states(lambda: self.retrieve(file_id), what=f"validation of {file_id}", timeout=timeout):
            if file.status == "error":
                raise FileRejectedError(file)
            if file.status != UPLOADED:
                return file
        raise AssertionError("unreachable")
