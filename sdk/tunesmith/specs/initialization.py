# pyright: standard, reportMissingImports=false
# Copied from core/specs/initialization.py by sdk/tools/copy_core.py: change it there.
"""Initialisation: an architecture, its sizes, and where the tokenizer comes from."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tunesmith.specs.strict import Strict, WrongKey
from tunesmith.specs.training import ModelKind, Weights

Family = Literal["llama", "mistral", "qwen3", "gemma"]
Preset = Literal["nano", "tiny", "small"]
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
BYTES = 256
FEWEST_BPE_TOKENS = BYTES + len(SPECIAL_TOKENS)
FEWEST_CHARACTER_TOKENS = 1 + len(SPECIAL_TOKENS)  # one stands for all characters that are unknown


class Sizes(Strict):
    """Sizes of a decoder-only transformer; what is left out is the preset's."""

    hidden_size: Annotated[int, Field(ge=16, le=16_384)] | None = Field(default=None, description="Width.")
    layers: Annotated[int, Field(ge=1, le=256)] | None = Field(default=None, description="Transformer blocks.")
    heads: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None, description="Attention heads; they divide hidden_size, and each has an even width."
    )
    kv_heads: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None,
        description="Heads of keys and values; they divide heads (grouped queries; Ainslie et al., 2023, arXiv "
        "2305.13245). Null: the preset's, or as many as heads where those are given.",
    )
    intermediate_size: Annotated[int, Field(ge=16, le=65_536)] | None = Field(
        default=None, description="Width inside of the MLPs."
    )
    context: Annotated[int, Field(ge=32, le=131_072)] | None = Field(
        default=None, description="Longest sequence, in tokens."
    )
    tie_embeddings: bool | None = Field(
        default=None, description="Whether the head is the embeddings (Press, Wolf, 2016, arXiv 1608.05859)."
    )


class Shape(Strict):
    """All sizes of a model but that of its vocabulary."""

    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    intermediate_size: int
    context: int
    tie_embeddings: bool = True


PRESETS: dict[Preset, Shape] = {
    "nano": Shape(hidden_size=128, layers=4, heads=4, kv_heads=4, intermediate_size=352, context=256),
    "tiny": Shape(hidden_size=288, layers=6, heads=6, kv_heads=6, intermediate_size=768, context=512),
    "small": Shape(hidden_size=576, layers=30, heads=9, kv_heads=3, intermediate_size=1536, context=2048),
}


class ModelTokenizer(Strict):
    """The tokenizer and chat template of the job's `model`."""

    type: Literal["model"]


class BpeTokenizer(Strict):
    """Byte pairs (Sennrich et al., 2015, arXiv 1508.07909; of bytes, as in GPT-2), learnt from the training_file."""

    type: Literal["bpe"]
    vocab_size: int = Field(
        default=4096,
        ge=FEWEST_BPE_TOKENS,
        le=262_144,
        description="Tokens, of which 256 are single bytes and 3 mark documents and turns.",
    )


class CharacterTokenizer(Strict):
    """A token a character that the training_file has; others are unknown to the model."""

    type: Literal["characters"]
    vocab_size: Annotated[int, Field(ge=16, le=262_144)] | None = Field(
        default=None, description="Tokens: the most frequent characters, and 4 marks. Null: all characters."
    )


TokenizerSource = Annotated[ModelTokenizer | BpeTokenizer | CharacterTokenizer, Field(discriminator="type")]


class Initialization(Strict):
    """A model with random weights."""

    # What jobs that train may ask for; this one makes a whole model at once.
    YIELDS: ClassVar[ModelKind] = "policy"
    weights: ClassVar[Weights] = "full"
    lora: ClassVar[None] = None
    quantization: ClassVar[None] = None
    replay: ClassVar[None] = None
    validation_split: ClassVar[None] = None
    needs_validation: ClassVar[None] = None
    keep_checkpoints: ClassVar[None] = None
    max_steps: ClassVar[None] = None

    family: Family = Field(
        default="llama", description="The architecture: one of transformers' causal language models."
    )
    preset: Preset = Field(
        default="nano",
        description="Sizes: nano about 1 million parameters with a vocabulary of 1,024, tiny about 15 million with "
        "32,000, small 135 million with 49,152.",
    )
    sizes: Sizes = Field(default_factory=Sizes, description="In the place of the preset's.")
    initializer_range: float = Field(
        default=0.02, gt=0, le=1, description="Standard deviation of the normal distribution that weights come from."
    )
    tokenizer: TokenizerSource = Field(
        default_factory=lambda: BpeTokenizer(type="bpe"),
        description="model: that of the job's `model`, which is needed then. bpe, characters: learnt from the "
        "training_file, which is needed then.",
    )

    @property
    def shape(self) -> Shape:
        """The preset's sizes with those that are given in their place."""
        given: dict[str, Any] = self.sizes.model_dump(exclude_none=True)
        if "heads" in given:
            given.setdefault("kv_heads", given["heads"])
        return PRESETS[self.preset].model_copy(update=given)

    @property
    def vocab_size(self) -> int | None:
        """Null where only a worker sees it: of another model's tokenizer, or of all characters of a text."""
        return None if isinstance(self.tokenizer, ModelTokenizer) else self.tokenizer.vocab_size

    def parameters(self, *, vocab_size: int) -> int:
        """Numbers that the model is made of; a head that is the embeddings counts once."""
        shape = self.shape
        width, head = shape.hidden_size, shape.hidden_size // shape.heads
        attention = 2 * width * width + 2 * width * shape.kv_heads * head
        norms = 2 * width + (2 * head if self.family == "qwen3" else 0)  # that one's queries and keys have their own
        block = attention + 3 * width * shape.intermediate_size + norms
        embeddings = vocab_size * width * (1 if shape.tie_embeddings else 2)
        return shape.layers * block + width + embeddings

    @property
    def architecture(self) -> str:
        """What the models that descend from it name as their base."""
        changed = self.shape != PRESETS[self.preset]
        return f"{self.family}-{'custom' if changed else self.preset}"

    @model_validator(mode="after")
    def sizes_divide(self) -> "Initialization":
        shape = self.shape
        width, heads, kv_heads = shape.hidden_size, shape.heads, shape.kv_heads
        if width % heads:
            raise self._wrong("hidden_size", "heads", f"a multiple of heads ({heads}) is needed")
        if heads % kv_heads:
            raise self._wrong("kv_heads", "heads", f"a divisor of heads ({heads}) is needed")
        if width // heads % 2:
            why = f"hidden_size / heads is {width // heads}, but rotary positions need an even number"
            raise self._wrong("hidden_size", "heads", why)
        return self

    def _wrong(self, size: str, other: str, message: str) -> WrongKey:
        """The key is that of the size, or of the other where only that one is given: what is the preset's is right."""
        key = size if getattr(self.sizes, size) is not None else other
        return WrongKey(f"sizes.{key}", f"{size} is {getattr(self.shape, size)}, but {message}")


class InitializationMethod(Strict):
    """Stage 0: random weights, and a tokenizer."""

    type: Literal["initialization"]
    initialization: Initialization = Field(default_factory=Initialization)

    @property
    def options(self) -> Initialization:
        """Those of the method, whichever it is."""
        return self.initialization
