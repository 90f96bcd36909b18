"""`python -m worker.wandb_run`: log what standard input says with the client of Weights & Biases.

A process of its own: the client starts others, and hooks into the exit of the one that it runs in.
"""

import json
import sys

import wandb

START_SECONDS = 60.0


def main() -> int:
    asked = json.load(sys.stdin)
    run = wandb.init(
        id=asked["id"],
        resume="allow",
        config=asked["facts"],
        allow_val_change=True,
        settings=wandb.Settings(
            init_timeout=START_SECONDS,
            x_disable_meta=True,
            x_disable_stats=True,
            x_update_finish_state=asked["last"],  # until then it goes on, in another process
        ),
        **{"name": asked["id"], **asked["options"]},
    )
    for step, figures in asked["steps"]:
        run.log({key: value for key, value in figures.items() if key != "step" and value is not None}, step=step)
    run.finish(exit_code=asked["exit_code"])
    print(json.dumps({"url": run.url}))  # noqa: T201 - the answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
