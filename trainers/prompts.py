"""A job's prompts, read and tokenised."""

import random
from dataclasses import dataclass, field

from core.rows import read
from core.rows.error import RowError
from core.rows.prompt import Prompt
from core.rows.template import as_dicts
from core.rows.tokens import ChatTokenizer
from core.specs.rollouts import RolloutTraining
from core.specs.run import RunSpec
from trainers.errors import SpecError
from trainers.loading import load_config
from trainers.rundir import RunDir
from trainers.stopping import StopRequest


@dataclass
class Prompts:
    """Prompts and their tokens, one for one, and where in the file each row was, from 0 on."""

    content: list[Prompt] = field(default_factory=list)
    tokens: list[list[int]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.content)

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt."""
        return max(map(len, self.tokens))

    @property
    def token_count(self) -> int:
        return sum(map(len, self.tokens))

    def first(self, count: int) -> "Prompts":
        return self.chosen(range(min(count, len(self))))

    def chosen(self, places: "range | list[int]") -> "Prompts":
        return Prompts(
            [self.content[i] for i in places], [self.tokens[i] for i in places], [self.numbers[i] for i in places]
        )

    def split(self, held_out: int, *, seed: int) -> "tuple[Prompts, Prompts]":
        """(the rest, so many prompts that the seed draws), both in the file's order."""
        drawn = set(random.Random(seed).sample(range(len(self)), held_out))
        places = range(len(self))
        return self.chosen([i for i in places if i not in drawn]), self.chosen([i for i in places if i in drawn])


def read_prompts(
    spec: RunSpec,
    path: str,
    tokenizer: ChatTokenizer,
    run_dir: RunDir,
    stop: StopRequest,
    *,
    limit: int,
    param: str,
) -> Prompts:
    """Parse and tokenise a file of prompts, as `read_rows` does one of rows.

    A prompt may have `limit` tokens, and no more than the longest answer leaves of the model's context.

    Raises:
        SpecError: no room, or no prompt is left, or one can't be parsed, does not suit the chat template, or is longer
            where `long_rows` calls that an error.
    """
    options = options_of(spec)
    context = load_config(spec.base_model).max_position_embeddings
    most = min(limit, context - options.completion_tokens(context=context))
    if most < 1:
        key = f"method.{spec.method.type}.max_completion_tokens"
        raise SpecError(f"{key}: nothing of the model's context of {context} is left for a prompt", param=key)
    prompts, dropped = Prompts(), 0
    try:
        for place, (number, prompt) in enumerate(read.prompts(path)):
            stop.check()
            try:
                ids = tokenizer.encode(
                    tokenizer.template.render(as_dicts(prompt.messages), tools=prompt.tools, prompt=True)
                )
            except ValueError as error:
                raise _refused(param, f"line {number}: {error}") from None
            if len(ids) > most:
                if options.long_rows == "error":
                    raise _refused(param, f"line {number}: {options.too_long(len(ids), most=most, context=context)}")
                dropped += 1
                continue
            prompts.content.append(prompt)
            prompts.tokens.append(ids)
            prompts.numbers.append(place)
    except RowError as fault:
        raise _refused(param, str(fault)) from None
    if not prompts:
        raise _refused(param, f"all prompts have more than {most} tokens" if dropped else "the file has no rows")
    if dropped:
        total = len(prompts) + dropped
        run_dir.say(
            f"{param}: {dropped} of {total} prompts have more than {most} tokens, and were left out", level="warn"
        )
    return prompts


def options_of(spec: RunSpec) -> RolloutTraining:
    options = spec.training
    assert isinstance(options, RolloutTraining)
    return options


def _refused(param: str, why: str) -> SpecError:
    return SpecError(f"{param}: {why}", param=param, code="invalid_file")
