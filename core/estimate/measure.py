"""One pass over a training file: its tokens, its rows that don't fit, and the steps that they make."""

import random
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from core.estimate.sampling import Row, Sample
from core.estimate.task import Example, Measured, MeasureTask
from core.rows import packing, read
from core.rows.chat import Chat
from core.rows.template import ignores_system, ignores_tools
from core.rows.tokens import IGNORED, ChatTokenizer
from core.specs.choices import max_length, resolve

MOST_EXAMPLES = 20
MOST_COMPARED = 1_000_000  # rows whose digests are kept, of either file


@dataclass(frozen=True)
class Length:
    """What a row came to. tokens: None where the template refuses it, for `reason`."""

    row: Row
    tokens: int | None
    trained: int
    reason: str = ""


@dataclass
class Survey:
    """What is noticed of every row in passing."""

    validation: set[bytes]
    seen: set[bytes] = field(default_factory=set)
    duplicates: int = 0
    leaked: list[int] = field(default_factory=list)
    leaked_count: int = 0
    has_system: bool = False
    with_tools: Chat | None = None

    def look(self, number: int, chat: Chat) -> None:
        digest = _digest(chat)
        if digest in self.seen:
            self.duplicates += 1
        elif len(self.seen) < MOST_COMPARED:
            self.seen.add(digest)
        if digest in self.validation:
            self.leaked_count += 1
            if len(self.leaked) < MOST_EXAMPLES:
                self.leaked.append(number)
        self.has_system = self.has_system or chat.messages[0].role == "system"
        self.with_tools = self.with_tools or (chat if chat.tools else None)


def measure(task: MeasureTask) -> Measured:
    """Read the files of a job as its trainer would.

    Raises:
        ValueError: the model's card or a row can't be read.
    """
    tokenizer = ChatTokenizer.load(Path(task.card))
    limit = max_length(task.options, context=task.context)
    survey = Survey(validation=_digests(task.validation_file) if task.validation_file else set())
    sample, rows = Sample(limit), 0
    for rows, (number, chat) in enumerate(read.chats(task.training_file), 1):
        survey.look(number, chat)
        characters, size = _sizes(chat)
        sample.add(rows - 1, number, chat, characters=characters, bytes=size)
    long = [_length(tokenizer, row) for _, _, row in sample.long]
    others = [_length(tokenizer, row) for row in sample.others]
    return _measured(task, survey, sample, long, others, rows=rows, limit=limit, template=tokenizer)


