"""An upload's multipart body, streamed: the file's bytes go to the store as they arrive, fields stay small."""

from dataclasses import dataclass, field

from python_multipart.multipart import MultipartParser, parse_options_header

from core.errors import InvalidRequest, TooLarge
from core.storage import MultipartWriter

MOST_PARTS = 16
MOST_HEADER_BYTES = 8 * 1024
MOST_FIELD_BYTES = 4 * 1024
LONGEST_FILENAME = 255


@dataclass
class Upload:
    """What the form said. `filename` is None until the part named `file` has come."""

    filename: str | None = None
    fields: dict[str, str] = field(default_factory=dict)


class UploadParser:
    """Feeds the part named `file` to a writer and collects the other fields, within limits.

    Raises (from `feed`):
        InvalidRequest: the body is no multipart form, has two files, or a bad file name.
        TooLarge: file, field, headers or number of parts exceed their limits.
    """

    def __init__(self, content_type: str, *, writer: MultipartWriter, file_max_bytes: int) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary or len(boundary) > 256:
            raise InvalidRequest("send multipart/form-data with a part named 'file' and a field named 'purpose'")
        self.upload = Upload()
        self._writer = writer
        self._file_max_bytes = file_max_bytes
        self._parts = 0
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

    def finish(self) -> Upload:
        """The whole form.

        Raises:
            InvalidRequest: the body ended early, or has no part named `file`.
        """
        if not self._complete:
            raise InvalidRequest("the multipart form ends before its closing boundary")
        if self.upload.filename is None:
            raise InvalidRequest("file: required, as a part with a filename", param="file")
        return self.upload

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
        self._is_file = self._name == "file"
        if not self._is_file:
            return
        if self.upload.filename is not None:
            raise InvalidRequest("file: given twice", param="file")
        # The raw header, too: the library's parser strips what looks like a Windows path.
        if b"\\" in disposition.replace(b'\\"', b""):
            raise _bad_filename(disposition.decode("utf-8", "replace"))
        self.upload.filename = check_filename(options.get(b"filename", b"").decode("utf-8", "replace"))

    def _part_bytes(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._writer.write(data[start:end])
            if self._writer.bytes > self._file_max_bytes:
                raise TooLarge(f"file: larger than {self._file_max_bytes} bytes", param="file")
        else:
            self._value += data[start:end]
            if len(self._value) > MOST_FIELD_BYTES:
                raise TooLarge(f"{self._name}: longer than {MOST_FIELD_BYTES} bytes", param=self._name)

    def _end_part(self) -> None:
        if not self._is_file:
            self.upload.fields[self._name] = self._value.decode("utf-8", "replace")

    def _end(self) -> None:
        self._complete = True


def check_filename(name: str) -> str:
    """A plain file name, or InvalidRequest: no folders, no control characters, at most 255 characters."""
    if (
        not name
        or name in (".", "..")
        or len(name) > LONGEST_FILENAME
        or any(c in "/\\" or not c.isprintable() for c in name)
    ):
        raise _bad_filename(name)
    return name


def _bad_filename(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"file: {name[:100]!r} is not a file name; give a plain name of at most {LONGEST_FILENAME} printable "
        "characters, without '/', '\\' or '..'",
        param="file",
    )
