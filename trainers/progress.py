"""Following a run at its step edges: figures, validations, checkpoints, and the wish to stop."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from core.specs.run import CheckpointEvent, MetricsEvent
from trainers import adapters
from trainers.rundir import RunDir
from trainers.stopping import StopRequest

PROGRESS = "progress.json"


class Progress(TrainerCallback):
    """What a run has done so far, kept with each checkpoint, so that a resumed run counts everything once.

    Attributes:
        history: the figures of every step, by the contract's names.
        trained_tokens: tokens that carried loss since step 0, over all attempts.
    """

    def __init__(
        self,
        run_dir: RunDir,
        stop: StopRequest,
        *,
        validate: Callable[[], tuple[float, float]] | None,
        eval_interval: int,
        base_model_name: str,
    ) -> None:
        self.history: list[dict[str, Any]] = []
        self.trained_tokens = 0
        self._run_dir = run_dir
        self._stop = stop
        self._validate = validate
        self._eval_interval = eval_interval
        self._base_model_name = base_model_name
        # The step in the making.
        self.loss_sum = 0.0  # mean loss per trained token, once all of the step's sequences have been added
        self.correct = 0  # tokens predicted rightly
        self.tokens = 0
        self._started = 0.0

    def load(self, checkpoint: Path) -> None:
        saved = json.loads((checkpoint / PROGRESS).read_text())
        self.history, self.trained_tokens = saved["history"], saved["trained_tokens"]

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.loss_sum, self.correct, self.tokens = 0.0, 0, 0
        self._started = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        seconds = time.perf_counter() - self._started
        self.trained_tokens += self.tokens
        row: dict[str, Any] = {
            "step": state.global_step,
            "train_loss": self.loss_sum,
            "train_mean_token_accuracy": self.correct / max(1, self.tokens),
            "tokens_per_second": self.tokens / seconds,
            "seconds": seconds,
        }
        last = state.global_step >= state.max_steps
        if self._validate and (last or state.global_step % self._eval_interval == 0):
            loss, accuracy = self._validate()
            row |= {"valid_loss": loss, "valid_mean_token_accuracy": accuracy}
            row |= {"full_valid_loss": loss, "full_valid_mean_token_accuracy": accuracy}
        self.history.append(row)
        if self._stop.requested:
            control.should_save = control.should_training_stop = True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any
    ) -> None:
        if not self.history or self.history[-1]["step"] != state.global_step or "loss" not in (logs or {}):
            return
        row = self.history[-1]
        row |= {"learning_rate": logs["learning_rate"], "grad_norm": logs.get("grad_norm")}
        recent = [past["seconds"] for past in self.history[-20:]]
        self._run_dir.emit(
            MetricsEvent(
                step=state.global_step,
                total_steps=state.max_steps,
                trained_tokens=self.trained_tokens,
                seconds_left=(state.max_steps - state.global_step) * sum(recent) / len(recent),
                message=f"Step {state.global_step}/{state.max_steps}: training loss={row['train_loss']:.4g}",
                data={key: value for key, value in row.items() if key not in ("step", "seconds")},
            )
        )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Give the checkpoint its name, by rename, once everything that a resume needs is in it."""
        written = Path(args.output_dir or "") / f"checkpoint-{state.global_step}"
        adapters.tidy(written, base_model_name=self._base_model_name)
        (written / "training_args.bin").unlink(missing_ok=True)  # a pickle that nobody reads
        saved = {"history": self.history, "trained_tokens": self.trained_tokens}
        (written / PROGRESS).write_text(json.dumps(saved))
        self._run_dir.checkpoints.mkdir(exist_ok=True)
        final = self._run_dir.checkpoints / f"step-{state.global_step}"
        written.rename(final)
        figures = {key: value for key, value in self.history[-1].items() if key not in ("step", "seconds")}
        self._run_dir.emit(
            CheckpointEvent(
                step=state.global_step,
                path=final.relative_to(self._run_dir.path).as_posix(),
                trained_tokens=self.trained_tokens,
                metrics=figures,
            )
        )
