"""What a sample says about a file, against the whole file."""

import json
import random

import pytest

from core.estimate import sampling
from core.estimate.measure import measure
from core.estimate.sampling import Sample
from core.estimate.task import Measured, MeasureTask
from core.rows.chat import Chat, Message
from core.specs.supervised import Supervised, SupervisedMethod
from tests.cards import write_card


def test_the_interval_holds_what_it_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    """95 % of the intervals cover the truth."""
    monkeypatch.setattr(sampling, "WHOLE", 100_000)
    monkeypatch.setattr(sampling, "SAMPLED", 50_000)
    covered = 0
    for seed in range(100):
        draw = random.Random(seed)
        sample, truth = Sample(max_length=10**9), 0
        tokens: dict[int, int] = {}
        for i in range(2000):
            size = int(draw.lognormvariate(5, 0.7)) + 1
            tokens[i] = int(size * draw.uniform(0.2, 0.5)) + 10
            truth += tokens[i]
            sample.add(i, i + 1, Chat([Message("user", "")]), characters=size, bytes=size)
        assert not sample.is_whole
        assert 50 < len(sample.others) < 400
        total, interval = sample.total([tokens[row.index] for row in sample.others])
        covered += abs(total - truth) <= interval
    assert covered >= 90


def test_a_few_huge_rows_leave_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "WHOLE", 10)
    monkeypatch.setattr(sampling, "SAMPLED", 10)
    sample = Sample(max_length=1)
    for i in range(30):
        sample.add(i, i + 1, Chat([Message("user", "")]), characters=100, bytes=100)
    assert (len(sample.long), sample.other_rows) == (1, 29)
    assert sample.total([25] * len(sample.others)) == (29 * 25, 29 * 25)


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> MeasureTask:
    """4,000 rows of several lengths; 31 of them have more than 400 tokens."""
    folder, draw = tmp_path_factory.mktemp("rows"), random.Random(1)
    path = folder / "rows.jsonl"
    with path.open("w") as file:
        for i in range(4000):
            size = 500 if i % 133 == 5 else draw.randint(10, 250)
            row = {"prompt": "".join(draw.choices("ab é", k=size)), "completion": "c" * draw.randint(1, 20)}
            file.write(json.dumps(row) + "\n")
    return MeasureTask(
        card=str(write_card(folder / "card")),
        training_file=str(path),
        method=SupervisedMethod(supervised=Supervised(max_length=400)),
        context=2048,
        on_gpu=False,
    )


@pytest.fixture(scope="module")
def exact(big: MeasureTask) -> Measured:
    return measure(big)


def test_a_sample_is_near_the_whole(big: MeasureTask, exact: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "WHOLE", 200_000)
    monkeypatch.setattr(sampling, "SAMPLED", 150_000)
    sampled = measure(big)
    assert (exact.exact, sampled.exact) == (True, False)
    assert sampled.rows.tokenized < 2500
    assert (
        abs(sampled.tokens.total - exact.tokens.total) <= 2 * sampled.tokens.total_interval < 0.02 * exact.tokens.total
    )
    assert abs(sampled.tokens.trained - exact.tokens.trained) <= 2 * sampled.tokens.trained_interval
    assert sampled.plan.steps == pytest.approx(exact.plan.steps, rel=0.06)
    assert sampled.tokens.padded == pytest.approx(exact.tokens.padded, rel=0.03)
    assert sampled.rows.total == exact.rows.total == 4000


def test_long_rows_are_counted_where_they_are_few_and_estimated_where_they_are_many(
    big: MeasureTask, exact: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exact.rows.too_long == 31
    assert exact.rows.examples[0].row == 6
    monkeypatch.setattr(sampling, "WHOLE", 200_000)
    monkeypatch.setattr(sampling, "SAMPLED", 150_000)
    sampled = measure(big)
    # Of the rows that may be too long, the longest are tokenised for certain, and all that are fit into them.
    assert sampled.rows.too_long == exact.rows.too_long
    assert [example.row for example in sampled.rows.examples] == [example.row for example in exact.rows.examples]
    assert not sampled.rows.too_long_is_exact
