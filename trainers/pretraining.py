"""Pre-training: every token of a text is foretold from those before it in its document."""

import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainingArguments
from trl.trainer.utils import add_fused_lm_head

from core.rows import packing
from core.rows.tokens import ChatTokenizer
from core.specs.run import RunResult, RunSpec
from core.specs.training import Samples
from trainers import attention
from trainers.corpus import Sequences, read_corpus
from trainers.finetuning import Method, Run, finetune
from trainers.rundir import RunDir
from trainers.samples import complete
from trainers.scoring import Score, Sequence, means
from trainers.sequences import SequenceTrainer, score_all
from trainers.stopping import StopRequest

EXPLODED = 3  # times the loss of guessing uniformly
LONGEST_PROMPT = 64  # tokens of a sample
COLUMNS = {
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "train_perplexity": "train_perplexity",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
    "valid_perplexity": "valid_perplexity",
}


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Run one job on text in its run directory. Raises what `finetune` does."""
    method = Method(
        read_corpus, make_trainer, validation, highest_loss, COLUMNS, samples=write_continuations, figures=figures
    )
    return finetune(spec, run_dir, stop, method)


def make_trainer(run: Run) -> "Trainer":
    attention.use(run.model)
    if run.spec.devices:  # `score` takes its loss from there
        base = run.model.get_base_model() if hasattr(run.model, "get_base_model") else run.model
        add_fused_lm_head(base, outputs=("log_probs", "entropy", "is_top1"))
    arguments = run.arguments(batch=run.plan.batch_size)
    return Trainer(
        model=run.model,
        args=TrainingArguments(**arguments, remove_unused_columns=False, label_names=[]),
        train_dataset=run.rows,
        processing_class=run.tokenizer,
        data_collator=Collator(run.plan.capacity),
    )


@dataclass(frozen=True)
class Collator:
    """Puts as many of a step's sequences together as `capacity` tokens hold: they still see nothing of each other."""

    capacity: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, list[Sequence]]:
        shared = packing.bins([len(row["input_ids"]) for row in rows], capacity=self.capacity)
        return {"sequences": [self._together([rows[i] for i in some]) for some in shared]}

    def _together(self, rows: list[dict[str, Any]]) -> Sequence:
        length = len(rows[0]["input_ids"])
        input_ids, labels = (torch.cat([torch.from_numpy(row[key]) for row in rows]) for key in ("input_ids", "labels"))
        edges = [i * length + edge for i, row in enumerate(rows) for edge in row["edges"]]
        edges.append(input_ids.numel())
        positions = [torch.arange(end - start) for start, end in pairwise(edges)]
        return {
            "input_ids": input_ids[None],
            "labels": labels[None],
            "position_ids": torch.cat(positions)[None],
            "edges": edges,
        }


class Trainer(SequenceTrainer, transformers.Trainer):
    """transformers' trainer, with sequences and a loss of our own, whose exact figures go to Progress."""


def validation(trainer: Trainer, rows: Sequences) -> Callable[[], dict[str, float]]:
    """The means are over all foretold tokens of the validation sequences."""
    size = trainer.args.per_device_train_batch_size

    def validate() -> dict[str, float]:
        batches = (
            trainer.data_collator([rows[i] for i in range(at, min(at + size, len(rows)))])
            for at in range(0, len(rows), size)
        )
        return figures(list(chain.from_iterable(score_all(trainer, [batch]) for batch in batches)))

    return validate


def figures(scores: list[Score]) -> dict[str, float]:
    """The means, and the perplexity: as many equally likely tokens would be as hard to foretell."""
    found = means(scores)
    return found | {"perplexity": math.exp(min(found["loss"], 700))}


def highest_loss(_: RunSpec, model: Any) -> float:
    return EXPLODED * math.log(model.config.vocab_size)


def write_continuations(
    path: Path,
    model: Any,
    tokenizer: Any,
    tokens: ChatTokenizer,
    rows: Sequences,
    *,
    options: Samples,
    as_before: AbstractContextManager[None],
) -> None:
    """Write one line a sequence: how its first tokens go on, `{row, prompt, expected, before, after}`."""
    most = min(LONGEST_PROMPT, rows.length // 2)
    sequences = [_behind_the_end(rows[i]) for i in range(len(rows))]
    prompts, rest = [ids[:most] for ids in sequences], [ids[most : most + options.max_tokens] for ids in sequences]
    how: dict[str, Any] = {"ends": [rows.end], "max_tokens": options.max_tokens}
    after = complete(model, tokenizer, prompts, **how)
    with as_before:
        before = complete(model, tokenizer, prompts, **how)
    with path.open("w", encoding="utf-8") as file:
        for i, (prompt, expected) in enumerate(zip(prompts, rest, strict=True)):
            texts = {"prompt": tokenizer.decode(prompt), "expected": tokenizer.decode(expected)}
            line = {"row": i, **texts, "before": before[i], "after": after[i]}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _behind_the_end(row: dict[str, Any]) -> list[int]:
    """The tokens of a sequence, without one that ends the document before: no document that has a beginning sees it."""
    return row["input_ids"][1 if row["edges"][1:2] == [1] else 0 :].tolist()
