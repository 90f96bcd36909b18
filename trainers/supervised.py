"""Supervised fine-tuning: TRL's SFTTrainer on rows that were tokenised here, with a LoRA adapter by PEFT."""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, set_seed
from trl.data_utils import pack_dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from core.rows import packing, read
from core.rows.chat import Chat
from core.rows.error import RowError
from core.rows.tokens import ChatTokenizer, Tokenized
from core.specs.choices import max_length, resolve
from core.specs.method import Supervised
from core.specs.run import ResolvedEvent, RunResult, RunSpec
from trainers import adapters, checkpoints
from trainers.errors import SpecError
from trainers.progress import Progress
from trainers.results import write_results
from trainers.rundir import RunDir
from trainers.samples import write_samples
from trainers.scoring import score
from trainers.stopping import StopRequest

MOST_AUTO_SAMPLES = 16


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Run one supervised job in its run directory.

    Raises:
        SpecError: the job can't be done as asked for (a row is too long, the adapter has another shape).
        NonFiniteLoss: training diverged.
        Stopped: SIGTERM came outside of a step.
    """
    options = spec.method.supervised
    if spec.threads:
        torch.set_num_threads(spec.threads)

    tokenizer = load_tokenizer(spec)
    model = load_base(spec)
    limit = longest_row(options, model)
    tokens = ChatTokenizer.load(Path(spec.base_model))
    chats, rows = read_rows(spec.training_file, tokens, stop, limit=limit, param="training_file")
    valid_chats, valid_rows = (
        read_rows(spec.validation_file, tokens, stop, limit=limit, param="validation_file")
        if spec.validation_file
        else ([], [])
    )
    set_seed(spec.seed)
    model = adapters.attach(model, lora=options.lora, start_adapter=spec.start_adapter)

    chosen = resolve(options, rows=len(chats))
    reached = checkpoints.read_counters(Path(spec.resume_from)) if spec.resume_from else checkpoints.Counters()
    packed = reached.packing or packing.plan(
        [len(row.input_ids) for row in rows], batch_size=chosen.batch_size, on_gpu=bool(spec.devices)
    )
    reached.packing = packed
    learning_rate = chosen.learning_rate_multiplier * base_learning_rate(model.config.hidden_size)
    config = configure(spec, run_dir, packed, epochs=chosen.n_epochs, learning_rate=learning_rate)
    trainer = Trainer(model=model, args=config, train_dataset=dataset(rows), processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)  # events.jsonl says the same, and better
    sequences = len(trainer.get_train_dataloader())
    total_steps = packing.total_steps(sequences, packed, epochs=chosen.n_epochs)
    every = max(1, total_steps // 10) if options.checkpoint_interval == "auto" else options.checkpoint_interval
    trainer.progress = Progress(
        run_dir,
        stop,
        reached=reached,
        validate=validation(trainer, valid_rows, packed) if valid_rows else None,
        eval_interval=every if options.eval_interval == "auto" else options.eval_interval,
        checkpoint_interval=every,
        base_model_name=spec.base_model_name,
    )
    trainer.add_callback(trainer.progress)

    run_dir.emit(ResolvedEvent(hyperparameters=asdict(chosen), total_steps=total_steps))
    run_dir.say(
        f"{len(rows)} rows of {sum(len(row.input_ids) for row in rows)} tokens, packed into {sequences} sequences "
        f"of up to {packed.length}, {packed.sequences} a step; learning rate {learning_rate:.3g}"
    )
    with stop.deferred():
        trainer.train(resume_from_checkpoint=spec.resume_from)
    counters = trainer.progress.counters
    result = RunResult(
        outcome="succeeded" if counters.step == total_steps else "stopped",
        step=counters.step,
        trained_tokens=counters.trained_tokens,
        metrics=trainer.progress.metrics(),
    )
    if result.outcome == "stopped":
        return result
    stop.check()

    model.save_pretrained(run_dir.artifacts, safe_serialization=True)
    tokenizer.save_pretrained(run_dir.artifacts)
    adapters.tidy(run_dir.artifacts, base_model_name=spec.base_model_name)
    write_results(run_dir.artifacts / "results.csv", counters.history)
    count = MOST_AUTO_SAMPLES if options.samples.rows == "auto" else options.samples.rows
    if valid_chats[:count]:
        run_dir.say(f"Writing samples of {len(valid_chats[:count])} validation rows, before and after")
        write_samples(
            run_dir.artifacts / "samples.jsonl",
            model,
            tokenizer,
            tokens,
            valid_chats[:count],
            max_tokens=options.samples.max_tokens,
            start_adapter=spec.start_adapter,
        )
    stop.check()
    shutil.rmtree(run_dir.working, ignore_errors=True)
    return result


def load_tokenizer(spec: RunSpec) -> Any:
    """The base model's, with something to pad with: padding is masked wherever it is used."""
    tokenizer: Any = AutoTokenizer.from_pretrained(spec.base_model, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(spec: RunSpec) -> Any:
    """The base model, in fp32 on a CPU (bf16 is emulated there, and slower) and bf16 on a GPU."""
    dtype = torch.bfloat16 if spec.devices else torch.float32
    return AutoModelForCausalLM.from_pretrained(
        spec.base_model, dtype=dtype, attn_implementation="sdpa", use_safetensors=True, trust_remote_code=False
    )


def longest_row(options: Supervised, model: Any) -> int:
    """Tokens of the longest row that is accepted.

    Raises:
        SpecError: more was asked for than the model's context.
    """
    try:
        return max_length(options, context=model.config.max_position_embeddings)
    except ValueError as error:
        raise SpecError(str(error), param="method.supervised.max_length") from None


def read_rows(
    path: str, tokenizer: ChatTokenizer, stop: StopRequest, *, limit: int, param: str
) -> tuple[list[Chat], list[Tokenized]]:
    """Parse and tokenise a file.

    Raises:
        SpecError: there are no rows, or one has more than `limit` tokens, can't be parsed, or does not suit the chat
            template.
    """
    chats, rows, number = [], [], 0
    try:
        for number, chat in read.chats(path):
            stop.check()
            tokens = tokenizer.tokenize(chat)
            if len(tokens.input_ids) > limit:
                raise RowError(number, "", f"has {len(tokens.input_ids)} tokens, but max_length is {limit}")
            chats.append(chat)
            rows.append(tokens)
    except RowError as fault:
        raise SpecError(f"{param}: {fault}", param=param, code="invalid_file") from None
    except ValueError as error:
        raise SpecError(f"{param}: line {number}: {error}", param=param, code="invalid_file") from None
    if not rows:
        raise SpecError(f"{param}: the file has no rows", param=param, code="invalid_file")
    return chats, rows


def base_learning_rate(hidden_size: int) -> float:
    """LoRA's learning rate for a model's width: ten times that of full training, falling with the width.

    The fit is that of "LoRA Without Regret" (Schulman et al., 2025) for the Llama family; its cap for very small models
    is ours.
    """
    return min(2e-3, 5e-4 * (2000 / hidden_size) ** 0.781)


class Trainer(SFTTrainer):
    """TRL's trainer, with a loss of our own, whose exact figures go to Progress."""

    progress: Progress
    # Divided by the step's tokens right below: nothing is left to divide by the number of sequences.
    loss_is_scaled_for_ga = True

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        assert not return_outputs
        assert num_items_in_batch is not None  # tokens that carry loss, in all sequences of the step
        scored = score(model, inputs)
        self.progress.add(scored, tokens=inputs["input_ids"].numel())
        return scored.loss_sum / num_items_in_batch

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super(SFTTrainer, self)._save_checkpoint(model, trial)  # TRL's own would write a model card first


def configure(
    spec: RunSpec, run_dir: RunDir, packed: packing.Packing, *, epochs: int, learning_rate: float
) -> SFTConfig:
    on_gpu = bool(spec.devices)
    return SFTConfig(
        output_dir=str(run_dir.working),
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
        warmup_steps=0.05,  # of all steps
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
        save_strategy="no",  # Progress says when
        report_to="none",
        disable_tqdm=True,
    )


def dataset(rows: list[Tokenized]) -> Dataset:
    return Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})


def validation(trainer: Trainer, rows: list[Tokenized], packed: packing.Packing) -> Callable[[], tuple[float, float]]:
    """A function that answers (loss, token accuracy) over all trained tokens of the validation rows.

    The rows are packed as in training; the mean is over tokens, so that it does not depend on how they fall together.
    """
    length = max(packed.length, *(len(row.input_ids) for row in rows))
    sequences: Any = pack_dataset(dataset(rows), length, "bfd")

    @torch.no_grad()
    def validate() -> tuple[float, float]:
        model: Any = trainer.model
        model.eval()
        scored = [score(model, trainer._prepare_inputs(trainer.data_collator([sequence]))) for sequence in sequences]
        model.train()
        tokens = sum(part.tokens for part in scored)
        return sum(float(part.loss_sum) for part in scored) / tokens, sum(part.correct for part in scored) / tokens

    return validate
