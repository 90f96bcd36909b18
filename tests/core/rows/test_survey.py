"""What a report says about rows: lengths, duplicates, answers, personal data, and what two files share."""

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.rows import sketch as sketches
from core.rows.near import near_rows, signatures
from core.rows.personal import IPV4, SECRET, PersonalData
from core.rows.sketch import Sketch, overlap
from core.rows.survey import Smallest, Survey, _histogram
from core.rows.validate import validate
from tests.core.rows.files import jsonl, write

WORDS = random.Random(1).sample([a + b + c for a in "bcdfgh" for b in "aeiou" for c in ("lt", "rn", "sk", "m")], 120)


def text(seed: int, words: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def row(prompt: str, answer: str = "fine", **answered: Any) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer, **answered}],
    }


def surveyed(folder: Path, rows: list[dict[str, Any]]) -> tuple[Survey, dict[str, Any]]:
    survey = Survey()
    report = validate(write(folder, jsonl(rows)), survey=survey)
    assert report.faults == []
    return survey, report.figures()


def sketch_of(folder: Path, rows: list[dict[str, Any]]) -> Sketch:
    survey, _ = surveyed(folder, rows)
    return Sketch.from_bytes(survey.sketch().to_bytes())


def test_lengths_are_exact(tmp_path: Path) -> None:
    _, figures = surveyed(tmp_path, [row("å" * n, "x") for n in range(100)])
    quantiles = {"min": 1, "p50": 50, "p90": 90, "p99": 99, "max": 100}
    histogram = figures["characters"].pop("histogram")
    assert figures["characters"] == {**quantiles, "mean": 50.5, "total": 5050}
    assert sum(bar["rows"] for bar in histogram) == 100


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=200))
def test_every_length_is_in_one_bar_of_the_histogram(lengths: list[int]) -> None:
    bars = _histogram(np.array(sorted(lengths), np.uint32))
    assert 1 <= len(bars) <= 20
    assert (bars[0]["min"], bars[-1]["max"]) == (min(lengths), max(lengths))
    assert all(one["max"] + 1 == next["min"] for one, next in pairwise(bars))
    assert [bar["rows"] for bar in bars] == [
        sum(bar["min"] <= length <= bar["max"] for length in lengths) for bar in bars
    ]


def test_a_few_long_rows_do_not_hide_how_long_the_others_are() -> None:
    bars = _histogram(np.array([*range(100, 300), 100_000], np.uint32))
    assert sum(bar["rows"] > 0 for bar in bars) >= 4


def test_rows_that_repeat_are_counted_however_they_are_written(tmp_path: Path) -> None:
    spaced = json.dumps(row(text(1)), indent=None, separators=(" , ", " : ")).encode() + b"\n"
    path = write(tmp_path, jsonl([row(text(1)), row(text(2)), row(text(1))]) + spaced)
    assert validate(path, survey=Survey()).figures()["duplicates"] == {"exact": 2, "near": 0, "near_rows_compared": 2}


