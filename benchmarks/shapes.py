"""Training files as people upload them, one shape a name, and what reading one costs when nothing is looked at.

    python -m benchmarks.shapes write NAME ROWS PATH    prints how many bytes the rows have, decoded
    python -m benchmarks.shapes read NAME PATH          prints CPU seconds

Texts are of words of natural lengths, with dates, figures, and here and there an address. Both run in processes of
their own: pyarrow would weigh on the memory of whoever starts a validation.
"""

import csv
import gzip
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

Row = dict[str, Any]
LETTERS = "etaoinshrdlucmfwypvbgk"
WORD_LENGTHS = (1, 2, 3, 3, 4, 5, 6, 8, 11)
CITIES = ("Oslo", "Porto", "Riga", "Turin", "Lyon", "Graz", "Bergen", "Cork")


class English:
    def __init__(self) -> None:
        self.rng = random.Random(0)
        self.words = ["".join(self.rng.choices(LETTERS, k=self.rng.choice(WORD_LENGTHS))) for _ in range(8000)]

    def text(self, length: int) -> str:
        """Of so many words."""
        rng = self.rng
        said = rng.choices(self.words, k=length)
        if rng.random() < 0.3:
            said[rng.randrange(length)] = f"{rng.randrange(1990, 2030)}-{rng.randrange(1, 13):02d}-01"
        if rng.random() < 0.2:
            said[rng.randrange(length)] = f"${rng.random() * 1000:.2f},"
        if rng.random() < 0.01:
            said[rng.randrange(length)] = f"{rng.choice(self.words)}@example.org"
        return " ".join(said)


class Chinese(English):
    def __init__(self) -> None:
        super().__init__()
        common = [chr(0x4E00 + 7 * i) for i in range(2500)]  # as many characters as most texts are written with
        self.words = ["".join(self.rng.choices(common, k=self.rng.choice((1, 2, 2, 2, 3, 4)))) for _ in range(8000)]

    def text(self, length: int) -> str:
        """Of so many words, in clauses of about six, without spaces."""
        words = super().text(length).split(" ")
        return "，".join("".join(words[i : i + 6]) for i in range(0, length, 6)) + "。"


def chat(texts: English, *, system: int, turns: int, asked: int, answered: int) -> Row:
    messages = [{"role": "system", "content": texts.text(system)}] if system else []
    for _ in range(turns):
        messages.append({"role": "user", "content": texts.text(asked)})
        messages.append({"role": "assistant", "content": texts.text(answered)})
    return {"messages": messages}


def long_chat(texts: English) -> Row:
    return chat(texts, system=25, turns=2, asked=35, answered=80)


def short_chat(texts: English) -> Row:
    return chat(texts, system=0, turns=1, asked=12, answered=30)


def pair(texts: English) -> Row:
    return {"prompt": texts.text(35), "completion": texts.text(80)}


def calling(texts: English) -> Row:
    """A question, a call, its result, an answer; the functions on offer are those of every row."""
    rng = texts.rng
    call = f"call_{rng.randrange(16**12):012x}"
    arguments = msgspec.json.encode({"city": rng.choice(CITIES), "days": rng.randrange(1, 8)}).decode()
    result = msgspec.json.encode({"degrees": rng.randrange(-20, 35), "wind": round(rng.random() * 20, 1)}).decode()
    calls = [{"id": call, "type": "function", "function": {"name": "forecast", "arguments": arguments}}]
    messages = [
        {"role": "system", "content": texts.text(25)},
        {"role": "user", "content": texts.text(20)},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call, "content": result},
        {"role": "assistant", "content": texts.text(45)},
    ]
    return {"messages": messages, "tools": TOOLS}


def tool(name: str, description: str, **properties: str) -> Row:
    schema = {
        "type": "object",
        "properties": {key: {"type": kind, "description": f"The {key}."} for key, kind in properties.items()},
        "required": list(properties),
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


TOOLS = [
    tool("forecast", "The weather of the next days.", city="string", days="integer"),
    tool("book_table", "Book a table for the evening.", city="string", guests="integer", at="string"),
]


def write_jsonl(path: Path, rows: Iterator[Row]) -> int:
    with path.open("wb") as file:
        return sum(file.write(msgspec.json.encode(row) + b"\n") for row in rows)


def write_gzip(path: Path, rows: Iterator[Row]) -> int:
    """gzip's own default level; counted is what it holds."""
    with gzip.open(path, "wb", compresslevel=6) as file:
        return sum(file.write(msgspec.json.encode(row) + b"\n") for row in rows)


def write_csv(path: Path, rows: Iterator[Row]) -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("prompt", "completion"))
        writer.writerows(row.values() for row in rows)
    return path.stat().st_size


def write_parquet(path: Path, rows: Iterator[Row]) -> int:
    """One file of pyarrow's defaults (snappy, dictionaries); counted are the bytes of its texts, roles included."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pylist(list(rows))
    pyarrow.parquet.write_table(table, path)
    return sum(
        len(text.encode()) for row in table.column("messages") for message in row.as_py() for text in message.values()
    )


def read_jsonl(path: Path) -> None:
    with path.open("rb") as file:
        for line in file:
            msgspec.json.decode(line)


def read_gzip(path: Path) -> None:
    with gzip.open(path, "rb") as file:
        for line in file:
            msgspec.json.decode(line)


def read_csv(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        for _ in csv.reader(file):
            pass


def read_parquet(path: Path) -> None:
    import pyarrow.parquet

    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(use_threads=False):
        batch.to_pylist()


@dataclass(frozen=True)
class Shape:
    """rows: how many are measured. bare: what the reading is called that the validation stands beside."""

    rows: int
    row: Callable[[English], Row]
    bare: str = "msgspec decode"
    texts: type[English] = English
    write: Callable[[Path, Iterator[Row]], int] = write_jsonl
    read: Callable[[Path], None] = read_jsonl


# About 400 MB each: in smaller files it is the start of Python (a quarter of a second) that would be measured.
SHAPES = {
    "chats": Shape(250_000, long_chat),
    "short chats": Shape(1_200_000, short_chat),
    "pairs": Shape(500_000, pair),
    "instructions": Shape(700_000, lambda texts: {"instruction": texts.text(25), "response": texts.text(60)}),
    "chats with tools": Shape(250_000, calling),
    "Chinese chats": Shape(180_000, long_chat, texts=Chinese),
    "CSV of pairs": Shape(500_000, pair, "csv.reader", write=write_csv, read=read_csv),
    "Parquet of chats": Shape(250_000, long_chat, "pyarrow to Python", write=write_parquet, read=read_parquet),
    "JSONL.gz of chats": Shape(250_000, long_chat, "gzip, msgspec decode", write=write_gzip, read=read_gzip),
    "a million chats": Shape(1_000_000, long_chat),
}


def main() -> None:
    match sys.argv[1:]:
        case ["write", name, rows, path]:
            shape = SHAPES[name]
            texts = shape.texts()
            print(shape.write(Path(path), (shape.row(texts) for _ in range(int(rows)))))
        case ["read", name, path]:
            if SHAPES[name].read is read_parquet:
                import pyarrow.parquet  # noqa: F401 - its import is no reading

            started = time.process_time()
            SHAPES[name].read(Path(path))
            print(time.process_time() - started)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
