"""Server-sent events, out of the lines of an answer's body."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Frame:
    """One event; `id` is None where the server gave it none."""

    event: str
    data: str
    id: str | None = None


@dataclass
class Decoder:
    """Takes lines, without their ends; answers a frame with the blank line that ends it."""

    _event: str = "message"
    _data: list[str] = field(default_factory=list[str])
    _id: str | None = None

    def line(self, line: str) -> Frame | None:
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
