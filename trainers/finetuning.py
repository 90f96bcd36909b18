"""Fine-tuning, from the files to the artifacts: what the methods that learn from rows have in common."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, set_seed

from core.rows import packing
from core.rows.tokens import ChatTokenizer
from core.specs import choices
from core.specs.run import ResolvedEvent, RunResult, RunSpec
from trainers import attention, checkpoints, products, rollouts, weights
from trainers.arguments import arguments
from trainers.errors import SpecError
from trainers.loading import load_config, load_tokenizer
from trainers.progress import Progress
from trainers.results import write_results
from trainers.rundir import RunDir
from trainers.samples import write_samples
from trainers.scoring import Score, means
from trainers.stopping import StopRequest
from trainers.tensorboard import write_tensorboard

MOST_AUTO_SAMPLES = 16
# Parameters times tokens of a step. Below it a second thread saves nothing: the two wait for each other, and awake, so
# that whatever else wants a core holds up both (docs/benchmarks.md).
LEAST_SHARED_WORK = 10**8
LEAST_AUTO_INTERVAL = (
    10  # steps between checkpoints: the uploads of one a step would take more than an attempt can lose
)


@dataclass(frozen=True)
class Plan:
    """batch_size: rows of a step. capacity: tokens of a sequence of several rows, at most; 0: each row is one.

    longest: tokens of the longest row. learning_rate: the highest.
    """

    batch_size: int
    capacity: int
    longest: int
    total_steps: int
    chosen: choices.Chosen
    learning_rate: float


@dataclass(frozen=True)
class Run:
    """What a method makes its trainer from."""

    spec: RunSpec
    run_dir: RunDir
    plan: Plan
    model: Any
    tokenizer: Any
    tokens: ChatTokenizer
    rows: Any

    def arguments(self, *, batch: int) -> dict[str, Any]:
        """What the methods' TrainingArguments have in common.

        Args:
            batch: rows that the Trainer takes at once; has to divide those of a step.
        """
        return arguments(
            self.spec,
            self.run_dir,
            self.spec.training.optimization,
            learning_rate=self.plan.learning_rate,
            steps=self.plan.total_steps,
            batch=batch,
            accumulate=self.plan.batch_size // batch,
        )


@dataclass(frozen=True)
class Method:
    """What one method does its own way.

    read: `Rows`, or what counts, splits and replays as they do, of a file, as `read_rows` does. make_trainer: a
    transformers.Trainer, whose compute_loss tells its `progress` what each batch came to. validation: a function that
    answers the figures of the validation rows, by their names without valid_. highest_loss: of a step, from which the
    run has diverged. columns: of the result file, and the figures that they hold. samples: writes samples.jsonl, as
    `write_samples` does. figures: of a step's batches, by their names without train_.
    """

    read: Callable[..., Any]
    make_trainer: Callable[[Run], Any]
    validation: Callable[[Any, Any], Callable[[], dict[str, float]]]
    highest_loss: Callable[[RunSpec, Any], float]
    columns: dict[str, str]
    samples: Callable[..., None] = write_samples
    figures: Callable[[list[Score]], dict[str, float]] = means


def finetune(spec: RunSpec, run_dir: RunDir, stop: StopRequest, method: Method) -> RunResult:
    """Run one job in its run directory.

    Raises:
        SpecError: the job can't be done as asked for (no row fits, the adapter has another shape).
        Diverged: a loss is no number any more, or far beyond where it began.
        OutOfTime: max_duration_seconds are over.
        Stopped: SIGTERM came outside of a step.
    """
    options = spec.training
    tokenizer, tokens = load_tokenizer(spec), ChatTokenizer.load(Path(spec.base_model))
    # Before the weights, which may take minutes to load: what is wrong with a file is told at once.
    rows, valid = read_files(spec, run_dir, tokens, stop, read=method.read, limit=longest_row(spec))
    attention.use_flash()
    products.use()  # before an adapter is merged: the model and its reference have to be made alike
    set_seed(spec.seed)
    model = weights.start(spec)
    reached = checkpoints.read_counters(Path(spec.resume_from)) if spec.resume_from else checkpoints.Counters()
    plan = make_plan(spec, rows, width=model.config.hidden_size)
    use_threads(spec, parameters=model.num_parameters(), tokens=plan.batch_size * rows.token_count / len(rows))
    reached.done = reached.done or reached.step >= plan.total_steps
    trainer = method.make_trainer(Run(spec, run_dir, plan, model, tokenizer, tokens, rows))
    trainer.remove_callback(PrinterCallback)  # events.jsonl says the same, and better
    tenth = max(1, plan.total_steps // 10)
    given = options.checkpoint_interval
    trainer.progress = Progress(
        run_dir,
        stop,
        spec,
        reached=reached,
        highest_loss=method.highest_loss(spec, model),
        figures=method.figures,
        validate=method.validation(trainer, valid) if valid else None,
        eval_interval=(tenth if given == "auto" else given)
        if options.validation_interval == "auto"
        else options.validation_interval,
        checkpoint_interval=max(LEAST_AUTO_INTERVAL, tenth) if given == "auto" else given,
        early_stopping=options.early_stopping,
        keep_best=options.keep_best,
    )
    trainer.add_callback(trainer.progress)

    run_dir.emit(ResolvedEvent(hyperparameters=asdict(plan.chosen) | options.further, total_steps=plan.total_steps))
    run_dir.say(
        f"{len(rows)} rows of {rows.token_count} tokens, the longest of {plan.longest}, {plan.batch_size} a step; "
        f"learning rate {plan.learning_rate:.3g}; {len(valid)} rows for validation"
    )
    if options.optimization.warmup > plan.total_steps:
        message = (
            f"method.{spec.method.type}.optimization.warmup: {options.optimization.warmup:g} steps were asked for, but "
            f"the run has {plan.total_steps}: the learning rate never gets to its highest"
        )
        run_dir.say(message, level="warn")
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
    write_results(run_dir.artifacts / "results.csv", reached.history, columns=method.columns)
    write_artifacts(spec, run_dir, model, tokenizer, tokens, valid, history=reached.history, samples=method.samples)
    stop.check()
    shutil.rmtree(run_dir.working, ignore_errors=True)
    return result


def use_threads(spec: RunSpec, *, parameters: int, tokens: float) -> None:
    """As many as the worker gives; where it does not say, all cores, or one for steps too small to be shared.

    Args:
        tokens: of a step.
    """
    if spec.threads:
        torch.set_num_threads(spec.threads)
    elif parameters * tokens < LEAST_SHARED_WORK:
        torch.set_num_threads(1)


def read_files(
    spec: RunSpec, run_dir: RunDir, tokens: ChatTokenizer, stop: StopRequest, *, read: Callable[..., Any], limit: int
) -> tuple[Any, Any]:
    """(training rows, with what is replayed; validation rows: of a file of their own, held out of the former, or none).

    Raises:
        SpecError: a file can't be used.
    """
    options = spec.training

    def rows_of(path: str, param: str) -> Any:
        return read(spec, path, tokens, run_dir, stop, limit=limit, param=param)

    rows = rows_of(spec.training_file, "training_file")
    if spec.validation_file:
        valid = rows_of(spec.validation_file, "validation_file")
    else:
        rows, valid = held_out(spec, rows)
    if spec.replay_file and options.replay:
        replay = rows_of(spec.replay_file, f"method.{spec.method.type}.replay.file")
        count = choices.replayed(options, rows=len(rows), available=len(replay))
        run_dir.say(f"{count} of {len(replay)} rows of the replay file join {len(rows)} others")
        if count < (needed := choices.replayed(options, rows=len(rows), available=sys.maxsize)):
            param, share = f"method.{spec.method.type}.replay.fraction", count / (count + len(rows))
            message = f"{param}: {options.replay.fraction:g} takes {needed} rows, but the replay file has {count}"
            run_dir.say(f"{message}; each is there once, and their share is {share:.2g}", level="warn")
        rows = rows.with_replay(replay, count, seed=spec.seed)
    return rows, valid


def held_out(spec: RunSpec, rows: Any) -> tuple[Any, Any]:
    """(the rest, rows for validation): as many as the job asks to hold out.

    Raises:
        SpecError: none could be.
    """
    options = spec.training
    count = choices.held_out(options, rows=len(rows))
    if options.validation_split is not None and count == 0:
        param = f"method.{spec.method.type}.validation_split"
        raise SpecError(f"{param}: a single row is left to train on, and none to hold out", param=param)
    return rows.split(count, seed=spec.seed)


def make_plan(spec: RunSpec, rows: Any, *, width: int) -> Plan:
    """How the rows become steps.

    Args:
        width: of the model.
    """
    options = spec.training
    batch_size = choices.batch_size(options)
    per_epoch = packing.steps_per_epoch(len(rows), batch_size=batch_size)
    chosen = choices.resolve(options, rows=len(rows), per_epoch=per_epoch)
    return Plan(
        batch_size,
        capacity=packing.capacity(shared=options.shares_sequences, on_gpu=bool(spec.devices)),
        longest=rows.longest,
        total_steps=choices.total_steps(options, rows=len(rows), per_epoch=per_epoch),
        chosen=chosen,
        learning_rate=chosen.learning_rate_multiplier * choices.learning_rate(options, width=width),
    )


def write_artifacts(
    spec: RunSpec,
    run_dir: RunDir,
    model: Any,
    tokenizer: Any,
    tokens: ChatTokenizer,
    valid: Any,
    *,
    history: list[dict[str, Any]],
    samples: Callable[..., None],
) -> None:
    """Weights and tokenizer, samples, rollouts where there are any, and the merged model where it was asked for."""
    options = spec.training
    weights.write(model, run_dir.artifacts)
    tokenizer.save_pretrained(run_dir.artifacts)
    weights.tidy(run_dir.artifacts, base_model_name=spec.base_model_name)
    if (run_dir.working / rollouts.FILE).exists():
        shutil.copyfile(run_dir.working / rollouts.FILE, run_dir.artifacts / rollouts.FILE)
    if options.tensorboard:
        write_tensorboard(run_dir.artifacts / "tensorboard", history)
    shown = MOST_AUTO_SAMPLES if options.samples.rows == "auto" else options.samples.rows
    rows = valid.first(shown)
    if rows:
        run_dir.say(f"Writing samples of {len(rows)} validation rows, before and after")
        samples(
            run_dir.artifacts / "samples.jsonl",
            model,
            tokenizer,
            tokens,
            rows,
            options=options.samples,
            as_before=weights.as_before(model, spec),
        )
    if options.merged_weights:
        run_dir.say("Merging the adapter into the base model")
        weights.load_folder(model, str(run_dir.artifacts))  # samples may have left others
        weights.write_merged(model, tokenizer, run_dir.artifacts / "merged")


def longest_row(spec: RunSpec) -> int:
    """Tokens of a row that are trained at most.

    Raises:
        SpecError: more was asked for than the model's context.
    """
    try:
        return choices.max_length(spec.training, context=load_config(spec.base_model).max_position_embeddings)
    except ValueError as error:
        raise SpecError(str(error), param=f"method.{spec.method.type}.max_length") from None
