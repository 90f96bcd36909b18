"""Following a run at its step edges: figures, validations, checkpoints, and every reason to stop."""

import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.specs.run import CheckpointEvent, MetricsEvent, RunResult, RunSpec
from core.specs.training import EarlyStopping, ValidationMetric
from trainers import checkpoints, rollouts, usage, weights
from trainers.best import best, gone_stale
from trainers.checkpoints import Counters
from trainers.errors import Diverged, OutOfTime
from trainers.rundir import RunDir
from trainers.scoring import Score
from trainers.stopping import Stopped, StopRequest

# Of a step's figures these are for the result file and the resume only.
NOT_METRICS = ("step", "seconds")
# Of a step's figures these have no train_ in the contract.
UNPREFIXED = ("completion_tokens_mean", "reasoning_tokens_mean")
BEST = "best.safetensors"  # the weights of the validation that was best so far
# Of the working folder: what goes along with each checkpoint, and is there again where a run goes on from one.
TAKEN_ALONG = (BEST, rollouts.FILE)


class Progress(TrainerCallback):
    """Counts, reports and decides at step edges; `counters` goes with each checkpoint, so that nothing counts twice.

    Args:
        reached: what earlier attempts have done.
        highest_loss: from which a step's loss says that the run has diverged.
        figures: what a step's batches come to, by their names without train_.
        validate: answers the figures of the validation rows, by their names without valid_; None without any.
    """

    def __init__(
        self,
        run_dir: RunDir,
        stop: StopRequest,
        spec: RunSpec,
        *,
        reached: Counters,
        highest_loss: float,
        figures: Callable[[list[Score]], dict[str, float]],
        validate: Callable[[], dict[str, float]] | None,
        eval_interval: int,
        checkpoint_interval: int,
        early_stopping: EarlyStopping | None,
        keep_best: ValidationMetric | None,
    ) -> None:
        self.counters = reached
        self._run_dir = run_dir
        self._stop = stop
        self._spec = spec
        self._figures_of = figures
        self._validate = validate
        self._eval_interval = eval_interval
        self._checkpoint_interval = checkpoint_interval
        self._cycle = spec.training.cycle
        self._early_stopping = early_stopping
        self._keep_best: ValidationMetric | None = keep_best
        self._best = run_dir.working / BEST
        run_dir.working.mkdir(exist_ok=True)
        if spec.resume_from:
            _copy_along(Path(spec.resume_from), run_dir.working)
        self._device: usage.Device | None = None
        self._highest_loss = highest_loss
        self._clock = time.monotonic()
        self._begin_step()

    def metrics(self) -> dict[str, float | int | None]:
        """The figures of the last step."""
        return _metrics(self.counters.history[-1])

    def result(self) -> RunResult:
        """How the run ended, with the figures of the weights that it yields."""
        counters = self.counters
        yields = best(counters.history, self._keep_best) if self._keep_best else None
        return RunResult(
            outcome="succeeded" if counters.done else "stopped",
            step=counters.step,
            trained_tokens=counters.trained_tokens,
            metrics=_metrics(yields) if yields else self.metrics(),
        )

    def restore_best(self, model: Any) -> None:
        """Put the weights of the best validation into the model, where the job asks for them."""
        row = best(self.counters.history, self._keep_best) if self._keep_best else None
        if row is not None and row["step"] != self.counters.step:
            weights.load(model, self._best)
            self._run_dir.say(f"The weights are those of step {row['step']}, whose {self._keep_best} was the best")

    def add(self, score: Score, *, tokens: int, padding: int = 0) -> None:
        """Count a batch of so many tokens, and of so many places without one, into the step in the making."""
        self._scores.append(score)
        self._tokens += tokens
        self._padding += padding
        if not math.isfinite(score.loss_sum):
            raise self._diverged("the loss is not finite", step=self.counters.step + 1, ruined_by=self.counters.step)

    @property
    def validates(self) -> bool:
        return self._validate is not None

    def gone_too_far(self, what: str, *, made_by: int, key: str, advice: str) -> Diverged:
        """What to raise in a step whose weights turn out to be past a limit.

        Args:
            made_by: the step that has made them: the one before, or, in its validation, the step itself.
            key: of the limit, among the method's options.
        """
        return self._diverged(what, step=self.counters.step + 1, ruined_by=made_by, key=key, advice=advice)

    def _diverged(
        self,
        what: str,
        *,
        step: int,
        ruined_by: int,
        key: str = "optimization.learning_rate",
        advice: str = "Try a smaller learning rate",
    ) -> Diverged:
        """What to raise where a step has failed.

        Args:
            ruined_by: the step that made the weights which failed. A training loss is measured before its step's
                update, so that it is of the weights, and of the checkpoint, of the step before.
        """
        good = max((kept for kept in self.counters.checkpoints if kept < ruined_by), default=None)
        return Diverged(what, step=step, good=good, param=f"method.{self._spec.method.type}.{key}", advice=advice)

    def _begin_step(self) -> None:
        self._scores: list[Score] = []
        self._tokens = self._padding = 0
        self._started = time.perf_counter()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **_: Any
    ) -> None:
        self._device = usage.Device.of(model)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step == max(self.counters.checkpoints, default=0):
            if self._stop.requested:
                raise Stopped
            if self._is_out_of_time():
                assert self._spec.max_duration_seconds is not None
                raise OutOfTime(self._spec.max_duration_seconds, step=state.global_step)
        self._begin_step()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **_: Any
    ) -> None:
        step, last = state.global_step, state.global_step >= state.max_steps
        row = self._figures(step)
        self.counters.history.append(row)
        if row["train_loss"] > self._highest_loss:
            raise self._diverged(f"the loss has grown to {row['train_loss']:.4g}", step=step, ruined_by=step - 1)
        validated = self._validate is not None and (last or step % self._eval_interval == 0)
        if validated:
            self._add_validation(row, model)
        now = time.monotonic()
        self.counters.seconds, self._clock = self.counters.seconds + now - self._clock, now
        self.counters.step = step
        self.counters.trained_tokens += sum(score.tokens for score in self._scores)
        # After validations only: looking through the history at every step would be quadratic in the steps.
        stale = not last and validated and self._is_stale()
        self.counters.done = last or stale
        edge = step % self._cycle == 0
        if stale or (edge and self._stop.requested):
            control.should_training_stop = True
        leaving = self._stop.requested or self._is_out_of_time()
        due = step % self._checkpoint_interval < self._cycle
        control.should_save = self.counters.done or (edge and (leaving or due))

    def _figures(self, step: int) -> dict[str, Any]:
        assert self._device is not None
        seconds = time.perf_counter() - self._started
        speed = self._tokens / seconds
        return {
            "step": step,
            **{
                name if name in UNPREFIXED else f"train_{name}": value
                for name, value in self._figures_of(self._scores).items()
            },
            "tokens_per_second": speed,
            "padding_share": self._padding / (self._tokens + self._padding),
            "peak_memory_bytes": usage.peak_memory(),
            **self._device.utilization(speed),
            "seconds": seconds,
        }

    def _add_validation(self, row: dict[str, Any], model: Any) -> None:
        assert self._validate is not None
        figures = self._validate()
        if not math.isfinite(figures.get("loss", 0.0)):
            raise self._diverged("the validation loss is not finite", step=row["step"], ruined_by=row["step"])
        row |= {f"{prefix}{name}": value for prefix in ("valid_", "full_valid_") for name, value in figures.items()}
        if self._keep_best and best(self.counters.history, self._keep_best) is row:
            weights.save(model, self._best)

    def _is_stale(self) -> bool:
        options, metric = self._early_stopping, self._spec.training.stops_by
        if options is None or not gone_stale(self.counters.history, metric, options):
            return False
        self._run_dir.say(f"Stopping early: {metric} has not got better {options.patience} times in a row")
        return True

    def _is_out_of_time(self) -> bool:
        return self._spec.max_duration_seconds is not None and self.counters.seconds >= self._spec.max_duration_seconds

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Any = None,
        model: Any = None,
        **_: Any,
    ) -> None:
        state.log_history.clear()  # no resume reads it, the counters have it all, and each checkpoint would carry it
        if "loss" not in (logs or {}):  # the Trainer's farewell
            return
        history, norm, step = self.counters.history, logs.get("grad_norm"), state.global_step
        if norm is not None and not math.isfinite(norm):
            raise self._diverged("the gradient is not finite", step=step, ruined_by=step)
        if control.should_save and not weights.are_finite(model):  # no loss has been measured on them yet
            raise self._diverged("the weights are not finite", step=step, ruined_by=step)
        history[-1] |= {"learning_rate": logs["learning_rate"], "grad_norm": norm}
        recent, metrics = [past["seconds"] for past in history[-20:]], self.metrics()
        self._run_dir.emit(
            MetricsEvent(
                step=step,
                total_steps=state.max_steps,
                trained_tokens=self.counters.trained_tokens,
                seconds_left=(state.max_steps - step) * sum(recent) / len(recent),
                message=f"Step {step}/{state.max_steps}: {told(metrics)}",
                data=metrics,
            )
        )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        written = Path(args.output_dir or "") / f"checkpoint-{state.global_step}"
        weights.tidy(written, base_model_name=self._spec.base_model_name)
        _copy_along(self._run_dir.working, written)
        self._add_checkpoint(state.global_step)
        final = checkpoints.publish(written, self.counters, self._run_dir)
        self._run_dir.emit(
            CheckpointEvent(
                step=state.global_step,
                path=final.relative_to(self._run_dir.path).as_posix(),
                trained_tokens=self.counters.trained_tokens,
                metrics=self.metrics(),
            )
        )

    def _add_checkpoint(self, step: int) -> None:
        """Count one as there, and those as gone that make room for it."""
        keep = self._spec.training.keep_checkpoints
        self.counters.checkpoints = [*self.counters.checkpoints, step][-keep if keep else 0 :]


def _copy_along(source: Path, target: Path) -> None:
    for name in TAKEN_ALONG:
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


def _metrics(row: dict[str, Any]) -> dict[str, float | int | None]:
    return {key: value for key, value in row.items() if key not in NOT_METRICS}


def told(metrics: Mapping[str, Any]) -> str:
    """What a step came to, in the contract's words: a loss says nothing where rewards are learnt from."""
    if "train_reward_mean" not in metrics:
        return f"training loss={metrics['train_loss']:.4g}"
    valid = metrics.get("full_valid_reward_mean")
    behind = "" if valid is None else f", full validation mean reward={valid:.4g}"
    return f"train mean reward={metrics['train_reward_mean']:.4g}{behind}"
