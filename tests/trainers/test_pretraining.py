"""Text: tokens on disk, documents that see nothing of each other, the loss of a plain loop, exact resumes."""

import json
import math
import random
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.estimate.measure import measure
from core.estimate.task import MeasureTask
from core.rows.text import Text
from core.rows.tokens import IGNORED, ChatTokenizer
from tests.core.rows.files import parquet
from tests.trainers.runs import error, events, last_checkpoint, outcome, results, samples, write_rows, write_spec
from trainers import attention
from trainers.corpus import Sequences
from trainers.pretraining import Collator
from trainers.run import run
from trainers.scoring import score

WORDS = ("the", "cat", "dog", "sees", "a", "bird", "and", "runs", "home", "slowly")
OPTIONS: dict[str, Any] = {
    "max_length": 64,
    "max_steps": 6,
    "hyperparameters": {"batch_size": 4},
    "optimization": {"learning_rate": 3e-3},
    "checkpoint_interval": 3,
    "samples": {"rows": 2, "max_tokens": 8},
}


def sentences(count: int, *, seed: int) -> list[dict[str, str]]:
    draw = random.Random(seed)
    return [{"text": " ".join(draw.choices(WORDS, k=draw.randint(4, 40))) + "."} for _ in range(count)]


@pytest.fixture(scope="session")
def with_bos(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a tokenizer that puts a token before a text, as Llama's does."""
    folder = tmp_path_factory.mktemp("models") / "with-bos"
    shutil.copytree(tiny, folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny)
    bos = "<|im_start|>"
    special = [(bos, tokenizer.convert_tokens_to_ids(bos))]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=special)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def train(tmp_path: Path, tiny: Path) -> Any:
    training_file = write_rows(tmp_path / "corpus.jsonl", sentences(60, seed=0))
    validation_file = write_rows(tmp_path / "valid.jsonl", sentences(12, seed=1))

    def train(name: str, *, status: int = 0, options: dict[str, Any] | None = None, **fields: Any) -> Path:
        files = {"training_file": training_file, "validation_file": validation_file, **fields}
        given: Any = {"base": tiny, "pretraining": OPTIONS | (options or {}), **files}
        folder = write_spec(tmp_path / name, **given)
        assert run(folder) == status
        return folder

    return train


def test_it_learns_and_says_so(train: Any, tiny: Path) -> None:
    folder = train("run", options={"max_steps": 30})
    figures = outcome(folder)["metrics"]
    assert figures["valid_loss"] < 0.75 * math.log(259)
    assert figures["valid_perplexity"] == pytest.approx(math.exp(figures["valid_loss"]))
    assert figures["train_perplexity"] == pytest.approx(math.exp(figures["train_loss"]))
    assert outcome(folder)["trained_tokens"] == 30 * 4 * 63
    assert {"train_perplexity", "valid_perplexity"} <= set(results(folder)[0])
    model = AutoModelForCausalLM.from_pretrained(folder / "artifacts")
    facts = json.loads((folder / "artifacts/facts.json").read_text())
    assert facts == json.loads((tiny / "facts.json").read_text())
    assert model.num_parameters() == facts["parameters"]
    said = samples(folder)
    assert len(said) == 2
    assert said[0]["before"] != said[0]["after"]
    assert isinstance(said[0]["prompt"], str)


def test_tokens_in_another_order_teach_less(train: Any, tmp_path: Path) -> None:
    rows = sentences(60, seed=0)
    letters = list("".join(row["text"] for row in rows))
    random.Random(0).shuffle(letters)
    shuffled = write_rows(tmp_path / "shuffled.jsonl", [{"text": "".join(letters)}])
    learnt, control = (
        outcome(folder)["metrics"]["valid_loss"]
        for folder in (
            train("learnt", options={"max_steps": 30}),
            train("control", options={"max_steps": 30}, training_file=shuffled),
        )
    )
    assert learnt < control - 0.3


