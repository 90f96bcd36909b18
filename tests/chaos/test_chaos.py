"""The quick part of `make chaos`: a kill, and bad ways to every service, on one cluster."""

import random
from pathlib import Path

import pytest

from tests.chaos.cluster import LEASE, Cluster
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.history import of_kind
from tests.chaos.report import table
from tests.chaos.rounds import disturb

pytestmark = pytest.mark.chaos
QUICK = ("1 supervised worker training", "4 connections", "5 flipped", "9 answer")


def one_of_each(cluster: Cluster, draw: random.Random, variant: str) -> None:
    number, _, way = variant.partition(" ")
    FAULTS[int(number) - 1].inject(cluster, draw, way)


def test_no_promise_is_broken(cluster: Cluster, tmp_path: Path) -> None:
    fault = Fault(11, "quick ones", one_of_each, QUICK, recovers=LEASE + 60)
    outcome = disturb(cluster, tmp_path, seed=1, faults=[fault], methods=["supervised"])
    assert not [violation for violation in outcome.violations if not violation.is_slow], table(outcome)
    assert len(of_kind(outcome.history, "injury")) == len(QUICK)
    assert len(of_kind(outcome.history, "ended")) > len(QUICK)
