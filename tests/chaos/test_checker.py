"""The checker by itself: a small history that keeps every promise, and what it says where one is broken."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.checker import AT_ONCE, GRACE, LONGEST_LOOK, check
from tests.chaos.recoveries import recoveries

ADAPTER = "adapter_model.safetensors"
PREFIX = "orgs/o/jobs/ftjob-{job}/attempts/{token}/"
Round = tuple[list[dict[str, Any]], dict[str, Any]]


def entry(name: str, sha256: str) -> dict[str, Any]:
    return {"name": name, "bytes": 3, "sha256": sha256}


def audit(dump: dict[str, Any], at: float, relation: str, job: str, **facts: Any) -> None:
    """One noted write; each in a transaction of its own."""
    n = len(dump["audit"]) + 1
    row = {"n": n, "at": at, "transaction_at": at, "transaction_id": n, "relation": relation, "job": job}
    dump["audit"].append(row | {"facts": {"writer": "reconciler", **facts}})


def moves(dump: dict[str, Any], job: str, *states: tuple[float, str, int | None, float | None]) -> None:
    """A job's row through (at, status, token, lease)."""
    status = token = lease = None
    for at, *now in states:
        facts = dict(zip(("status", "token", "lease"), now, strict=True))
        before = {"status_before": status, "token_before": token, "lease_before": lease}
        audit(dump, at, "jobs", job, **facts, **before)
        status, token, lease = now


def one_job(history: list[dict[str, Any]], dump: dict[str, Any], *, number: int, at: float, fault: int) -> None:
    """A job of three steps whose first attempt is lost and whose second one succeeds."""
    job, key, first, token = f"ftjob-{number}", f"key-{number}", 10 * number, 10 * number + 1
    folder = PREFIX.format(job=number, token=token)
    history += [
        {"kind": "attempted", "at": at, "key": key, "fault": fault},
        {"kind": "stored", "at": at, "key": key, "file": f"file-{number}", "sha256": "rows"},
        {"kind": "acknowledged", "at": at, "key": key, "job": job, "method": "supervised", "fault": fault}
        | {"cancels": False, "interval": 2},
        *({"kind": "event", "at": at, "job": job, "seq": seq, "id": f"e{number}-{seq}"} for seq in (1, 2, 3)),
        {"kind": "heard", "at": at, "job": job, "last": 3},
        {"kind": "fetched", "at": at, "job": job, "sha256": "adapter"},
        {"kind": "ended", "at": at, "job": job, "status": "succeeded"},
        *(
            {"kind": "visible", "at": at, "id": f"{what}-{number}", "job": job, "faults": []}
            for what in ("ftckpt", "artifact")
        ),
    ]
    dump["jobs"].append(
        {"id": job, "key": key, "status": "succeeded", "token": None, "event_seq": 3, "step": 3, "total_steps": 3}
        | {"trained_tokens": 30, "faults": 0, "losses": 1, "error": None}
    )
    dump["files"].append({"id": f"file-{number}", "filename": f"{key}.jsonl", "key": f"files/{number}"})
    dump["attempts"] += [
        {"job": job, "token": first, "worker": "train-1@chaos", "outcome": "lost", "ended": at + 8},
        {"job": job, "token": token, "worker": "train-2@chaos", "outcome": "succeeded", "ended": at + 12},
    ]
    dump["events"] += [{"job": job, "seq": seq, "id": f"e{number}-{seq}", "created": at + seq} for seq in (1, 2, 3)]
    dump["metrics"] += [{"job": job, "step": step, "token": token, "loss": 1 / step} for step in (1, 2, 3)]
    dump["checkpoints"].append(
        {"id": f"ftckpt-{number}", "job": job, "token": token, "step": 2, "prefix": f"{folder}checkpoints/step-2/"}
        | {"manifest": [entry("state", "state")]}
    )
    dump["artifacts"].append(
        entry(ADAPTER, "adapter") | {"id": f"artifact-{number}", "job": job, "key": f"{folder}artifacts/{ADAPTER}"}
    )
    dump["models"] += [{"job": job, "name": f"m{number}", "step": None}, {"job": job, "name": "c", "step": 2}]
    dump["objects"] |= {
        f"files/{number}": {"bytes": 3, "sha256": "rows"},
        f"{folder}artifacts/{ADAPTER}": {"bytes": 3, "sha256": "adapter"},
        f"{folder}checkpoints/step-2/state": {"bytes": 3, "sha256": "state"},
    }
    dump["manifests"] |= {
        f"{folder}artifacts/": [entry(ADAPTER, "adapter")],
        f"{folder}checkpoints/step-2/": [entry("state", "state")],
    }
    audit(dump, at, "events", job, first=1, last=1, count=1, holder=None)
    moves(
        dump,
        job,
        (at, "queued", None, None),
        (at + 1, "running", first, at + 6),
        (at + 7, "queued", None, None),
        (at + 8, "running", token, at + 13),
        (at + 12, "succeeded", None, None),
    )
    audit(dump, at + 2, "metrics", job, first=1, last=2, count=2, token=first, holder=first)
    audit(dump, at + 9, "metrics", job, first=1, last=3, count=3, token=token, holder=token)
    audit(dump, at + 9, "events", job, first=2, last=3, count=2, holder=token)
    audit(dump, at + 10, "checkpoints", job, token=token, step=2, holder=token)
    audit(dump, at + 11, "artifacts", job, token=token, name=ADAPTER, holder=token)


