import pytest

from core.errors import InvalidRequest
from core.jobs.series import series, thin


def test_a_spike_survives_thinning_and_the_ends_stay() -> None:
    steps = list(range(1, 10_001))
    values = [1.0] * 10_000
    values[6789] = 50.0
    kept, thinned = thin(steps, values, max_points=100)
    assert (len(kept), kept[0], kept[-1]) == (100, 1, 10_000)
    assert kept == sorted(set(kept))
    assert max(thinned) == 50.0


@pytest.mark.parametrize("points", [2, 3, 99, 100, 101])
def test_no_more_points_than_asked_for_and_all_where_they_fit(points: int) -> None:
    steps, values = list(range(100)), [float(i % 7) for i in range(100)]
    kept, thinned = thin(steps, values, max_points=points)
    assert len(kept) == len(thinned) == min(points, 100)
    assert [values[step] for step in kept] == thinned


def test_series_by_name_without_what_was_not_measured() -> None:
    rows = [
        (1, {"step": 1, "train_loss": 2.0, "valid_loss": None}),
        (2, {"step": 2, "train_loss": 1, "valid_loss": 3.0}),
    ]
    assert series(rows, names=None, max_points=10) == {
        "train_loss": ([1, 2], [2.0, 1.0]),
        "valid_loss": ([2], [3.0]),
    }
    with pytest.raises(InvalidRequest, match="no series 'reward'; it has train_loss, valid_loss"):
        series(rows, names=["reward"], max_points=10)
