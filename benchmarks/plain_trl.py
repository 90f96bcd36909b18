"""What people write today: TRL's SFTTrainer with its defaults and a LoRA adapter of PEFT, in one script.

    python -m benchmarks.plain_trl MODEL TRAIN.jsonl OUTPUT LEARNING_RATE SEED

Not a default are what a CPU needs (fp32 for bf16; no gradient checkpointing, which would cost it a third of its speed),
the learning rate, the adapter, which are ours, and that nothing is written on the way. Prints a line of JSON.
"""

import json
import sys
import time
import warnings
from pathlib import Path

from trainers import environment

environment.prepare()
warnings.simplefilter("ignore")

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402


def main() -> None:
    model_path, rows_path, output, learning_rate, seed = sys.argv[1:]
    chats = [json.loads(line)["messages"] for line in Path(rows_path).read_text().splitlines()]
    rows = [{"prompt": chat[:-1], "completion": chat[-1:]} for chat in chats]
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32),
        args=SFTConfig(
            output_dir=output,
            num_train_epochs=1,
            learning_rate=float(learning_rate),
            seed=int(seed),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(model_path),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    trainer.model.save_pretrained(output)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
