"""Random weights: their loss is that of guessing, the same seed makes the same bytes, tokenizers are learnt."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.specs.initialization import Initialization
from tests.trainers.runs import error, events, outcome, samples, write_rows, write_spec
from tests.trainers.test_pretraining import sentences
from trainers import vocabulary
from trainers.initialization import make_model
from trainers.run import run

SMALL = {"hidden_size": 64, "layers": 2, "heads": 4, "intermediate_size": 128, "context": 128}
FAMILIES = ("llama", "mistral", "qwen3", "gemma")


@pytest.fixture
def make(tmp_path: Path, tiny: Path) -> Any:
    corpus = write_rows(tmp_path / "corpus.jsonl", sentences(200, seed=0))

    def make(name: str, *, status: int = 0, seed: int = 0, **options: Any) -> Path:
        takes = options.get("tokenizer", {}).get("type") == "model"
        fields: Any = {"initialization": {"sizes": SMALL, "tokenizer": {"type": "characters"}, **options}}
        folder = tmp_path / name
        write_spec(folder, base=tiny if takes else None, training_file="" if takes else corpus, seed=seed, **fields)
        assert run(folder) == status
        return folder

    return make


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_guessing(make: Any, family: str) -> None:
    folder = make("run", family=family)
    figures = outcome(folder)["metrics"]
    assert figures["uniform_loss"] == pytest.approx(math.log(figures["vocab_size"]))
    assert figures["loss"] == pytest.approx(figures["uniform_loss"], rel=0.1)
    model = AutoModelForCausalLM.from_pretrained(folder / "artifacts")
    assert type(model).__name__.lower().startswith(family)
    assert model.num_parameters() == figures["parameters"]
    asked = Initialization.model_validate({"family": family, "sizes": SMALL})
    assert asked.parameters(vocab_size=figures["vocab_size"]) == figures["parameters"]
    assert json.loads((folder / "artifacts/facts.json").read_text())["parameters"] == figures["parameters"]
    assert len(samples(folder)) == 3


def test_a_wide_initialiser_is_no_blank_slate(make: Any) -> None:
    said = [event["message"] for event in events(make("run", initializer_range=0.8), "message")]
    assert any("initializer_range" in message for message in said)


def test_a_seed_is_a_model(make: Any) -> None:
    first, again, other = make("first", seed=1), make("again", seed=1), make("other", seed=2)
    weights = [(folder / "artifacts/model.safetensors").read_bytes() for folder in (first, again, other)]
    assert weights[0] == weights[1] != weights[2]
    tokenizers = [(folder / "artifacts/tokenizer.json").read_bytes() for folder in (first, again, other)]
    assert len(set(tokenizers)) == 1


@pytest.mark.parametrize(
    ("tokenizer", "size"),
    [
        ({"type": "characters"}, None),
        ({"type": "characters", "vocab_size": 20}, 20),
        ({"type": "bpe", "vocab_size": 280}, 280),
        ({"type": "model"}, 259),
    ],
)
def test_tokenizers(make: Any, tokenizer: dict[str, Any], size: int | None) -> None:
    folder = make("run", tokenizer=tokenizer)
    learnt: Any = AutoTokenizer.from_pretrained(folder / "artifacts")
    assert len(learnt) == (size or len(learnt)) == outcome(folder)["metrics"]["vocab_size"]
    text = "the cat and the dog run home slowly."
    if size != 20:
        assert learnt.decode(learnt(text)["input_ids"]) == text
    chat = learnt.apply_chat_template([{"role": "user", "content": "the cat"}], tokenize=False)
    assert chat == "<|im_start|>user\nthe cat<|im_end|>\n"


@pytest.mark.parametrize("type_", ["bpe", "characters"])
def test_a_vocabulary_that_the_text_does_not_support_is_refused(make: Any, type_: str) -> None:
    folder = make("run", status=1, tokenizer={"type": type_, "vocab_size": 50_000})
    assert error(folder)["param"] == "method.initialization.tokenizer.vocab_size"
    assert "50000 were asked for" in error(folder)["message"]


def test_the_documents_example_runs_on_the_file_that_it_names(tmp_path: Path, repository_root: Path) -> None:
    page = (repository_root / "docs/methods/initialization.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", page, flags=re.DOTALL)
    asked = json.loads(example)["method"]["initialization"]
    stories = repository_root / "examples/short-stories/train.jsonl"
    folder = write_spec(tmp_path / "run", base=None, training_file=stories, initialization=asked)
    assert run(folder) == 0
    assert outcome(folder)["metrics"]["vocab_size"] == asked["tokenizer"]["vocab_size"]


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"hidden_size": 130, "heads": 4}, "multiple of heads"),
        ({"heads": 4, "kv_heads": 3}, "divisor of heads"),
        ({"hidden_size": 20, "heads": 4}, "even number"),
    ],
)
def test_sizes_that_do_not_divide_are_refused(sizes: dict[str, int], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Initialization.model_validate({"sizes": sizes})


@pytest.mark.parametrize(
    ("preset", "vocab", "millions"), [("nano", 1024, 1), ("tiny", 32_000, 15), ("small", 49_152, 135)]
)
def test_presets_have_the_sizes_that_their_names_promise(preset: Any, vocab: int, millions: int) -> None:
    assert Initialization(preset=preset).parameters(vocab_size=vocab) == pytest.approx(millions * 1e6, rel=0.08)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("preset", ["nano", "tiny", "small", None])
def test_a_job_says_how_many_parameters_its_model_has(family: str, preset: str | None, tied: bool) -> None:
    odd = {"hidden_size": 102, "layers": 3, "heads": 51, "kv_heads": 17, "intermediate_size": 131}
    sizes = {"tie_embeddings": tied, **({} if preset else odd)}
    options = Initialization.model_validate({"family": family, "preset": preset or "nano", "sizes": sizes})
    tokenizer = vocabulary.of_bytes()
    with torch.device("meta"):
        model = make_model(options, tokenizer)
    assert options.parameters(vocab_size=len(tokenizer)) == model.num_parameters()


@pytest.mark.parametrize("tied", [True, False])
def test_the_token_that_ends_a_document_has_an_embedding(make: Any, tied: bool) -> None:
    folder = make("run", sizes=SMALL | {"tie_embeddings": tied})
    model: Any = AutoModelForCausalLM.from_pretrained(folder / "artifacts")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder / "artifacts")
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    assert model.get_input_embeddings().weight[end].abs().min() > 0
    assert model.get_input_embeddings().padding_idx is None


def test_the_token_that_ends_a_document_is_learnt_in_a_second_job_too(make: Any, tmp_path: Path) -> None:
    """The first job writes into the config that it pads with it; embeddings of what pads get no gradient."""
    base = make("run", sizes=SMALL | {"tie_embeddings": False}) / "artifacts"
    rows = write_rows(tmp_path / "rows.jsonl", [{"text": f"{i} is a number"} for i in range(40)])
    options = {"max_steps": 2, "max_length": 32, "samples": {"rows": 0}, "optimization": {"learning_rate": 1e-2}}
    ended = []
    for name in ("first", "second"):
        folder = write_spec(tmp_path / name, base=base, training_file=rows, pretraining=options)
        assert run(folder) == 0
        base = folder / "artifacts"
        model: Any = AutoModelForCausalLM.from_pretrained(base)
        end = AutoTokenizer.from_pretrained(base).convert_tokens_to_ids("<|endoftext|>")
        ended.append(model.get_input_embeddings().weight[end].detach())
    assert (ended[0] - ended[1]).abs().max() > 1e-3
