"""One pass over each file of a job: its tokens, its rows that don't fit, and the steps that they make."""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from xxhash import xxh3_64_digest

from core.estimate.sampling import Row, Sample
from core.estimate.task import Example, Measured, MeasureTask, Notes, Plan, RowFigures, TokenFigures
from core.rows import packing, read
from core.rows.chat import Chat
from core.rows.features import row_features
from core.rows.kinds import Row as RowContent
from core.rows.kinds import texts_of
from core.rows.long import fitted
from core.rows.template import ignores_system, ignores_tools
from core.rows.tokens import IGNORED, ChatTokenizer
from core.specs import choices
from core.specs.rollouts import RolloutTraining
from core.specs.training import LongRows, Training

MOST_EXAMPLES = 20
MOST_COMPARED = 1_000_000  # rows whose digests are kept, of either file


@dataclass(frozen=True)
class Answers:
    """What will be sampled to each prompt. tokens: of an answer, at the most."""

    count: int
    tokens: int

    def behind(self, prompts: list[int]) -> list[int]:
        """Tokens of each prompt and of all answers to it, the prompt before each of them."""
        return [self.count * (prompt + self.tokens) for prompt in prompts]

    def added(self, figures: TokenFigures, *, prompts: int) -> TokenFigures:
        """Of so many prompts that were counted without answers."""
        sampled = prompts * self.count * self.tokens
        total, interval = self.count * figures.total + sampled, self.count * figures.total_interval
        return figures.model_copy(update={"total": total, "total_interval": interval, "trained": sampled})


@dataclass(frozen=True)
class Length:
    """What a row came to.

    tokens: of its longest chat; None where the template refuses it, for `reason`. kept, trained: of all its chats; 0
    where it is left out.
    """

    row: Row
    tokens: int | None
    kept: int = 0
    trained: int = 0
    reason: str = ""


@dataclass
class Survey:
    """What is noticed of every row in passing. validation: digests of that file's rows, which is read first."""

    validation: set[bytes] = field(default_factory=set)
    seen: set[bytes] = field(default_factory=set)
    duplicates: int = 0
    leaked: list[int] = field(default_factory=list)
    leaked_count: int = 0
    has_system: bool = False
    with_tools: Chat | None = None

    def look_at_validation(self, _: int, row: RowContent) -> None:
        if len(self.validation) < MOST_COMPARED:
            self.validation.add(_digest(row))

    def look(self, number: int, row: RowContent) -> None:
        digest = _digest(row)
        if digest in self.seen:
            self.duplicates += 1
        elif len(self.seen) < MOST_COMPARED:
            self.seen.add(digest)
        if digest in self.validation:
            self.leaked_count += 1
            if len(self.leaked) < MOST_EXAMPLES:
                self.leaked.append(number)
        for chat in row.chats[:1]:
            self.has_system = self.has_system or chat.messages[0].role == "system"
            self.with_tools = self.with_tools or (chat if chat.tools else None)

    def notes(self, tokenizer: ChatTokenizer) -> Notes:
        template, with_tools = tokenizer.template, self.with_tools
        return Notes(
            duplicates=self.duplicates,
            leaked=self.leaked,
            leaked_count=self.leaked_count,
            ignores_system=self.has_system and ignores_system(template),
            ignores_tools=with_tools is not None and ignores_tools(template, with_tools),
        )