@pytest.fixture
def good() -> Round:
    """An undisturbed job and one under fault 1, in which train-1 was killed."""
    lists = ("jobs", "files", "attempts", "events", "metrics", "checkpoints", "artifacts", "models", "audit")
    history: list[dict[str, Any]] = []
    dump: dict[str, Any] = {**{name: [] for name in lists}, "objects": {}, "manifests": {}}
    one_job(history, dump, number=1, at=100, fault=0)
    one_job(history, dump, number=2, at=200, fault=1)
    history += [
        {"kind": "fault", "at": 200, "fault": 1, "title": "kill -9", "recovers": 25},
        {"kind": "injury", "at": 203, "began": 202, "fault": 1, "what": "kill -9"},
        {"kind": "processes", "at": 202, "workers": {"train-1": 7, "train-2": 8}, "trainers": [[70, "ftjob-2", 20]]},
        {"kind": "processes", "at": 210, "workers": {"train-1": 9, "train-2": 8}, "trainers": [[80, "ftjob-2", 21]]},
        # Another stack's trainer, whose token is one that ours has given up.
        {"kind": "processes", "at": 225, "workers": {"train-1": 9, "train-2": 8}, "trainers": [[90, "ftjob-x", 20]]},
    ]
    return history, dump


def test_a_round_that_keeps_every_promise(good: Round) -> None:
    assert check(*good) == []
    assert list(recoveries(*good)) == [(1, "ftjob-2", 5.0)]


@pytest.mark.parametrize("queued", [False, True])
def test_what_befalls_the_queue_is_over_when_a_job_that_waited_is_held(good: Round, queued: bool) -> None:
    history, dump = copy.deepcopy(good)
    history.append({"kind": "injury", "at": 207.5, "began": 207.2, "fault": 3, "what": "broker", "queued": queued})
    assert [found for found in recoveries(history, dump) if found[0] == 3] == [(3, "ftjob-2", 0.5)] * queued


def waiting_for_a_slot(good: Round, *, others: dict[str, tuple[float, float]], restarted: bool = False) -> Round:
    """ftjob-2 as if it had been queued again from 207 to 239, and, by worker, when a job of somebody else was there."""
    history, dump = copy.deepcopy(good)
    for row in dump["audit"]:
        if row["job"] == "ftjob-2" and row["at"] > 207:
            row["at"] += 31
    for number, (worker, (began, ended)) in enumerate(others.items(), start=50):
        lease, job = began + 5, f"ftjob-{number}"
        dump["attempts"].append(
            {"job": job, "token": number, "worker": f"{worker}@chaos", "outcome": "succeeded", "ended": ended}
        )
        moves(dump, job, (began, "running", number, lease), (ended, "succeeded", None, None))
    look = {"kind": "processes", "trainers": [], "workers": {"train-1": 9, "train-2": 8}}
    after = look | {"workers": {"train-1": 10, "train-2": 8}} if restarted else look
    history += [look | {"at": 212}, after | {"at": 215}, after | {"at": 239}]
    return history, dump


def late(history: list[dict[str, Any]], dump: dict[str, Any]) -> list[str]:
    return [found.of for found in check(history, dump) if (found.rule, found.cost) == ("recovery", "late")]


