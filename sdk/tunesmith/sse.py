"""Server-sent events, out of the bytes of an answer's body."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Frame:
    """One event; `id` is None where the server gave it none."""

    event: str
    data: str
    id: str | None = None


@dataclass
class Decoder:
    """Takes bytes as they come; answers the frames that they complete."""

    _rest: bytes = b""
    _event: str = "message"
    _data: list[str] = field(default_factory=list[str])
    _id: str | None = None

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The frames that end within the chunk. Only newlines end lines: JSON may hold what else looks so."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            frame = self._line(line.removesuffix(b"\r").decode("utf-8", "replace"))
            if frame is not None:
                yield frame

    def _line(self, line: str) -> Frame | None:
        if line:
            self._field(line)
            return None
        frame = Frame(self._event, "\n".join(self._data), self._id) if self._data else None
        self._event, self._data, self._id = "message", [], None
        return frame

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