def measure(task: MeasureTask) -> Measured:
    """Read the files of a job as its trainer would.

    Raises:
        ValueError: the model's card or a row can't be read.
    """
    tokenizer = ChatTokenizer.load(Path(task.card))
    length, answers = choices.max_length(task.options, context=task.context), _answers(task)
    if answers:
        length = min(length, task.context - answers.tokens)
    limit = sys.maxsize if task.options.fills_sequences else length  # there, no row is too long
    survey, validation = Survey(), None
    if task.validation_file:
        validation = _read(task.validation_file, task, tokenizer, limit, look=survey.look_at_validation).rows()
    lengths = _read(task.training_file, task, tokenizer, limit, look=survey.look)
    replay = _read(task.replay_file, task, tokenizer, limit, look=lambda *_: None) if task.replay_file else None
    known = answers.behind(lengths.known) if answers else lengths.known
    tokens = lengths.tokens(padded=_padded(known, choices.batch_size(task.options)))
    return Measured(
        exact=lengths.sample.is_whole,
        tokens=answers.added(tokens, prompts=len(known)) if answers else tokens,
        rows=lengths.rows(),
        validation_rows=validation,
        replay_rows=replay and replay.rows(),
        completion_tokens=answers and answers.tokens,
        plan=_plan(known, replay.known if replay else [], task.options, length=length, on_gpu=task.on_gpu),
        notes=survey.notes(tokenizer),
    )


def _answers(task: MeasureTask) -> Answers | None:
    options = task.options
    if not isinstance(options, RolloutTraining):
        return None
    return Answers(options.answers, options.completion_tokens(context=task.context))


def _read(
    path: str, task: MeasureTask, tokenizer: ChatTokenizer, limit: int, *, look: Callable[[int, RowContent], None]
) -> "Lengths":
    sample, rows = Sample(limit), 0
    long_rows = task.options.long_rows
    content = read.prompts(path) if isinstance(task.options, RolloutTraining) else read.rows(path)
    for rows, (number, row) in enumerate(content, 1):
        look(number, row)
        characters, size = _sizes(row)
        sample.add(rows - 1, number, row, characters=characters, bytes=size)
    return Lengths(
        sample,
        limit,
        total=rows,
        long=[_length(tokenizer, row, limit, long_rows) for _, _, row in sample.long],
        others=[_length(tokenizer, row, limit, long_rows) for row in sample.others],
    )


