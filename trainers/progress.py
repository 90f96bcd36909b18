"""Following a run at its step edges: figures, validations, checkpoints, and the wish to stop."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.specs.run import CheckpointEvent, MetricsEvent
from trainers import adapters, checkpoints
from trainers.checkpoints import Counters
from trainers.errors import NonFiniteLoss
from trainers.rundir import RunDir
from trainers.scoring import Score
from trainers.stopping import Stopped, StopRequest

# Of a step's figures these are for the result file and the resume only.
NOT_METRICS = ("step", "seconds")


class Progress(TrainerCallback):
    """Counts, reports and decides at step edges; `counters` goes with each checkpoint, so that nothing counts twice."""

    def __init__(
        self,
        run_dir: RunDir,
        stop: StopRequest,
        *,
        reached: Counters,
        validate: Callable[[], tuple[float, float]] | None,
        eval_interval: int,
        checkpoint_interval: int,
        base_model_name: str,
    ) -> None:
        self.counters = reached
        self._kept = reached.step  # the step of the last checkpoint
        self._run_dir = run_dir
        self._stop = stop
        self._validate = validate
        self._eval_interval = eval_interval
        self._checkpoint_interval = checkpoint_interval
        self._base_model_name = base_model_name
        self._begin_step()

    def metrics(self) -> dict[str, float | int | None]:
        """The figures of the last step."""
        return {key: value for key, value in self.counters.history[-1].items() if key not in NOT_METRICS}

    def add(self, score: Score, *, tokens: int) -> None:
        """Count a packed sequence of `tokens` tokens into the step in the making."""
        self._loss_sum += float(score.loss_sum.detach())
        self._correct += score.correct
        self._trained += score.tokens
        self._tokens += tokens
        if not math.isfinite(self._loss_sum):
            raise NonFiniteLoss(self.counters.step + 1)

    def _begin_step(self) -> None:
        self._loss_sum = 0.0
        self._correct = self._trained = self._tokens = 0
        self._started = time.perf_counter()

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._stop.requested and state.global_step == self._kept:
            raise Stopped
        self._begin_step()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        step, last = state.global_step, state.global_step >= state.max_steps
        seconds = time.perf_counter() - self._started
        row: dict[str, Any] = {
            "step": step,
            "train_loss": self._loss_sum / max(1, self._trained),
            "train_mean_token_accuracy": self._correct / max(1, self._trained),
            "tokens_per_second": self._tokens / seconds,
            "seconds": seconds,
        }
        if self._validate and (last or step % self._eval_interval == 0):
            loss, accuracy = self._validate()
            row |= {"valid_loss": loss, "valid_mean_token_accuracy": accuracy}
            row |= {"full_valid_loss": loss, "full_valid_mean_token_accuracy": accuracy}
        self.counters.step = step
        self.counters.trained_tokens += self._trained
        self.counters.history.append(row)
        if self._stop.requested:
            control.should_training_stop = True
        control.should_save = last or self._stop.requested or step % self._checkpoint_interval == 0

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        if "loss" not in (logs or {}):  # the Trainer's farewell
            return
        history, norm = self.counters.history, logs.get("grad_norm")
        if norm is not None and not math.isfinite(norm):
            raise NonFiniteLoss(state.global_step)
        history[-1] |= {"learning_rate": logs["learning_rate"], "grad_norm": norm}
        recent = [past["seconds"] for past in history[-20:]]
        self._run_dir.emit(
            MetricsEvent(
                step=state.global_step,
                total_steps=state.max_steps,
                trained_tokens=self.counters.trained_tokens,
                seconds_left=(state.max_steps - state.global_step) * sum(recent) / len(recent),
                message=f"Step {state.global_step}/{state.max_steps}: training loss={history[-1]['train_loss']:.4g}",
                data=self.metrics(),
            )
        )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        written = Path(args.output_dir or "") / f"checkpoint-{state.global_step}"
        adapters.tidy(written, base_model_name=self._base_model_name)
        final = checkpoints.publish(written, self.counters, self._run_dir)
        self._kept = state.global_step
        self._run_dir.emit(
            CheckpointEvent(
                step=state.global_step,
                path=final.relative_to(self._run_dir.path).as_posix(),
                trained_tokens=self.counters.trained_tokens,
                metrics=self.metrics(),
            )
        )
