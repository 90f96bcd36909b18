"""Which figures are drawn together, and what their lines are."""

import math

import pytest
from nicegui import Client, ui
from tunesmith.types import MetricSeries, Series

from dashboard.charts import Charts, Look, distinct, grouped, smoothed
from dashboard.elements import Text
from dashboard.pages.compare import overlaid
from dashboard.pages.job import csv_lines


def series(*values: float | None) -> Series:
    return Series(steps=list(range(1, len(values) + 1)), values=list(values))


def test_figures_of_one_kind_share_a_chart_and_unknown_ones_are_not_lost() -> None:
    names = [
        "zz",
        "full_valid_loss",
        "valid_loss",
        "train_loss",
        "train_right_score_mean",
        "train_reward_mean",
        "seconds",
    ]
    names += [
        "train_kl",
        "train_approximate_kl",
        "train_grading_seconds",
        "train_odd name-1_score_mean",
        "valid_entropy",
    ]
    found = grouped(names)
    assert found["Loss"] == ["train_loss", "full_valid_loss", "valid_loss"]
    assert found["Reward"] == ["train_reward_mean"]
    assert found["Rewards by graders and reward models"] == ["train_odd name-1_score_mean", "train_right_score_mean"]
    assert found["Seconds"] == ["seconds", "train_grading_seconds"]
    assert list(found)[-1] == "zz"
    assert sorted(name for group in found.values() for name in group) == sorted(names)


def test_a_chart_that_comes_late_moves_none_that_stands() -> None:
    with Client(ui.page("")):
        charts, curve = Charts(Look()), series(1.0)
        for names in (["train_kl", "train_entropy"], ["train_loss", "train_kl", "train_entropy"]):
            charts.show(dict.fromkeys(names, curve))
        found = [
            element.text for element in charts.place.descendants() if isinstance(element, Text) and element.tag == "h2"
        ]
    assert found == ["KL divergence", "Entropy", "Loss"]


def test_a_figure_of_two_names_is_drawn_once() -> None:
    once, other = series(1.0, 2.0), series(3.0)
    curves = {"valid_loss": once, "full_valid_loss": once, "valid_score": once, "full_valid_score": other}
    curves |= {"train_mean_reward": once, "train_reward_mean": once, "full_valid_alone": once}
    assert set(distinct(curves)) == set(curves) - {"full_valid_loss", "train_mean_reward"}


def test_smoothing_has_no_bias_and_keeps_gaps() -> None:
    assert smoothed([2.0, 2.0, None, 2.0], weight=0.9) == pytest.approx([2.0, 2.0, None, 2.0])
    steps = smoothed([0.0, 1.0], weight=0.5)
    assert steps[1] == pytest.approx(1 / (1 + 0.5))
    assert all(value is not None and math.isfinite(value) for value in smoothed([1e300] * 9, weight=0.97))


def test_jobs_are_laid_over_one_another_figure_by_figure() -> None:
    found = {
        "a": MetricSeries(job_id="a", series={"train_loss": series(1.0), "zz": series(2.0)}),
        "b": MetricSeries(job_id="b", series={"train_loss": series(3.0), "learning_rate": series(4.0)}),
    }
    groups = overlaid(found)
    assert [(name, list(curves)) for name, curves in groups.items()] == [
        ("train_loss", ["a", "b"]),
        ("learning_rate", ["b"]),
        ("zz", ["a"]),
    ]


def test_a_csv_has_a_column_for_each_figure_and_gaps_where_nothing_was_measured() -> None:
    train, valid = Series(steps=[1, 2, 4], values=[0.5, None, 0.25]), Series(steps=[2], values=[1.0])
    lines = csv_lines(MetricSeries(job_id="a", series={"valid_loss": valid, 'train_"odd",name': train}))
    assert "".join(lines) == 'step,"train_""odd"",name",valid_loss\r\n1,0.5,\r\n2,,1.0\r\n4,0.25,\r\n'