@dataclass(frozen=True)
class Lengths:
    """What the rows came to: `long` counts as it is, `others` for all rows that it was drawn from."""

    sample: Sample
    limit: int
    total: int
    long: list[Length]
    others: list[Length]

    def tokens(self, *, padded: int) -> TokenFigures:
        total, total_interval = self.sample.total([length.kept for length in self.others])
        trained, trained_interval = self.sample.total([length.trained for length in self.others])
        return TokenFigures(
            total=round(total) + sum(length.kept for length in self.long),
            trained=round(trained) + sum(length.trained for length in self.long),
            total_interval=round(total_interval),
            trained_interval=round(trained_interval),
            padded=padded,
        )

    def rows(self) -> RowFigures:
        bad = [length for length in (*self.long, *self.others) if length.tokens is None or self._is_long(length)]
        return RowFigures(
            total=self.total,
            tokenized=len(self.long) + len(self.others),
            too_long=self._count(self._is_long),
            left_out=self._count(lambda length: self._is_long(length) and length.kept == 0),
            too_long_is_exact=self.sample.long_is_whole or self.sample.is_whole,
            unusable=self._count(lambda length: length.tokens is None),
            examples=[self._example(length) for length in sorted(bad, key=_index)[:MOST_EXAMPLES]],
            median=sorted(self.known)[len(self.known) // 2] if self.known else 0,
            longest=max(self.known, default=0),
        )

    @cached_property
    def known(self) -> list[int]:
        """Tokens of each row that is trained, in the file's order; of a sample, as many as there are, drawn from it."""
        fit = [length for length in self.others if length.kept]
        long = [length for length in self.long if length.kept]
        if self.sample.is_whole:
            return [length.kept for length in sorted((*long, *fit), key=_index)]
        draw = random.Random(0)
        count = round(len(fit) / len(self.others) * self.sample.other_rows)
        lengths = [length.kept for length in long]
        lengths += draw.choices([length.kept for length in fit], k=count) if fit else []
        draw.shuffle(lengths)
        return lengths

    def _is_long(self, length: Length) -> bool:
        return length.tokens is not None and length.tokens > self.limit

    def _count(self, counts: Callable[[Length], bool]) -> int:
        scale = self.sample.other_rows / max(1, len(self.others))
        return sum(map(counts, self.long)) + round(scale * sum(map(counts, self.others)))

    def _example(self, length: Length) -> Example:
        reason = length.reason or f"has {length.tokens} tokens, but max_length is {self.limit}"
        return Example(row=length.row.number, tokens=length.tokens, reason=reason[:500])


def _plan(lengths: list[int], replay: list[int], options: Training, *, length: int, on_gpu: bool) -> Plan:
    """Of the rows that are not held out, and of those that are replayed: every so many, where the job's seed draws."""
    if options.fills_sequences:
        lengths, replay = ([length] * packing.sequences(sum(tokens), length=length) for tokens in (lengths, replay))
    left_out = set(_every(len(lengths), choices.held_out(options, rows=len(lengths))))
    trained = [length for i, length in enumerate(lengths) if i not in left_out]
    share = len(trained) / max(1, len(lengths))
    tokens = max(1, sum(trained))
    replayed = choices.replayed(options, rows=len(trained), available=len(replay))
    trained += [replay[i] for i in _every(len(replay), replayed)]
    share *= sum(trained) / tokens
    size = choices.batch_size(options)
    if not trained:
        return Plan(max_length=length, batch_size=size, sequence_length=None, epochs=0, share=0, passes=0, steps=0)
    capacity = packing.capacity(shared=options.shares_sequences, on_gpu=on_gpu)
    per_epoch = packing.steps_per_epoch(len(trained), batch_size=size)
    steps = choices.total_steps(options, rows=len(trained), per_epoch=per_epoch)
    return Plan(
        max_length=length,
        batch_size=size,
        sequence_length=packing.longest_sequence(trained, batch_size=size, capacity=capacity),
        epochs=choices.resolve(options, rows=len(trained), per_epoch=per_epoch).n_epochs,
        share=share,
        passes=steps / per_epoch * share,
        steps=steps,
    )


def _every(of: int, count: int) -> list[int]:
    """So many of the first `of` numbers, evenly spread."""
    return [int(k * of / count) for k in range(count)]


def _length(tokenizer: ChatTokenizer, row: Row, limit: int, long_rows: LongRows) -> Length:
    try:
        chats = tokenizer.tokenize_row(row.content)
    except ValueError as error:
        return Length(row, None, reason=str(error))
    longest = max(len(chat.input_ids) for chat in chats)
    try:
        kept = fitted(chats, limit=limit, long_rows=long_rows)
    except ValueError:
        kept = None
    if kept is None:
        return Length(row, longest)
    trained = sum(len(chat.labels) - chat.labels.count(IGNORED) for chat in kept)
    return Length(row, longest, sum(len(chat.input_ids) for chat in kept), trained)


def _padded(lengths: list[int], batch_size: int) -> int:
    shuffled = lengths.copy()
    random.Random(0).shuffle(shuffled)
    batches = (shuffled[at : at + batch_size] for at in range(0, len(shuffled), batch_size))
    return sum(max(batch) * len(batch) for batch in batches)


def _index(length: Length) -> int:
    return length.row.index


def _sizes(row: RowContent) -> tuple[int, int]:
    """(characters, bytes of UTF-8) of all that the template may write of a row."""
    texts = texts_of(row)
    for chat in row.chats:
        texts += [str(message.tool_calls) for message in chat.messages if message.tool_calls]
        if chat.tools:
            texts.append(str(chat.tools))
    characters = sum(map(len, texts))
    return characters, characters if all(map(str.isascii, texts)) else sum(len(text.encode()) for text in texts)


def _digest(row: RowContent) -> bytes:
    """Of what tells a row from others, as the report says it."""
    found = row_features(row)
    return xxh3_64_digest(found.content, found.seed)
