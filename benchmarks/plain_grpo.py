"""GRPO against a reward model, as a script with TRL does it.

    python -m benchmarks.plain_grpo MODEL JUDGE ROWS.jsonl OUTPUT STEPS UPDATES GROUP PROMPTS LENGTH LEARNING_RATE

A step answers so many prompts a group of times each, and makes so many updates of it. The last line printed has the
seconds of each step, and how many tokens its answers had in the mean. Not a default is what a CPU needs; and `beta`,
since PPO asks the reference, too.
"""

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from trainers import environment

environment.prepare()
warnings.simplefilter("ignore")

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainerCallback,
)
from trl import GRPOConfig, GRPOTrainer  # noqa: E402


class Clock(TrainerCallback):
    """seconds: of each step's updates, together with the sampling before them."""

    def __init__(self, updates: int) -> None:
        self.updates, self.seconds, self.started = updates, [], 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.updates == 0:
            self.started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.updates == 0:
            self.seconds.append(time.perf_counter() - self.started)


def main() -> None:
    model, judge, rows, output = sys.argv[1:5]
    steps, updates, group, prompts, length = map(int, sys.argv[5:10])
    asked = [json.loads(line)["messages"] for line in Path(rows).read_text().splitlines()][::group]
    tokenizer = AutoTokenizer.from_pretrained(model)
    scorer = AutoModelForSequenceClassification.from_pretrained(judge, dtype=torch.float32)
    clock = Clock(updates)
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
        reward_funcs=scorer,
        reward_processing_classes=AutoTokenizer.from_pretrained(judge),
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([{"prompt": messages} for messages in asked]),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[clock],
        args=GRPOConfig(
            output_dir=output,
            max_steps=steps * updates,
            per_device_train_batch_size=group * prompts,
            num_generations=group,
            num_iterations=updates,
            max_completion_length=length,
            beta=0.05,
            learning_rate=float(sys.argv[10]),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
    )
    trainer.train()
    tokens = [
        entry["completions/mean_length"] for entry in trainer.state.log_history if "completions/mean_length" in entry
    ]
    print(json.dumps({"seconds": clock.seconds, "tokens": tokens}))


if __name__ == "__main__":
    main()
