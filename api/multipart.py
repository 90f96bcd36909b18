"""A multipart form, streamed: the bytes of its one file go to the store as they arrive, fields stay small."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from python_multipart.multipart import MultipartParser, parse_options_header

from core.errors import InvalidRequest, TooLarge
from core.multipart import MultipartWriter
from core.specs.file import check_filename
from core.storage import CHUNK, Storage

MOST_PARTS = 16
MOST_HEADER_BYTES = 8 * 1024
MOST_FIELD_BYTES = 4 * 1024
# All that is not the file: parts' headers and fields, boundaries, and what stands before the first and after the last.
MOST_FORM_BYTES = 256 * 1024


@dataclass
class Form:
    """What the form said. `filename` is None where its file came without a name, or has not come."""

    filename: str | None = None
    fields: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def writing(storage: Storage, key: str) -> AsyncIterator[MultipartWriter]:
    """A writer that ends in a thread: the store's answers must not hold up the other requests."""
    writer = storage.writer(key)
    try:
        yield writer
    except BaseException:
        await run_in_threadpool(writer.abort)
        raise
    await run_in_threadpool(writer.finish)


async def receive(
    request: Request, writer: MultipartWriter, *, name: str, max_bytes: int, needs_filename: bool
) -> Form:
    """Stream the request's form, whose part `name` goes to the writer.

    Raises:
        InvalidRequest: the body is no multipart form, or has not exactly one such part, or a bad file name.
        TooLarge: file, field, headers or number of parts exceed their limits.
    """
    content_type = request.headers.get("content-type", "")
    parser = FormParser(content_type, writer=writer, name=name, max_bytes=max_bytes, needs_filename=needs_filename)
    async for chunk in _large_chunks(request.stream()):
        await run_in_threadpool(parser.feed, chunk)
    return parser.finish()


async def _large_chunks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A server hands out 64 KiB at a time; a thread is worth waking for a megabyte."""
    gathered = bytearray()
    async for chunk in stream:
        gathered += chunk
        if len(gathered) >= CHUNK:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


class FormParser:
    """Feeds the part of one name to a writer and collects the other fields, within limits."""

    def __init__(
        self, content_type: str, *, writer: MultipartWriter, name: str, max_bytes: int, needs_filename: bool
    ) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary or len(boundary) > 256:
            raise InvalidRequest(f"send multipart/form-data with a part named {name!r}")
        self._form = Form()
        self._writer = writer
        self._file_name = name
        self._max_bytes = max_bytes
        self._needs_filename = needs_filename
        self._files = 0
        self._parts = 0
        self._fed = 0
        self._complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._header_name_bytes,
                "on_header_value": self._header_value_bytes,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._part_bytes,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )
        self._reset_part()

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except ValueError as error:  # the parser's own error is one
            raise InvalidRequest(f"the body is not a valid multipart form: {error}") from None
        self._fed += len(chunk)
        if self._fed - self._writer.bytes > MOST_FORM_BYTES:
            raise TooLarge(f"the form has more than {MOST_FORM_BYTES} bytes besides its file")

    def finish(self) -> Form:
        """The whole form; InvalidRequest where the body ended early, or the file did not come."""
        if not self._complete:
            raise InvalidRequest("the multipart form ends before its closing boundary")
        if not self._files:
            how = " with a filename" if self._needs_filename else ""
            raise InvalidRequest(f"{self._file_name}: required, as a part{how}", param=self._file_name)
        return self._form

    def _reset_part(self) -> None:
        self._header_name, self._header_value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._name, self._value = "", bytearray()
        self._is_file = False

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise TooLarge(f"the form has more than {MOST_PARTS} parts")
        self._reset_part()

    def _header_name_bytes(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _header_value_bytes(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MOST_HEADER_BYTES:
            raise TooLarge(f"a part's headers exceed {MOST_HEADER_BYTES} bytes")

    def _end_header(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name, self._header_value = bytearray(), bytearray()

    def _end_headers(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = self._name == self._file_name
        if not self._is_file:
            return
        self._files += 1
        if self._files > 1:
            raise InvalidRequest(f"{self._name}: given twice", param=self._name)
        if not self._needs_filename:
            return
        # The raw header, too: the library's parser strips what looks like a Windows path.
        name = disposition if b"\\" in disposition.replace(b'\\"', b"") else options.get(b"filename", b"")
        try:
            self._form.filename = check_filename(name.decode("utf-8", "replace"))
        except ValueError as error:
            raise InvalidRequest(f"{self._name}: {error}", param=self._name) from None

    def _part_bytes(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._writer.write(memoryview(data)[start:end])
            if self._writer.bytes > self._max_bytes:
                raise TooLarge(f"{self._name}: larger than {self._max_bytes} bytes", param=self._name)
        else:
            self._value += data[start:end]
            if len(self._value) > MOST_FIELD_BYTES:
                raise TooLarge(f"{self._name}: longer than {MOST_FIELD_BYTES} bytes", param=self._name)

    def _end_part(self) -> None:
        if not self._is_file:
            self._form.fields[self._name] = self._value.decode("utf-8", "replace")

    def _end(self) -> None:
        self._complete = True