def test_sequences_are_every_token_foretold_once(train: Any, tmp_path: Path, tiny: Path) -> None:
    rows = sentences(60, seed=0)
    tokenizer = ChatTokenizer.load(tiny)
    end = tokenizer.end_of_document
    assert end is not None
    tokens = [end] + [token for row in rows for token in (*tokenizer.encode(row["text"]), end)]
    folder = train("run", options={"hyperparameters": {"n_epochs": 1, "batch_size": 4}, "max_steps": None})
    count = (len(tokens) - 1) // 63
    assert outcome(folder)["step"] == math.ceil(count / 4)
    assert outcome(folder)["trained_tokens"] == count * 63

    places = np.stack([np.zeros(count, np.int64), np.arange(count)], axis=1)
    sequences = Sequences([np.array(tokens, np.uint32)], places, 64, end)
    foretold = [token for i in range(count) for token in sequences[i]["input_ids"].tolist()[1:]]
    assert foretold == tokens[1 : count * 63 + 1]
    assert all(sequences[i]["input_ids"][edge] == end for i in range(count) for edge in sequences[i]["edges"] if edge)


@pytest.mark.parametrize("text", ["a cat", "<|im_start|>"])
def test_a_document_begins_as_the_models_own_tokenizer_begins_a_text(tiny: Path, with_bos: Path, text: str) -> None:
    for model, begin in ((tiny, []), (with_bos, [1])):
        ours, theirs = ChatTokenizer.load(model), AutoTokenizer.from_pretrained(model)
        assert ours.begin_of_document == theirs("")["input_ids"] == begin
        (whole,) = ours.tokenize_row(Text(text), offsets=True)
        literal = theirs(text, split_special_tokens=True)["input_ids"]
        assert whole.input_ids == [*literal, ours.end_of_document]
        assert whole.labels == [IGNORED] * len(begin) + whole.input_ids[len(begin) :]
        assert len(whole.offsets) == len(whole.input_ids)
        (later,) = ours.tokenize_row(Text(text, begins=False))
        assert later.input_ids == later.labels == whole.input_ids[len(begin) :]


def test_documents_that_begin_with_bos_are_trained_as_they_were_estimated(
    train: Any, tmp_path: Path, with_bos: Path
) -> None:
    tokenizer, rows = ChatTokenizer.load(with_bos), sentences(60, seed=0)
    end, bos = tokenizer.end_of_document, 1
    tokens = [end] + [token for row in rows for token in (bos, *tokenizer.encode(row["text"]), end)]
    count = (len(tokens) - 1) // 63
    options: dict[str, Any] = {"hyperparameters": {"n_epochs": 1, "batch_size": 4}, "max_steps": None}
    folder = train("run", base=with_bos, options=options)
    foretold = [token for token in tokens[1 : count * 63 + 1] if token != bos]
    assert outcome(folder)["trained_tokens"] == len(foretold)
    assert samples(folder)[0]["prompt"].startswith("<|im_start|>")

    method = {"type": "pretraining", "pretraining": OPTIONS | options}
    task = {"card": str(with_bos), "training_file": str(tmp_path / "corpus.jsonl"), "method": method}
    measured = measure(MeasureTask.model_validate({**task, "context": 2048, "on_gpu": False}))
    assert (measured.tokens.total, measured.tokens.trained) == (len(tokens) - 1, len(tokens) - 1 - len(rows))
    assert measured.plan.steps == outcome(folder)["step"]


def test_sequences_begin_documents_at_bos() -> None:
    end, tokens = 0, [0, 1, 5, 6, 0, 1, 7, 0, 1, 8, 9]
    sequences = Sequences([np.array(tokens, np.uint32)], np.array([[0, 0], [0, 1]]), 6, end, begun=True)
    first, second = sequences[0], sequences[1]
    assert (first["input_ids"].tolist(), second["input_ids"].tolist()) == ([0, 1, 5, 6, 0, 1], [1, 7, 0, 1, 8, 9])
    assert (first["edges"], second["edges"]) == ([0, 1, 5], [0, 3])
    assert first["labels"].tolist() == [IGNORED, IGNORED, 5, 6, 0, IGNORED]
    assert second["labels"].tolist() == [IGNORED, 7, 0, IGNORED, 8, 9]


