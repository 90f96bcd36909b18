"""What clients of the hosted API look for in the events of a reinforcement job, made of our figures, which are flat."""

from typing import Any

SCORE = "_score_mean"
PREFIXES = ("train_", "valid_")
# Of a step's figures these have no train_ in the contract.
TOKENS = ("reasoning_tokens_mean", "completion_tokens_mean")


def with_contract_keys(data: dict[str, Any]) -> dict[str, Any]:
    """The figures, and of a step of reinforcement also `scores`, `timing`, `usage` and `errors`, as the contract nests
    them.

    What is not measured apart (seconds of validations and of single graders, tokens of model graders) is left out;
    failures are those of the job's grader as a whole.
    """
    if "train_mean_reward" not in data:
        return data
    rewards = _renamed(data, {f"{prefix}reward_mean": f"{prefix}reward_mean" for prefix in PREFIXES})
    samples = {f"train_{name}": name for name in TOKENS} | {f"valid_{name}": f"valid_{name}" for name in TOKENS}
    failed = _renamed(data, {f"{prefix}other_error_count": f"{prefix}failed_gradings" for prefix in PREFIXES})
    return data | {
        "scores": {"graders": _parts(data) or [{"name": "grader", **rewards}], **rewards},
        "timing": {"step": _seconds(data), "graders": []},
        "usage": {"graders": [], "samples": _renamed(data, samples)},
        "errors": {"graders": [{"name": "grader", **failed}]},
    }


def _parts(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a grader that has any, and of the one that is watched."""
    names = dict.fromkeys(
        key.removeprefix(prefix).removesuffix(SCORE)
        for key in data
        for prefix in PREFIXES
        if key.startswith(prefix) and key.endswith(SCORE)
    )
    means = {name: {f"{prefix}reward_mean": f"{prefix}{name}{SCORE}" for prefix in PREFIXES} for name in names}
    return [{"name": name, **_renamed(data, means[name])} for name in names]


def _renamed(data: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """names: ours by the contract's; what is not there is left out."""
    return {theirs: data[ours] for theirs, ours in names.items() if ours in data}


def _seconds(data: dict[str, Any]) -> dict[str, Any]:
    parts = {part: data.get(f"train_{part}_seconds", 0.0) for part in ("sampling", "grading", "training")}
    return parts | {"full_iteration": sum(parts.values())}