def test_while_others_have_every_slot_a_job_is_queueing(good: Round) -> None:
    history, dump = waiting_for_a_slot(good, others={"train-1": (211, 231), "train-2": (203, 237)})
    assert list(recoveries(history, dump)) == [(1, "ftjob-2", pytest.approx(239 - 203 - (231 - 211)))]
    assert not late(history, dump)


@pytest.mark.parametrize(
    ("others", "restarted"),
    [
        ({}, False),
        ({"train-2": (203, 238)}, False),
        ({"train-1": (211, 214), "train-2": (203, 238)}, False),
        ({"train-1": (211, 238), "train-2": (203, 238)}, True),
    ],
    ids=["both free", "one free", "one free soon", "of a worker that has died meanwhile"],
)
def test_while_a_slot_is_free_waiting_is_recovery(
    good: Round, others: dict[str, tuple[float, float]], restarted: bool
) -> None:
    assert late(*waiting_for_a_slot(good, others=others, restarted=restarted)) == ["ftjob-2"]


def test_what_is_not_queued_yet_waits_for_no_slot(good: Round) -> None:
    """A lease that nobody takes away is not excused by others' work."""
    history, dump = waiting_for_a_slot(good, others={"train-1": (211, 238), "train-2": (203, 238)})
    assert not late(history, dump)
    facts(dump, "jobs", -7)["status"] = "running"
    assert late(history, dump) == ["ftjob-2"]


