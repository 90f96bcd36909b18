"""Initialisation: random weights, and a tokenizer that is taken over or learnt."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    set_seed,
)

from core.rows import read
from core.rows.error import RowError
from core.rows.kinds import texts_of
from core.specs.initialization import Family, Initialization, InitializationMethod, ModelTokenizer
from core.specs.run import ResolvedEvent, RunResult, RunSpec
from trainers import vocabulary, weights
from trainers.errors import SpecError
from trainers.rundir import RunDir
from trainers.stopping import StopRequest

CLASSES: dict[Family, tuple[Any, Any]] = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
    "gemma": (GemmaConfig, GemmaForCausalLM),
}
PROMPTS = ("What is an LLM?", "Once upon a time", "2 + 2 =")
SAMPLE_TOKENS = 32
FAR_OFF = 0.1  # of ln(vocabulary): a loss that far from it says that the weights are no blank slate


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Make the model of one job in its run directory.

    Raises:
        SpecError: the text does not have the tokens that were asked for.
    """
    assert isinstance(spec.method, InitializationMethod)
    options = spec.method.initialization
    tokenizer = make_tokenizer(spec, options, stop)
    set_seed(spec.seed)
    model = make_model(options, tokenizer)
    figures = measure(model, tokenizer)
    run_dir.emit(ResolvedEvent(hyperparameters={**figures}, total_steps=0))
    run_dir.say(
        f"{figures['parameters']:,} random weights, {figures['vocab_size']:,} tokens; the loss on text is "
        f"{figures['loss']:.3f}, and guessing uniformly costs {figures['uniform_loss']:.3f}"
    )
    if abs(figures["loss"] - figures["uniform_loss"]) > FAR_OFF * figures["uniform_loss"]:
        run_dir.say("The loss is far from that of guessing: try a smaller initializer_range", level="warn")
    stop.check()
    run_dir.artifacts.mkdir()
    weights.write(model, run_dir.artifacts)
    tokenizer.save_pretrained(run_dir.artifacts)
    weights.tidy(run_dir.artifacts, base_model_name="")
    write_samples(run_dir.artifacts / "samples.jsonl", model, tokenizer, seed=spec.seed)
    return RunResult(outcome="succeeded", step=0, trained_tokens=0, metrics={**figures})


def make_tokenizer(spec: RunSpec, options: Initialization, stop: StopRequest) -> Any:
    """Raises SpecError where the training file can't be read, or has too little text."""
    source = options.tokenizer
    if isinstance(source, ModelTokenizer):
        return AutoTokenizer.from_pretrained(spec.base_model, trust_remote_code=False)
    texts = _texts(spec, stop)
    try:
        if source.type == "bpe":
            return vocabulary.of_byte_pairs(texts, vocab_size=source.vocab_size)
        return vocabulary.of_characters(texts, vocab_size=source.vocab_size)
    except RowError as fault:
        raise SpecError(f"training_file: {fault}", param="training_file", code="invalid_file") from None
    except vocabulary.TooSmallCorpus as error:
        param = "method.initialization.tokenizer.vocab_size"
        message = f"{param}: {source.vocab_size} were asked for, but the text supports {error.size} at most"
        raise SpecError(message, param=param) from None


def _texts(spec: RunSpec, stop: StopRequest) -> Iterator[str]:
    for _, row in read.rows(spec.training_file):
        stop.check()
        yield from texts_of(row)


def make_model(options: Initialization, tokenizer: Any) -> Any:
    shape = options.shape
    make_config, make = CLASSES[options.family]
    sizes = {"head_dim": shape.hidden_size // shape.heads} if options.family in ("qwen3", "gemma") else {}
    if options.family == "mistral":
        sizes = {"sliding_window": None}  # every token sees all before it, as in the others
    config = make_config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=shape.tie_embeddings,
        initializer_range=options.initializer_range,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,  # its embedding would stay zero, and it begins every document
        **sizes,
    )
    return make(config).eval()


@torch.no_grad()
def measure(model: Any, tokenizer: Any) -> dict[str, float | int]:
    """Sizes, and the mean loss of the prompts' tokens beside that of guessing uniformly, in nats."""
    losses: list[torch.Tensor] = []
    for prompt in PROMPTS:
        ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
        logits = model(input_ids=ids).logits[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits.float(), ids[0, 1:], reduction="none"))
    return {
        "parameters": model.num_parameters(),
        "vocab_size": len(tokenizer),
        "loss": float(torch.cat(losses).mean()),
        "uniform_loss": math.log(len(tokenizer)),
    }


@torch.no_grad()
def write_samples(path: Path, model: Any, tokenizer: Any, *, seed: int) -> None:
    """Write one line a prompt, `{row, prompt, after}`: what the model says, each token drawn as it is likely."""
    torch.manual_seed(seed)
    with path.open("w", encoding="utf-8") as file:
        for i, prompt in enumerate(PROMPTS):
            ids = torch.tensor([tokenizer(prompt, add_special_tokens=False)["input_ids"]])
            said = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=SAMPLE_TOKENS,
                do_sample=True,
                top_k=0,
                pad_token_id=tokenizer.pad_token_id,
            )
            after = tokenizer.decode(said[0, ids.shape[1] :], skip_special_tokens=True)
            file.write(json.dumps({"row": i, "prompt": prompt, "after": after}, ensure_ascii=False) + "\n")
