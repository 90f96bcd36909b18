"""Supervised fine-tuning: TRL's SFTTrainer on rows that were tokenised here."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, set_seed
from trl.data_utils import pack_dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from core.rows import packing
from core.rows.tokens import ChatTokenizer, Tokenized
from core.specs import choices
from core.specs.run import ResolvedEvent, RunResult, RunSpec
from core.specs.supervised import Supervised
from trainers import checkpoints, weights
from trainers.arguments import arguments
from trainers.errors import SpecError
from trainers.loading import load_tokenizer
from trainers.noise import EmbeddingNoise
from trainers.progress import Progress
from trainers.results import write_results
from trainers.rows import Rows, read_rows
from trainers.rundir import RunDir
from trainers.samples import write_samples
from trainers.scoring import score
from trainers.stopping import StopRequest
from trainers.tensorboard import write_tensorboard

MOST_AUTO_SAMPLES = 16


@dataclass(frozen=True)
class Plan:
    """sequences: of one pass. learning_rate: the highest."""

    packed: packing.Packing
    sequences: int
    total_steps: int
    chosen: choices.Chosen
    learning_rate: float


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Run one supervised job in its run directory.

    Raises:
        SpecError: the job can't be done as asked for (no row fits, the adapter has another shape).
        Diverged: a loss is no number any more, or far beyond that of guessing.
        OutOfTime: max_duration_seconds are over.
        Stopped: SIGTERM came outside of a step.
    """
    options = spec.method.options
    if spec.threads:
        torch.set_num_threads(spec.threads)

    tokenizer = load_tokenizer(spec)
    set_seed(spec.seed)
    model = weights.start(spec)
    tokens = ChatTokenizer.load(Path(spec.base_model))
    rows, valid = read_files(spec, run_dir, tokens, stop, limit=longest_row(options, model))

    reached = checkpoints.read_counters(Path(spec.resume_from)) if spec.resume_from else checkpoints.Counters()
    plan = make_plan(spec, rows, reached.packing, width=model.config.hidden_size)
    reached.packing = plan.packed
    reached.done = reached.done or reached.step >= plan.total_steps
    trainer = make_trainer(spec, run_dir, plan, model, tokenizer, rows)
    every = max(1, plan.total_steps // 10) if options.checkpoint_interval == "auto" else options.checkpoint_interval
    trainer.progress = Progress(
        run_dir,
        stop,
        spec,
        reached=reached,
        validate=validation(trainer, valid.tokens, plan.packed) if valid.tokens else None,
        eval_interval=every if options.eval_interval == "auto" else options.eval_interval,
        checkpoint_interval=every,
        early_stopping=options.early_stopping,
        keep_best=options.keep_best,
    )
    trainer.add_callback(trainer.progress)

    run_dir.emit(ResolvedEvent(hyperparameters=asdict(plan.chosen), total_steps=plan.total_steps))
    run_dir.say(
        f"{len(rows.tokens)} rows of {sum(rows.lengths())} tokens in {plan.sequences} sequences of up to "
        f"{plan.packed.length}, {plan.packed.sequences} a step; learning rate {plan.learning_rate:.3g}; "
        f"{len(valid.tokens)} rows for validation"
    )
    if reached.done:
        weights.load_folder(model, str(spec.resume_from))
    else:
        with stop.deferred():
            trainer.train(resume_from_checkpoint=spec.resume_from)
    result = trainer.progress.result()
    if result.outcome == "stopped":
        return result
    stop.check()
    trainer.progress.restore_best(model)
    write_artifacts(spec, run_dir, model, tokenizer, tokens, valid, history=reached.history)
    stop.check()
    shutil.rmtree(run_dir.working, ignore_errors=True)
    return result


def read_files(
    spec: RunSpec, run_dir: RunDir, tokens: ChatTokenizer, stop: StopRequest, *, limit: int
) -> tuple[Rows, Rows]:
    """(training rows, with what is replayed; validation rows: of a file of their own, held out of the former, or none).

    Raises:
        SpecError: a file can't be used.
    """
    options = spec.method.options

    def rows_of(path: str, param: str) -> Rows:
        return read_rows(path, tokens, run_dir, stop, limit=limit, long_rows=options.long_rows, param=param)

    rows = rows_of(spec.training_file, "training_file")
    if spec.validation_file:
        valid = rows_of(spec.validation_file, "validation_file")
    else:
        rows, valid = held_out(spec, rows)
    if spec.replay_file and options.replay:
        replay = rows_of(spec.replay_file, f"method.{spec.method.type}.replay.file")
        count = choices.replayed(options, rows=len(rows.tokens), available=len(replay.tokens))
        run_dir.say(f"{count} of {len(replay.tokens)} rows of the replay file join {len(rows.tokens)} others")
        rows = rows.with_replay(replay, count, seed=spec.seed)
    return rows, valid


def held_out(spec: RunSpec, rows: Rows) -> tuple[Rows, Rows]:
    """(the rest, rows for validation): as many as the job asks to hold out.

    Raises:
        SpecError: none could be.
    """
    options = spec.method.options
    count = choices.held_out(options, rows=len(rows.tokens))
    if options.validation_split is not None and count == 0:
        param = f"method.{spec.method.type}.validation_split"
        raise SpecError(f"{param}: a single row is left to train on, and none to hold out", param=param)
    return rows.split(count, seed=spec.seed)


def make_plan(spec: RunSpec, rows: Rows, packed: packing.Packing | None, *, width: int) -> Plan:
    """How the rows become steps.

    Args:
        packed: as the first attempt packed them, where this is a later one.
        width: of the model.
    """
    options, lengths = spec.method.options, rows.lengths()
    packed = packed or packing.plan(
        lengths,
        batch_size=choices.batch_size(options),
        on_gpu=bool(spec.devices),
        shared=options.packing == "auto",
    )
    sequences = packing.count_sequences(lengths, packed)
    per_epoch = packing.steps_per_epoch(sequences, packed)
    chosen = choices.resolve(options, rows=len(lengths), per_epoch=per_epoch)
    return Plan(
        packed,
        sequences,
        total_steps=choices.total_steps(options, rows=len(lengths), per_epoch=per_epoch),
        chosen=chosen,
        learning_rate=chosen.learning_rate_multiplier * choices.learning_rate(options, width=width),
    )


def make_trainer(spec: RunSpec, run_dir: RunDir, plan: Plan, model: Any, tokenizer: Any, rows: Rows) -> "Trainer":
    options = spec.method.options
    common = arguments(
        spec,
        run_dir,
        options.optimization,
        learning_rate=plan.learning_rate,
        steps=plan.total_steps,
        accumulate=plan.packed.sequences,
    )
    trainer = Trainer(
        model=model,
        args=SFTConfig(**common, packing=plan.packed.shared, packing_strategy="bfd", max_length=plan.packed.length),
        train_dataset=dataset(rows.tokens),
        processing_class=tokenizer,
    )
    assert len(trainer.get_train_dataloader()) == plan.sequences
    trainer.remove_callback(PrinterCallback)  # events.jsonl says the same, and better
    if options.neftune_alpha is not None:
        trainer.noise = EmbeddingNoise(options.neftune_alpha)
        model.get_input_embeddings().register_forward_hook(trainer.noise)
    return trainer


def write_artifacts(
    spec: RunSpec,
    run_dir: RunDir,
    model: Any,
    tokenizer: Any,
    tokens: ChatTokenizer,
    valid: Rows,
    *,
    history: list[dict[str, Any]],
) -> None:
    """Weights and tokenizer, the result file, samples, and the merged model where it was asked for."""
    options = spec.method.options
    model.save_pretrained(run_dir.artifacts, safe_serialization=True)
    tokenizer.save_pretrained(run_dir.artifacts)
    weights.tidy(run_dir.artifacts, base_model_name=spec.base_model_name)
    write_results(run_dir.artifacts / "results.csv", history)
    if options.tensorboard:
        write_tensorboard(run_dir.artifacts / "tensorboard", history)
    chats = valid.chats[: MOST_AUTO_SAMPLES if options.samples.rows == "auto" else options.samples.rows]
    if chats:
        run_dir.say(f"Writing samples of {len(chats)} validation rows, before and after")
        write_samples(
            run_dir.artifacts / "samples.jsonl",
            model,
            tokenizer,
            tokens,
            chats,
            max_tokens=options.samples.max_tokens,
            as_before=weights.as_before(model, spec),
        )
    if options.merged_weights:
        run_dir.say("Merging the adapter into the base model")
        weights.load_folder(model, str(run_dir.artifacts))  # samples may have left others
        weights.write_merged(model, tokenizer, run_dir.artifacts / "merged")


def longest_row(options: Supervised, model: Any) -> int:
    """Tokens of a row that are trained at most.

    Raises:
        SpecError: more was asked for than the model's context.
    """
    try:
        return choices.max_length(options, context=model.config.max_position_embeddings)
    except ValueError as error:
        raise SpecError(str(error), param="method.supervised.max_length") from None


class Trainer(SFTTrainer):
    """TRL's trainer, with a loss of our own, whose exact figures go to Progress."""

    progress: Progress
    noise: EmbeddingNoise | None = None
    # Divided by the step's tokens right below: nothing is left to divide by the number of sequences.
    loss_is_scaled_for_ga = True

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        assert not return_outputs
        assert num_items_in_batch is not None  # tokens that carry loss, in all sequences of the step
        if self.noise is not None:
            self.noise.begin(inputs)
        scored = score(model, inputs)
        self.progress.add(scored, tokens=inputs["input_ids"].numel())
        return scored.loss_sum / num_items_in_batch

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super(SFTTrainer, self)._save_checkpoint(model, trial)  # TRL's own would write a model card first


def dataset(rows: list[Tokenized]) -> Dataset:
    return Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})


def validation(trainer: Trainer, rows: list[Tokenized], packed: packing.Packing) -> Callable[[], tuple[float, float]]:
    """A function that answers (loss, token accuracy) over all trained tokens of the validation rows.

    The rows are packed as in training; the mean is over tokens, so that it does not depend on how they fall together.
    """
    length = max(packed.length, *(len(row.input_ids) for row in rows))
    sequences: Any = pack_dataset(dataset(rows), length, "bfd") if packed.shared else dataset(rows)

    @torch.no_grad()
    def validate() -> tuple[float, float]:
        model: Any = trainer.model
        model.eval()
        scored = [score(model, trainer._prepare_inputs(trainer.data_collator([sequence]))) for sequence in sequences]
        model.train()
        tokens = sum(part.tokens for part in scored)
        return sum(float(part.loss_sum) for part in scored) / tokens, sum(part.correct for part in scored) / tokens

    return validate
