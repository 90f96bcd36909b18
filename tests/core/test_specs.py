"""What the schema says of methods is what they do."""

import re

import pytest
from pydantic import BaseModel

from core.specs.choices import resolve
from core.specs.dpo import Dpo
from core.specs.kto import Kto
from core.specs.optimization import Optimization
from core.specs.ppo import Ppo
from core.specs.pretraining import Pretraining
from core.specs.reinforcement import Reinforcement, ReinforcementHyperparameters
from core.specs.reward_model import RewardModel
from core.specs.supervised import Supervised
from core.specs.training import MEASURED, EarlyStopping, Hyperparameters, Training

BY_ANSWERS = (Ppo, Reinforcement)
BY_PREFERENCE: tuple[type[Training], ...] = (Dpo, Kto, RewardModel, *BY_ANSWERS)


def said(of: type[BaseModel], field: str) -> str:
    return str(of.model_fields[field].description)


def epochs(method: type[Training], rows: int) -> int:
    options = method.model_construct(hyperparameters=Hyperparameters(), max_steps=None)
    return resolve(options, rows=rows, per_epoch=rows).n_epochs


def test_automatic_passes() -> None:
    assert "auto, by thresholds of ours: 3 up to 10,000 rows, 2 up to 50,000, else 1;" in said(
        Hyperparameters, "n_epochs"
    )
    assert [epochs(Supervised, rows) for rows in (10_000, 10_001, 50_000, 50_001)] == [3, 2, 2, 1]
    assert "dpo, kto, reward_model, ppo and reinforcement: 3 up to 1,000, else 1; pretraining: 1." in said(
        Hyperparameters, "n_epochs"
    )
    assert [[epochs(method, rows) for rows in (1000, 1001)] for method in BY_PREFERENCE] == [[3, 1]] * 5
    assert epochs(Pretraining, 1) == 1


def test_automatic_learning_rates() -> None:
    assert "0.1 for dpo, kto, ppo and reinforcement, 0.3 for reward_model." in said(Optimization, "learning_rate")
    assert [method.AUTO_LEARNING_RATE_SHARE for method in BY_PREFERENCE] == [0.1, 0.1, 0.3, 0.1, 0.1]
    assert Supervised.AUTO_LEARNING_RATE_SHARE == Pretraining.AUTO_LEARNING_RATE_SHARE == 1


def test_metrics_of_each_method() -> None:
    assert MEASURED in said(Training, "keep_best")
    assert MEASURED in said(EarlyStopping, "metric")
    assert "valid_loss, supervised and pretraining valid_mean_token_accuracy too" in MEASURED
    for method in (Supervised, Pretraining):
        assert method.VALIDATION_METRICS == ("valid_loss", "valid_mean_token_accuracy")
    assert "dpo and kto valid_reward_accuracy, reward_model valid_accuracy" in MEASURED
    assert Dpo.VALIDATION_METRICS == Kto.VALIDATION_METRICS == ("valid_loss", "valid_reward_accuracy")
    assert RewardModel.VALIDATION_METRICS == ("valid_loss", "valid_accuracy")
    assert MEASURED.startswith("ppo and reinforcement have valid_reward_mean; each other method valid_loss")
    assert all(method.VALIDATION_METRICS == ("valid_reward_mean",) for method in BY_ANSWERS)


def test_what_early_stopping_goes_by() -> None:
    assert "auto: valid_reward_mean for ppo and reinforcement, else valid_loss." in said(EarlyStopping, "metric")
    for method in (Supervised, Pretraining, *BY_PREFERENCE):
        options = method.model_construct(early_stopping=EarlyStopping())
        assert options.stops_by == ("valid_reward_mean" if method in BY_ANSWERS else "valid_loss")
    assert Dpo(early_stopping=EarlyStopping(metric="valid_reward_accuracy")).stops_by == "valid_reward_accuracy"


def effort(**hyperparameters: float | str) -> Reinforcement:
    grader = {"type": "string_check", "name": "c", "operation": "eq", "input": "a", "reference": "b"}
    return Reinforcement.model_validate({"grader": grader, "group_size": 8, "hyperparameters": hyperparameters})


def test_reasoning_effort() -> None:
    words = said(ReinforcementHyperparameters, "reasoning_effort")
    assert "at most half of the context" in words
    efforts = {name: int(tokens) for name, tokens in re.findall(r"(low|default|medium|high): (\d+)", words)}
    assert len(efforts) == 4
    for name, tokens in efforts.items():
        assert effort(reasoning_effort=name).completion_tokens(context=32_768) == tokens
        assert effort(reasoning_effort=name).completion_tokens(context=400) == 200
    assert effort().completion_tokens(context=32_768) == efforts["default"]


@pytest.mark.parametrize(
    ("multiplier", "answers"), [("auto", 8), (1, 8), (0.5, 4), (2.5, 20), (10, 80), (0.2, 2), (1e-4, 2)]
)
def test_compute_multiplier(multiplier: float | str, answers: int) -> None:
    words = said(ReinforcementHyperparameters, "compute_multiplier")
    assert words == "Factor on group_size, the answers to each prompt, which become at least 2. auto: 1."
    options = effort(compute_multiplier=multiplier)
    assert options.answers == answers