def test_calls_are_the_same_in_whatever_order_their_keys_stand(tmp_path: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turned = {"function": {"arguments": "{}", "name": "f"}, "type": "function", "id": "1"}
    rows = [row("a", tool_calls=[call]), row("a", tool_calls=[turned]), row("a", tool_calls=[{**call, "id": "2"}])]
    rows.append(row("a", tool_calls=[turned], weight=1.0))  # not for the fast path
    assert surveyed(tmp_path, rows)[1]["duplicates"]["exact"] == 2


def test_who_says_it_and_what_is_learnt_makes_a_row_another(tmp_path: Path) -> None:
    said = {"role": "assistant", "content": "b"}
    rows = [
        {"messages": [{"role": "user", "content": "a"}, said]},
        {"messages": [{"role": "system", "content": "a"}, said]},
        {"messages": [{"role": "assistant", "content": "a", "weight": 0}, said]},
        {"messages": [{"role": "assistant", "content": "a"}, said]},
        {"messages": [{"role": "user", "content": "ab"}, said]},
    ]
    assert surveyed(tmp_path, rows)[1]["duplicates"]["exact"] == 0


def test_rows_that_are_nearly_the_same_are_counted(tmp_path: Path) -> None:
    rows = [row(text(seed)) for seed in range(50)]
    rows += [row(text(seed).replace(" ", "  ", 1).upper() + " And more") for seed in range(20)]
    rows += [row(" ".join(reversed(text(seed).split()))) for seed in range(20, 30)]
    assert surveyed(tmp_path, rows)[1]["duplicates"] == {"exact": 0, "near": 20, "near_rows_compared": 80}


def test_similarity_is_that_of_the_sets() -> None:
    """Pairs on both sides of the least similarity; Jaccard's own figure decides what is right."""
    rng, wrong = random.Random(3), 0
    for _ in range(200):
        words = [f"{rng.randrange(10**8):08d}" for _ in range(200)]
        changed = list(words)
        for i in range(rng.choice((5, 60))):  # similarities of 0.95 and 0.54
            changed[i] = f"{rng.randrange(10**8):08d}"
        pair = [" ".join(words).encode(), " ".join(changed).encode()]
        starts = np.array([0, len(pair[0]) + 8])
        found, _ = signatures(bytes(8).join(pair), starts)
        jaccard = len(set(words) & set(changed)) / len(set(words) | set(changed))
        wrong += near_rows(found).tolist() != [False, jaccard > 0.8]
    assert wrong <= 2


def test_empty_and_refused_answers_are_counted(tmp_path: Path) -> None:
    refusals = ["I'm sorry, but I can't do that.", "I’m unable to say.", " As an AI model, I won't."]
    rows = [row(text(1), refusal) for refusal in refusals]
    rows += [row("a", "Sorry for the delay: it is 4"), row("b", "I can't help", weight=0)]
    for item in rows:
        item["messages"].append({"role": "assistant", "content": "and so on"})
    rows[3]["messages"][1] = {"role": "assistant", "content": "", "weight": 0}
    _, figures = surveyed(tmp_path, rows)
    assert (figures["empty_answers"], figures["refused_answers"]) == (1, 3)


@pytest.mark.parametrize(
    ("category", "found", "not_found"),
    [
        ("email", ["ann.lee+x@mail.example.org."], ["a @ b.com", "@home", "a@b", "x@y.z"]),
        ("phone", ["+44 20 7946 0958", "(212) 555-0147", "1-212-555-0147"], ["2125550147", "+12", "2024-01-15 10:30"]),
        ("credit_card", ["4111 1111 1111 1111", "5500005555555559"], ["4111 1111 1111 1112", "0000000000000000"]),
        ("iban", ["GB29 NWBK 6016 1331 9268 19", "DE89370400440532013000"], ["GB29 NWBK 6016 1331 9268 18"]),
        ("us_ssn", ["078-05-1120"], ["000-12-3456", "666-12-3456", "078-00-1120", "1078-05-1120"]),
        ("ipv4", ["at 10.0.0.1, say", "255.255.255.255"], ["1.2.3.256", "1.2.3", "1.2.3.4.5", "v1.2.3.4"]),
        (
            "secret",
            ["key=sk-proj-abcdefghij0123456789", "AKIAIOSFODNN7EXAMPLE", "-----BEGIN RSA PRIVATE KEY-----"],
            ["sk-short", "-----BEGIN CERTIFICATE-----", "a-very-long-word-that-is-no-secret-at-all"],
        ),
    ],
)
def test_personal_data_is_found_by_row_and_never_shown(
    category: str, found: list[str], not_found: list[str], tmp_path: Path
) -> None:
    rows = [row(f"See {value} twice: {value}") for value in [*not_found, *found]]
    _, figures = surveyed(tmp_path, rows)
    first = len(not_found) + 1
    lines = list(range(first, first + len(found)))
    assert figures["personal_data"][category] == {"rows": len(found), "first_lines": lines}
    assert not any(value in json.dumps(figures) for value in found)


FRAGMENTS = [
    "10.0.0.1",
    "1.2.3",
    "256.1",
    "7",
    ".",
    "-",
    "_",
    "a",
    "é",
    " ",
    "\n",
    "sk-",
    "tsk-",
    "AKIA",
    "hf_",
    "x" * 15,
    "A1" * 9,
]
FRAGMENTS += ["abcdefghij0123456789", "AKIAIOSFODNN7EXAMPLE", "-----BEGIN RSA PRIVATE KEY-----"]


@settings(max_examples=500, deadline=None, derandomize=True)
@given(texts=st.lists(st.lists(st.sampled_from(FRAGMENTS), max_size=8).map("".join), min_size=1, max_size=4))
def test_looking_only_where_something_can_be_finds_all_that_is_there(texts: list[str]) -> None:
    rows = [text.encode() for text in texts]
    starts = [sum(len(row) + 8 for row in rows[:i]) for i in range(len(rows))]
    personal = PersonalData()
    personal.scan(bytes(8).join(rows), starts, range(len(rows)))
    for category, pattern in (("ipv4", IPV4), ("secret", SECRET)):
        assert personal.found[category].first_lines == [i for i, row in enumerate(rows) if pattern.search(row)]


def test_first_lines_are_few_and_in_order_over_many_blocks(tmp_path: Path) -> None:
    _, figures = surveyed(tmp_path, [row(text(n, 400) + (" a@b.org" if n % 10 == 0 else "")) for n in range(300)])
    assert figures["personal_data"]["email"] == {"rows": 30, "first_lines": [1, 11, 21, 31, 41]}


def test_overlap_of_rows_prompts_and_what_is_nearly_the_same(tmp_path: Path) -> None:
    training = sketch_of(tmp_path, [row(text(seed), text(1000 + seed)) for seed in range(100)])
    shared = [row(text(seed), text(1000 + seed)) for seed in range(10)]
    same_prompt = [row(text(seed), text(9999)) for seed in range(10, 15)]
    nearly = [row(text(seed) + " indeed", text(1000 + seed)) for seed in range(20, 27)]
    validation = sketch_of(tmp_path, [*shared, *same_prompt, *nearly, row(text(-1), text(-2))])
    assert overlap(training, validation) == {
        "rows": 10,
        "prompts": 15,
        "exact": True,
        "near_rows": 17,
        "near_rows_compared": {"training": 100, "validation": 23},
    }


def test_the_overlap_of_large_files_is_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.rows.survey.MOST_HASHES", 1000)
    training = sketch_of(tmp_path, [row(str(n)) for n in range(8000)])
    validation = sketch_of(tmp_path, [row(str(n)) for n in range(6000, 10_000)])
    shared = overlap(training, validation)
    assert not shared["exact"]
    assert shared["rows"] == pytest.approx(2000, rel=0.25)


def test_what_would_not_stay_is_not_wanted_where_the_number_of_keys_is_known() -> None:
    keys = np.random.default_rng(0).integers(0, 2**64, 10_000, np.uint64)
    smallest = Smallest(100, np.empty(0, np.int64))
    smallest.expect(len(keys))
    assert 100 < np.count_nonzero(keys <= smallest.below) < 200
    for start in range(0, len(keys), 50):
        smallest.add(keys[start : start + 50], np.arange(start, start + 50))
    kept, values = smallest.kept()
    assert kept.tolist() == sorted(keys.tolist())[:100]
    assert (keys[values] == kept).all()
    few = Smallest(100, np.empty(0, np.int64))
    few.expect(150)
    assert (keys <= few.below).all()


def test_the_smallest_keys_are_kept_with_their_values() -> None:
    kept = Smallest(50, np.empty(0, np.uint64))
    keys = np.random.default_rng(0).integers(0, 300, 2000).astype(np.uint64)
    for part in np.array_split(keys, 37):
        kept.add(part, part * np.uint64(2))
    found, values = kept.kept()
    assert found.tolist() == sorted(set(keys.tolist()))[:50]
    assert values.tolist() == [2 * key for key in found.tolist()]
    assert kept.below == found[-1]


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:10], lambda b: b"X" + b[1:], lambda b: b + b"\0"])
def test_what_is_no_sketch_is_refused(damage: Any) -> None:
    whole = Sketch(np.arange(3, dtype=np.uint64), np.arange(2, dtype=np.uint64), np.zeros((1, 64), np.uint16))
    with pytest.raises(ValueError, match="sketch"):
        Sketch.from_bytes(damage(whole.to_bytes()))
    assert len(whole.to_bytes()) < sketches.MOST_BYTES