def _measured(
    task: MeasureTask,
    survey: Survey,
    sample: Sample,
    long: list[Length],
    others: list[Length],
    *,
    rows: int,
    limit: int,
    template: ChatTokenizer,
) -> Measured:
    fits = [length for length in long if _fits(length, limit)]
    other_fits = [length if _fits(length, limit) else None for length in others]
    total, total_interval = sample.total([length.tokens or 0 if length else 0 for length in other_fits])
    trained, trained_interval = sample.total([length.trained if length else 0 for length in other_fits])
    scale = sample.other_rows / max(1, len(others))
    too_long = [length for length in (*long, *others) if length.tokens is not None and length.tokens > limit]
    unusable = [length for length in (*long, *others) if length.tokens is None]
    lengths = _lengths(sample, fits, [length for length in other_fits if length])
    chosen = resolve(task.options, rows=rows)
    packed = packing.plan(lengths, batch_size=chosen.batch_size, on_gpu=task.on_gpu) if lengths else None
    sequences = packing.count_sequences(lengths, packed) if packed else 0
    bad = sorted((*too_long, *unusable), key=lambda length: length.row.index)
    return Measured(
        exact=sample.is_whole,
        rows=rows,
        tokenized_rows=len(long) + len(others),
        total_tokens=round(total) + sum(length.tokens or 0 for length in fits),
        trained_tokens=round(trained) + sum(length.trained for length in fits),
        total_interval=round(total_interval),
        trained_interval=round(trained_interval),
        padded_tokens=_padded(lengths, chosen.batch_size),
        max_length=limit,
        too_long=_count(too_long, long, scale),
        too_long_is_exact=sample.long_is_whole or sample.is_whole,
        unusable=_count(unusable, long, scale),
        examples=[_example(length, limit) for length in bad[:MOST_EXAMPLES]],
        median=sorted(lengths)[len(lengths) // 2] if lengths else 0,
        longest=max(lengths, default=0),
        epochs=chosen.n_epochs,
        batch_size=chosen.batch_size,
        packing=packed,
        sequences=sequences,
        steps=packing.total_steps(sequences, packed, epochs=chosen.n_epochs) if packed else 0,
        duplicates=survey.duplicates,
        leaked=survey.leaked,
        leaked_count=survey.leaked_count,
        ignores_system=survey.has_system and ignores_system(template.template),
        ignores_tools=survey.with_tools is not None and ignores_tools(template.template, survey.with_tools),
    )


def _length(tokenizer: ChatTokenizer, row: Row) -> Length:
    try:
        tokens = tokenizer.tokenize(row.chat)
    except ValueError as error:
        return Length(row, None, 0, str(error))
    return Length(row, len(tokens.input_ids), len(tokens.labels) - tokens.labels.count(IGNORED))


def _fits(length: Length, limit: int) -> bool:
    return length.tokens is not None and length.tokens <= limit


def _count(found: list[Length], long: list[Length], scale: float) -> int:
    """How many there are in the file: the long rows count as they are, the sampled ones for what they stand for."""
    certain = {id(length) for length in long}
    return round(sum(1 if id(length) in certain else scale for length in found))


def _lengths(sample: Sample, fits: list[Length], others: list[Length]) -> list[int]:
    """Tokens of every row that fits, in the file's order; of a sample, as many as there are rows, drawn from it."""
    if sample.is_whole:
        return [length.tokens or 0 for length in sorted((*fits, *others), key=lambda length: length.row.index)]
    draw = random.Random(0)
    share = len(others) / max(1, len(sample.others))
    known = [length.tokens or 0 for length in others]
    drawn = draw.choices(known, k=round(share * sample.other_rows)) if known else []
    lengths = [length.tokens or 0 for length in fits] + drawn
    draw.shuffle(lengths)
    return lengths


def _padded(lengths: list[int], batch_size: int) -> int:
    shuffled = lengths.copy()
    random.Random(0).shuffle(shuffled)
    batches = (shuffled[at : at + batch_size] for at in range(0, len(shuffled), batch_size))
    return sum(max(batch) * len(batch) for batch in batches)


def _example(length: Length, limit: int) -> Example:
    reason = length.reason or f"has {length.tokens} tokens, but max_length is {limit}"
    return Example(row=length.row.number, tokens=length.tokens, reason=reason[:500])


def _sizes(chat: Chat) -> tuple[int, int]:
    """(characters, bytes of UTF-8) of all that the template may write of a chat."""
    texts = [message.content for message in chat.messages]
    texts += [str(message.tool_calls) for message in chat.messages if message.tool_calls]
    if chat.tools:
        texts.append(str(chat.tools))
    characters = sum(map(len, texts))
    return characters, characters if all(map(str.isascii, texts)) else sum(len(text.encode()) for text in texts)


def _digest(chat: Chat) -> bytes:
    digest = blake2b(digest_size=8)
    for message in chat.messages:
        calls = str(message.tool_calls) if message.tool_calls else ""
        digest.update(f"{message.role}\0{len(message.content)}\0{message.content}{calls}".encode())
    return digest.digest()


def _digests(path: str) -> set[bytes]:
    found: set[bytes] = set()
    for _, chat in read.chats(path):
        found.add(_digest(chat))
        if len(found) >= MOST_COMPARED:
            break
    return found
