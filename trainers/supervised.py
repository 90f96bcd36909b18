"""Supervised fine-tuning: TRL's SFTTrainer on rows that were tokenised here, with a LoRA adapter by PEFT."""

import math
import shutil
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl.data_utils import pack_dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from core.rows.chat import Message, parse_chat
from core.rows.fault import RowFault
from core.rows.jsonl import lines
from core.specs.method import Supervised
from core.specs.run import ResolvedEvent, RunResult, RunSpec
from trainers import adapters, packing
from trainers.errors import SpecError
from trainers.progress import Progress
from trainers.results import write_results
from trainers.rundir import RunDir
from trainers.samples import write_samples
from trainers.stopping import StopRequest
from trainers.tokenize import IGNORED, Tokenized, tokenize

MOST_AUTO_LENGTH = 4096
MOST_AUTO_SAMPLES = 16


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Run one supervised job in its run directory.

    Raises:
        SpecError: the job can't be done as asked for (a row is too long, the adapter has another shape).
        Stopped: SIGTERM came before the first step or after the last.
    """
    options = spec.method.supervised
    if spec.threads:
        torch.set_num_threads(spec.threads)
    set_seed(spec.seed)

    tokenizer = AutoTokenizer.from_pretrained(spec.base_model)
    model = load_base(spec)
    limit = max_length(options, model)
    rows, tokenized = read_rows(spec.training_file, tokenizer, limit=limit, param="training_file")
    valid_rows, valid_tokenized = (
        read_rows(spec.validation_file, tokenizer, limit=limit, param="validation_file")
        if spec.validation_file
        else ([], [])
    )
    model = adapters.attach(model, lora=options.lora, start_adapter=spec.start_adapter)

    epochs, batch_size, multiplier = resolve(options, rows=len(rows))
    packed = packing.plan([len(row.input_ids) for row in tokenized], batch_size=batch_size, on_gpu=bool(spec.devices))
    learning_rate = multiplier * base_learning_rate(model.config.hidden_size)
    trainer = build_trainer(
        spec, run_dir, model, tokenizer, tokenized, packed=packed, epochs=epochs, learning_rate=learning_rate
    )
    total_steps = epochs * math.ceil(len(trainer.get_train_dataloader()) / packed.sequences)
    checkpoint_interval = interval(options.checkpoint_interval, total_steps)
    trainer.args.save_steps = trainer.state.save_steps = checkpoint_interval
    progress = Progress(
        run_dir,
        stop,
        validate=validation(trainer, valid_tokenized, packed) if valid_tokenized else None,
        eval_interval=checkpoint_interval if options.eval_interval == "auto" else options.eval_interval,
        base_model_name=spec.base_model_name,
    )
    trainer.progress = progress
    trainer.add_callback(progress)

    chosen = {"n_epochs": epochs, "batch_size": batch_size, "learning_rate_multiplier": multiplier}
    run_dir.emit(ResolvedEvent(hyperparameters=chosen, total_steps=total_steps))
    if spec.resume_from:
        progress.load(Path(spec.resume_from))
    with stop.deferred():
        trainer.train(resume_from_checkpoint=spec.resume_from)
    result = RunResult(
        outcome="succeeded",
        step=trainer.state.global_step,
        trained_tokens=progress.trained_tokens,
        metrics={k: v for k, v in progress.history[-1].items() if k not in ("step", "seconds")},
    )
    if trainer.state.global_step < total_steps:
        return result.model_copy(update={"outcome": "stopped"})

    write_artifacts(spec, run_dir, model, tokenizer, progress)
    samples = options.samples
    count = MOST_AUTO_SAMPLES if samples.rows == "auto" else samples.rows
    if valid_rows[:count]:
        run_dir.say(f"Writing samples of {len(valid_rows[:count])} validation rows, before and after")
        write_samples(
            run_dir.artifacts / "samples.jsonl",
            model,
            tokenizer,
            valid_rows[:count],
            max_tokens=samples.max_tokens,
            start_adapter=spec.start_adapter,
        )
    shutil.rmtree(run_dir.path / "trainer", ignore_errors=True)
    return result


def load_base(spec: RunSpec) -> Any:
    """The base model, in fp32 on a CPU (bf16 is emulated there, and slower) and bf16 on a GPU."""
    dtype = torch.bfloat16 if spec.devices else torch.float32
    return AutoModelForCausalLM.from_pretrained(
        spec.base_model, dtype=dtype, attn_implementation="sdpa", use_safetensors=True, trust_remote_code=False
    )


def max_length(options: Supervised, model: Any) -> int:
    context = model.config.max_position_embeddings
    if options.max_length == "auto":
        return min(context, MOST_AUTO_LENGTH)
    if options.max_length > context:
        raise SpecError(
            f"max_length: {options.max_length} was asked for, but the model's context is {context}",
            param="method.supervised.max_length",
        )
    return options.max_length


def read_rows(path: str, tokenizer: Any, *, limit: int, param: str) -> tuple[list[list[Message]], list[Tokenized]]:
    """Parse and tokenise a file.

    Raises:
        SpecError: a row has more than `limit` tokens, can't be parsed, or does not suit the chat template.
    """
    rows, tokenized, number = [], [], 0
    try:
        with open(path, "rb") as file:
            for number, line in lines(file):
                row = parse_chat(number, line)
                tokens = tokenize(tokenizer, row)
                if len(tokens.input_ids) > limit:
                    raise RowFault(number, "", f"has {len(tokens.input_ids)} tokens; max_length is {limit}")
                rows.append(row)
                tokenized.append(tokens)
    except RowFault as fault:
        raise SpecError(f"{param}: {fault}", param=param, code="invalid_file") from None
    except ValueError as error:
        raise SpecError(f"{param}: line {number}: {error}", param=param, code="invalid_file") from None
    return rows, tokenized


def resolve(options: Supervised, *, rows: int) -> tuple[int, int, float]:
    """(n_epochs, batch_size, learning_rate_multiplier), chosen where the job says auto."""
    given = options.hyperparameters
    auto_epochs = 3 if rows <= 10_000 else 2 if rows <= 50_000 else 1
    return (
        auto_epochs if given.n_epochs == "auto" else given.n_epochs,
        8 if given.batch_size == "auto" else given.batch_size,
        1.0 if given.learning_rate_multiplier == "auto" else given.learning_rate_multiplier,
    )


def base_learning_rate(hidden_size: int) -> float:
    """LoRA's learning rate for a model's width: ten times that of full training, falling with the width.

    The fit is that of "LoRA Without Regret" (Schulman et al., 2025) for the Llama family; its cap for very small models
    is ours.
    """
    return min(2e-3, 5e-4 * (2000 / hidden_size) ** 0.781)


def interval(asked: Any, total_steps: int) -> int:
    """Optimiser steps between checkpoints; auto: a tenth of the run."""
    return max(1, total_steps // 10) if asked == "auto" else asked


class Trainer(SFTTrainer):
    """TRL's trainer, with the exact figures of each step handed to Progress."""

    progress: Progress

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        labels = inputs["labels"]
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        trained = int((labels[..., 1:] != IGNORED).sum())
        self.progress.tokens += trained
        self.progress.loss_sum += float(loss.detach())
        self.progress.correct += round(self._metrics["train"]["mean_token_accuracy"][-1] * trained)
        return loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super(SFTTrainer, self)._save_checkpoint(model, trial)  # TRL's own would write a model card first


