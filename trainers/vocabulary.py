"""Tokenizers that are learnt here: of bytes, of pairs of them, and of characters; all with ChatML's turns."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from core.specs.initialization import SPECIAL_TOKENS

UNKNOWN = "<|unknown|>"
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class TooSmallCorpus(ValueError):
    """The text does not have as many tokens as were asked for. size: how many there are, special ones included."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the text supports {size} tokens")
        self.size = size


def of_bytes() -> PreTrainedTokenizerFast:
    """A token a byte of UTF-8."""
    symbols = [*SPECIAL_TOKENS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer: Any = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _with_turns(tokenizer)


def of_byte_pairs(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """Pairs that are frequent in the texts, down to single bytes, so that nothing is unknown.

    Raises:
        TooSmallCorpus: the texts have no more pairs that occur twice.
    """
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() < vocab_size:
        raise TooSmallCorpus(tokenizer.get_vocab_size())
    return _with_turns(tokenizer)


def of_characters(texts: Iterable[str], *, vocab_size: int | None) -> PreTrainedTokenizerFast:
    """The most frequent characters of the texts, all of them where no size is given.

    Raises:
        TooSmallCorpus: they have fewer.
    """
    counts = Counter[str]()
    for text in texts:
        counts.update(text)
    marks = [*SPECIAL_TOKENS, UNKNOWN]
    size = len(counts) + len(marks)
    if vocab_size is not None and size < vocab_size:
        raise TooSmallCorpus(size)
    frequent = sorted(counts, key=lambda character: (-counts[character], character))
    kept = sorted(frequent if vocab_size is None else frequent[: vocab_size - len(marks)])
    vocabulary = {symbol: i for i, symbol in enumerate([*marks, *kept])}
    # Without merges, pairs of characters are never joined; whole texts are no words worth keeping.
    model = models.BPE(vocab=vocabulary, merges=[], unk_token=UNKNOWN, cache_capacity=0)
    tokenizer: Any = Tokenizer(model)
    tokenizer.decoder = decoders.Fuse()
    return _with_turns(tokenizer, unk_token=UNKNOWN)


def _with_turns(tokenizer: Tokenizer, **named: str) -> PreTrainedTokenizerFast:
    end_of_document, start_of_turn, end_of_turn = SPECIAL_TOKENS
    tokenizer.add_special_tokens([*SPECIAL_TOKENS, *named.values()])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=end_of_turn,
        pad_token=end_of_document,
        additional_special_tokens=[start_of_turn],
        clean_up_tokenization_spaces=False,
        **named,
    )
    wrapped.chat_template = CHATML
    return wrapped
