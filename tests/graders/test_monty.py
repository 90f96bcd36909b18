"""Python graders in Monty: what they can do, and everything that they must not."""

import time

import pytest

from core.specs.graders import PythonGrader
from graders import monty
from graders.monty import MontyRunner
from graders.sample import Sample
from graders.score import Scorer
from tests.graders.grading import nobody, outcome

MEMORY = 32 * 1024**2


def source(body: str, **options: object) -> PythonGrader:
    """A grader whose function has this body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return PythonGrader.model_validate(
        {"type": "python", "name": "p", "source": f"def grade(sample, item):\n{lines}", **options}
    )


def test_a_grader_sees_sample_and_item() -> None:
    body = "import json, re, math\nassert item['n'] == [1, {'a': None}]\nreturn len(sample['output_text']) / 4"
    found = outcome(source(body), "ab", n=[1, {"a": None}])
    assert (found.reward, found.errors.details) == (0.5, [])


@pytest.mark.parametrize(
    "escape",
    [
        # Files, /proc among them.
        "return len(open('/etc/passwd').read())",
        "open('/tmp/monty-was-here', 'w').write('x')\nreturn 1",
        "import pathlib\nreturn len(pathlib.Path('/proc/self/environ').read_text())",
        "import pathlib\nreturn len(list(pathlib.Path('/').iterdir()))",
        "import os\nreturn len(os.listdir('/proc'))",
        # Network.
        "import socket\nreturn 1",
        "import urllib.request\nreturn 1",
        # Environment.
        "import os\nreturn len(os.environ)",
        "import os\nreturn len(os.getenv('PATH'))",
        # Processes.
        "import subprocess\nreturn 1",
        "import os\nos.system('id')\nreturn 1",
        "import os\nreturn os.fork()",
        "import ctypes\nreturn 1",
        # Around the interpreter.
        "return len(().__class__.__bases__)",
        "return len((lambda: 0).__globals__)",
        "return __import__('os').getpid()",
        "return len(eval(\"open('/etc/passwd')\").read())",
        'exec("import subprocess")\nreturn 1',
    ],
)
def test_a_grader_reaches_nothing_of_the_machine(escape: str) -> None:
    found = outcome(source(escape), "x")
    assert found.reward == 0
    assert found.errors.python_grader_runtime_error, found
    assert found.errors.python_grader_runtime_error_details


@pytest.mark.parametrize(
    ("greedy", "word"),
    [
        ("while True:\n    pass", "Timeout"),
        ("import time\ntime.sleep(3600)\nreturn 1", "sleep"),
        ("return sum(range(10 ** 12))", "Timeout"),
        ("x = []\nwhile True:\n    x.append('a' * 1000)", "Memory"),
        ("return len([0] * 10 ** 10)", "Memory"),
        ("return len('a' * 10 ** 10)", "Memory"),
        ("return 9 ** 9 ** 9", "Memory"),
        ("return 1 << 10 ** 11", "Memory"),
        ("return len(str(10 ** 10000))", "digits"),
        ("def f(n):\n    return f(n + 1)\nreturn f(0)", "Recursion"),
        ("x = []\nfor _ in range(10 ** 6):\n    x = [x]\nreturn len(str(x))", ""),
    ],
)
def test_a_grader_takes_no_more_than_its_share(greedy: str, word: str) -> None:
    started = time.monotonic()
    samples = [Sample(output_text="x"), Sample(output_text="y")]
    with MontyRunner(memory=MEMORY) as runner:
        found = runner.grade(source(greedy, timeout_seconds=1), samples)
        # Whatever became of the worker: the next grader has one.
        (after,) = runner.grade(source("return 1"), samples[:1])
    assert [one.reward for one in found] == [0, 0]
    assert all(one.errors.python_grader_runtime_error or one.errors.python_grader_server_error for one in found)
    assert all(word in one.errors.details[0] for one in found), found
    assert after.reward == 1
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("answer", ["'1'", "None", "[1]", "float('nan')", "float('inf')", "10 ** 400"])
def test_only_a_finite_number_is_a_reward(answer: str) -> None:
    found = outcome(source(f"return {answer}"), "x")
    assert (found.reward, found.errors.python_grader_runtime_error) == (0, True)


def test_a_check_does_not_take_as_long_as_an_answer_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monty, "CHECK_SECONDS", 0.2)
    endless = PythonGrader(type="python", name="p", source="while True: pass\ndef grade(s, i): return 1")
    with MontyRunner() as runner:
        assert runner.check(endless) == "TimeoutError: not done within 0.2 s"


def test_an_error_names_its_line() -> None:
    found = outcome(source("x = 1\nreturn x / 0"), "x")
    assert found.errors.python_grader_runtime_error_details == "line 3: ZeroDivisionError: division by zero"
    assert found.errors.details == ["source: line 3: ZeroDivisionError: division by zero"]


def test_nothing_is_left_for_the_next_sample() -> None:
    grader = PythonGrader(
        type="python",
        name="p",
        source="seen = []\ndef grade(sample, item):\n    seen.append(1)\n    return len(seen)\n",
    )
    with Scorer(nobody) as scorer:
        found = scorer.score(grader, [Sample(output_text=text) for text in "abc"])
    assert [one.reward for one in found] == [1, 1, 1]


def test_what_a_grader_prints_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    assert outcome(source("print('loud')\nreturn 1"), "x").reward == 1
    assert capfd.readouterr() == ("", "")