def record(history: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return [one for one in history if one["kind"] == kind][-1]


def facts(dump: dict[str, Any], relation: str, index: int = -1) -> dict[str, Any]:
    return [row["facts"] for row in dump["audit"] if row["relation"] == relation][index]


def lose_job(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["jobs"].pop()


def make_job_twice(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["jobs"].append(dump["jobs"][-1] | {"id": "ftjob-3"})


def make_file_twice(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["files"].append(dump["files"][-1] | {"id": "file-3"})


def damage_file(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["objects"]["files/2"] = {"bytes": 3, "sha256": "other"}


def refuse(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.append({"kind": "refused", "at": 0, "key": "key-9", "fault": 1, "error": "BadRequestError"})


def never_end(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["jobs"][-1]["status"] = "running"


def fail(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["jobs"][-1] |= {"status": "failed", "error": "worker_error"}


def go_on_after_the_end(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    moves(dump, "ftjob-2", (220, "succeeded", None, None), (221, "queued", None, None))


def publish_two_sets(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    row = dump["artifacts"][-1]
    dump["artifacts"].append(row | {"key": row["key"].replace("/21/", "/20/")})


def publish_for_the_loser(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["attempts"][-1]["outcome"] = "lost"


def lose_object(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["objects"][dump["artifacts"][-1]["key"]] = None


def lose_manifest(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["manifests"][dump["checkpoints"][-1]["prefix"]] = None


def show_a_part(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    record(history, "visible")["faults"] = ["state: missing"]


def reap_early(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    facts(dump, "jobs", -3)["lease_before"] = 300.0


def claim_what_is_held(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    facts(dump, "jobs", -2)["token_before"] = 20


def write_under_another_token(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    facts(dump, "metrics")["token"] = 20


def write_beside_the_holder(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    facts(dump, "events")["writer"] = "train-1"  # whose attempt was lost before


def finish_without_a_token(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    facts(dump, "jobs")["token_before"] = None


def outlive_a_supervisor(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    last = record(history, "processes") | {"trainers": [[80, "ftjob-2", 21]], "workers": {"train-2": 9}}
    history += [last | {"at": 211.0}, last | {"at": 212.0 + AT_ONCE}]


def go_on_without_a_fence(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    last = record(history, "processes") | {"trainers": [[70, "ftjob-2", 20]]}
    history += [
        last | {"at": 204.0, "workers": {"train-1": 7}},
        last | {"at": 209.0 + GRACE, "workers": {"train-1": 7}},
    ]


def listen_for_ever(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.remove(record(history, "heard"))


def never_deliver(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.remove(record(history, "fetched"))


def skip_an_event(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["events"] = [row for row in dump["events"] if row["seq"] != 2]


def number_against_time(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["events"][-1]["created"] = 0.0


def accept_out_of_order(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    facts(dump, "events")["first"] = 4


def tell_an_event_twice(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.append(record(history, "event"))


def tell_another_event(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    record(history, "event")["id"] = "e"


def end_a_stream_early(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.remove(record(history, "event"))


def count_tokens_twice(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["jobs"][-1]["trained_tokens"] = 60


def lose_figures(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["metrics"].pop()


def repeat_more_than_an_interval(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    facts(dump, "metrics", -2)["last"] = 3


def report_a_step_twice(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    audit(dump, 211, "metrics", "ftjob-2", first=3, last=3, count=1, token=21, holder=21)


def train_something_else(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["artifacts"][-1]["sha256"] = "other"


def hand_out_other_bytes(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    record(history, "fetched")["sha256"] = "other"


def count_a_drain(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    record(history, "injury").update(drained="train-1@chaos", at=209.0)


def repeat_after_a_drain(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    dump["attempts"][-2]["outcome"] = "drained"


def ignore_a_cancellation(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.append({"kind": "cancelled", "at": 205, "job": "ftjob-2"})


def never_answer(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.append({"kind": "attempted", "at": 205, "key": "key-9", "fault": 1})


def overlook_a_checkpoint(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.remove(record(history, "visible"))


def look_away(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.append(record(history, "processes") | {"at": 226 + LONGEST_LOOK})


def leave_a_directory(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.append({"kind": "remains", "at": 0, "path": "work/train-1/runs/ftjob-1-10"})


def end_by_itself(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.append({"kind": "died", "at": 0, "name": "train-1", "fault": 1, "how": "ended by itself, with status 1"})


def take_long(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    record(history, "fault")["recovers"] = 4


def never_recover(history: list[dict[str, Any]], dump: dict[str, Any]) -> None:
    history.append({"kind": "stuck", "at": 0, "fault": 1, "what": "new work"})


BROKEN: list[tuple[str, str, Callable[..., None]]] = [
    ("acknowledged", "lost", lose_job),
    ("acknowledged", "doubled", make_job_twice),
    ("acknowledged", "doubled", make_file_twice),
    ("acknowledged", "corrupt", damage_file),
    ("acknowledged", "lost", refuse),
    ("ends", "lost", never_end),
    ("ends", "lost", fail),
    ("ends", "doubled", go_on_after_the_end),
    ("artifacts", "doubled", publish_two_sets),
    ("artifacts", "doubled", publish_for_the_loser),
    ("artifacts", "corrupt", lose_object),
    ("checkpoints", "corrupt", lose_manifest),
    ("checkpoints", "corrupt", show_a_part),
    ("leases", "doubled", reap_early),
    ("leases", "doubled", claim_what_is_held),
    ("fence", "doubled", write_under_another_token),
    ("fence", "doubled", write_beside_the_holder),
    ("fence", "doubled", finish_without_a_token),
    ("trainers", "doubled", outlive_a_supervisor),
    ("trainers", "doubled", go_on_without_a_fence),
    ("events", "lost", skip_an_event),
    ("events", "doubled", number_against_time),
    ("events", "lost", accept_out_of_order),
    ("streams", "doubled", tell_an_event_twice),
    ("streams", "corrupt", tell_another_event),
    ("streams", "lost", end_a_stream_early),
    ("streams", "lost", listen_for_ever),
    ("counts", "doubled", count_tokens_twice),
    ("counts", "lost", lose_figures),
    ("counts", "lost", repeat_more_than_an_interval),
    ("counts", "doubled", report_a_step_twice),
    ("same bytes", "corrupt", train_something_else),
    ("same bytes", "corrupt", hand_out_other_bytes),
    ("same bytes", "lost", never_deliver),
    ("drains", "lost", count_a_drain),
    ("drains", "lost", repeat_after_a_drain),
    ("ends", "lost", ignore_a_cancellation),
    ("acknowledged", "lost", never_answer),
    ("witnessed", "lost", overlook_a_checkpoint),
    ("witnessed", "lost", look_away),
    ("disks", "late", leave_a_directory),
    ("processes", "lost", end_by_itself),
    ("recovery", "late", take_long),
    ("recovery", "lost", never_recover),
]


@pytest.mark.parametrize(("rule", "cost", "damage"), BROKEN, ids=[damage.__name__ for *_, damage in BROKEN])
def test_a_broken_promise_is_named(good: Round, rule: str, cost: str, damage: Callable[..., None]) -> None:
    history, dump = copy.deepcopy(good)
    damage(history, dump)
    assert (rule, cost) in {(violation.rule, violation.cost) for violation in check(history, dump)}