def build_trainer(
    spec: RunSpec,
    run_dir: RunDir,
    model: Any,
    tokenizer: Any,
    rows: list[Tokenized],
    *,
    packed: packing.Packing,
    epochs: int,
    learning_rate: float,
) -> Trainer:
    on_gpu = bool(spec.devices)
    config = SFTConfig(
        output_dir=str(run_dir.path / "trainer"),
        seed=spec.seed,
        data_seed=spec.seed,
        num_train_epochs=epochs,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=packed.sequences,
        packing=True,
        packing_strategy="bfd",
        max_length=packed.length,
        learning_rate=learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=0.05,
        weight_decay=0.0,
        adam_beta2=0.95,
        max_grad_norm=1.0,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        gradient_checkpointing=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=on_gpu,
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        report_to="none",
        disable_tqdm=True,
    )
    return Trainer(model=model, args=config, train_dataset=dataset(rows), processing_class=tokenizer)


def dataset(rows: list[Tokenized]) -> Dataset:
    return Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})


def validation(trainer: Trainer, rows: list[Tokenized], packed: packing.Packing) -> Any:
    """A function that answers (loss, token accuracy) over all trained tokens of the validation rows.

    The rows are packed as in training; the mean is over tokens, so that it does not depend on how they fall together.
    """
    length = max(packed.length, *(len(row.input_ids) for row in rows), 0)
    sequences: Any = pack_dataset(dataset(rows), length, "bfd")

    @torch.no_grad()
    def validate() -> tuple[float, float]:
        model: Any = trainer.model
        model.eval()
        loss = correct = tokens = 0.0
        for sequence in sequences:
            inputs = trainer._prepare_inputs(trainer.data_collator([sequence]))
            outputs = model(**inputs, use_cache=False, fused_lm_head=True)
            loss -= float(outputs.log_probs.sum())
            correct += float(outputs.is_top1.sum())
            tokens += float(outputs.label_mask.sum())
        model.train()
        return loss / max(1.0, tokens), correct / max(1.0, tokens)

    return validate


def write_artifacts(spec: RunSpec, run_dir: RunDir, model: Any, tokenizer: Any, progress: Progress) -> None:
    """The adapter, the tokenizer with its chat template (what was trained is what is served), and the result CSV."""
    model.save_pretrained(run_dir.artifacts, safe_serialization=True)
    adapters.tidy(run_dir.artifacts, base_model_name=spec.base_model_name)
    tokenizer.save_pretrained(run_dir.artifacts)
    write_results(run_dir.artifacts / "results.csv", progress.history)