@pytest.mark.parametrize("begun", [False, True])
def test_documents_see_nothing_of_each_other(tiny: Path, begun: bool) -> None:
    """The loss of sequences together is that of each document alone, behind what begins it.

    That is the token that ended the one before, or one of its own, which nothing foretells.
    """
    model: Any = AutoModelForCausalLM.from_pretrained(tiny).requires_grad_(False)
    attention.use(model)
    draw = np.random.default_rng(0)
    end, bos = 0, [1] * begun
    documents = (token for length in (20, 50, 70) for token in (end, *bos, *draw.integers(3, 200, length)))
    tokens = np.array([*documents], np.uint32)
    sequences = Sequences([tokens], np.array([[0, 0], [0, 1], [0, 2]]), 48, end, begun=begun)
    (batch,) = Collator(1024)([sequences[i] for i in range(3)])["sequences"]
    together, scored = score(model, batch)

    alone, count = 0.0, 0
    for i in range(3):
        row = sequences[i]
        edges = [*row["edges"], 48]
        for start, stop in pairwise(edges):
            ids = torch.from_numpy(row["input_ids"][start : stop + (not begun)])[None]  # and the token that ends it
            if ids.shape[1] > 1:
                logits = model(input_ids=ids).logits[0, :-1]
                alone += float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
                count += ids.shape[1] - 1
    assert scored.tokens == count == 3 * 47 - 3 * begun
    assert float(together) == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weights": "adapter", "lora": {"r": 4, "alpha": 8, "dropout": 0.1}},
        {"validation_split": 0.2, "early_stopping": {"patience": 3}},
    ],
)
def test_a_resumed_run_ends_with_the_same_bytes(train: Any, options: dict[str, Any]) -> None:
    files: dict[str, Any] = {"validation_file": None} if "validation_split" in options else {}
    undisturbed = train("undisturbed", options=options, **files)
    checkpoint = undisturbed / events(undisturbed, "checkpoint")[0]["path"]
    resumed = train("resumed", options=options, resume_from=checkpoint, **files)
    name = "adapter_model.safetensors" if options.get("weights") == "adapter" else "model.safetensors"
    assert (resumed / "artifacts" / name).read_bytes() == (undisturbed / "artifacts" / name).read_bytes()
    assert (last_checkpoint(undisturbed) / "facts.json").exists() == (name == "model.safetensors")
    assert results(resumed) == results(undisturbed)
    states = [(last_checkpoint(run_dir) / "trainer_state.json").read_text() for run_dir in (undisturbed, resumed)]
    assert [json.loads(state)["log_history"] for state in states] == [[], []]  # the counters have it all


def test_another_text_is_replayed(train: Any, tmp_path: Path) -> None:
    replay = write_rows(tmp_path / "replay.jsonl", sentences(40, seed=2))
    folder = train(
        "run", options={"replay": {"file": "file-x", "fraction": 0.25}, "max_steps": None}, replay_file=replay
    )
    said = [event["message"] for event in events(folder, "message")]
    assert any("of the replay file join" in message for message in said)
    alone = train("alone", options={"max_steps": None})
    assert outcome(folder)["trained_tokens"] == pytest.approx(outcome(alone)["trained_tokens"] / 0.75, rel=0.1)
    weights = [(run_dir / "artifacts" / "model.safetensors").read_bytes() for run_dir in (folder, alone)]
    assert weights[0] != weights[1]


def test_parquet_is_read_as_its_rows_in_lines_are(train: Any, tmp_path: Path) -> None:
    path = tmp_path / "corpus.parquet"
    path.write_bytes(parquet(sentences(60, seed=0)))
    of_lines, of_columns = train("lines"), train("columns", training_file=path)
    weights = [(run_dir / "artifacts" / "model.safetensors").read_bytes() for run_dir in (of_lines, of_columns)]
    assert weights[0] == weights[1]


def test_plain_text_is_one_document(train: Any, tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(row["text"] for row in sentences(60, seed=0)))
    assert outcome(train("run", training_file=path))["trained_tokens"] == 6 * 4 * 63


def test_too_little_text_is_refused_by_key(train: Any, tmp_path: Path, few_rows: Path) -> None:
    short = write_rows(tmp_path / "short.jsonl", sentences(1, seed=0)[:1])
    folder = train("short", status=1, training_file=short, options={"max_length": 512})
    assert error(folder)["param"] == "training_file"
    assert "max_length (512)" in error(folder)["message"]
    chats = train("chats", status=1, training_file=few_rows)
    assert error(chats)["param"] == "training_file"
