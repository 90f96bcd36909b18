"""Python graders under bubblewrap: what they can do, and everything that they must not."""

import os
import time
from pathlib import Path

import pytest

from core.specs.graders import PythonGrader
from graders import sandbox, seccomp
from graders.needs import lacking
from graders.sample import Sample
from tests.graders.grading import need_full_sandbox, without_bubblewrap
from tests.graders.test_monty import source


@pytest.fixture(autouse=True)
def _bubblewrap() -> None:
    need_full_sandbox()


def full(body: str, *, seconds: float = 20) -> PythonGrader:
    return source(body, sandbox="full", timeout_seconds=seconds)


SAMPLE = Sample(output_text="abc", item={"n": 2})


def test_a_grader_has_python_and_the_servers_packages() -> None:
    body = "import numpy, threading, random\nfrom rapidfuzz import fuzz\nassert random.SystemRandom().random() < 1\n"
    body += "t = threading.Thread(target=lambda: None)\nt.start()\nt.join()\n"
    body += "return numpy.float32(len(sample['output_text']) / item['n'])"
    (found,) = sandbox.full(full(body), [SAMPLE])
    assert (found.reward, found.errors.details) == (1.5, [])


# Each answers something where it gets through, and raises where it does not.
ESCAPES = {
    "read a file": "return len(open('/etc/passwd').read())",
    "read a file of the server's user": "import os\nreturn len(os.listdir(os.path.expanduser('~root') + '/.ssh'))",
    "write a file": "open('/written', 'w').write('x')\nreturn 1",
    "write into the packages": "import numpy, os\nopen(os.path.dirname(numpy.__file__) + '/x.py', 'w')\nreturn 1",
    "a folder for temporary files": "import tempfile\nreturn len(tempfile.mkdtemp())",
    "a link": "import os\nos.symlink('/usr', '/link')\nreturn 1",
    "memory as a file": "import os\nos.write(os.memfd_create('x'), b'x')\nreturn 1",
    "proc of itself": "return len(open('/proc/self/environ').read())",
    "proc of all": "import os\nreturn len(os.listdir('/proc'))",
    "sys": "import os\nreturn len(os.listdir('/sys'))",
    "network": "import socket\nsocket.create_connection(('127.0.0.1', 22), 1)\nreturn 1",
    "a socket at all": "import socket\nreturn socket.socket(socket.AF_UNIX).fileno()",
    "a name": "import socket\nreturn len(socket.gethostbyname('localhost'))",
    "another program": "import subprocess\nreturn subprocess.run(['/usr/bin/id']).returncode",
    "a shell": "import os\nassert os.system('true') == 0\nreturn 1",
    "a fork": "import os\nreturn os.fork()",
    "multiprocessing": "import multiprocessing as m\nm.get_context('fork').Process(target=print).start()\nreturn 1",
    "replace itself": "import os\nos.execv('/bin/sh', ['sh'])\nreturn 1",
    "kill its parent": "import os\nos.kill(os.getppid(), 9)\nreturn 1",
    "kill everybody": "import os\nos.kill(-1, 9)\nreturn 1",
    "more memory": "import resource as r\nr.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY,) * 2)\nreturn 1",
    "another user": "import os\nos.setuid(0)\nreturn 1",
    "another root": "import os\nos.chroot('/usr')\nreturn 1",
    "a name space": "import ctypes\nl = ctypes.CDLL(None, use_errno=True)\nassert l.unshare(0x10000000) == 0\nreturn 1",
    "a mount": "import ctypes\nl = ctypes.CDLL(None)\nassert l.mount(b'x', b'/srv', b'tmpfs', 0, 0) == 0\nreturn 1",
    "ptrace": "import ctypes, os\nl = ctypes.CDLL(None)\nassert l.ptrace(16, os.getppid(), 0, 0) == 0\nreturn 1",
    "io_uring": "import ctypes\nl = ctypes.CDLL(None)\nassert l.syscall(425, 1, bytes(120)) >= 0\nreturn 1",
    "clone by number": "import ctypes\nl = ctypes.CDLL(None)\nassert l.syscall(56, 17, 0, 0, 0, 0) >= 0\nreturn 1",
    "the terminal": "import fcntl, termios\nfcntl.ioctl(0, termios.TIOCSTI, b'x')\nreturn 1",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_a_grader_reaches_nothing_of_the_machine(name: str) -> None:
    (found,) = sandbox.full(full(ESCAPES[name]), [SAMPLE])
    assert found.reward == 0
    assert found.errors.python_grader_runtime_error, found


MAPPED = "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(bytes.fromhex('b814000000cd80c3'))\n"


@pytest.mark.parametrize(
    "body",
    [
        MAPPED + "f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\nreturn f()",
        "import ctypes\nctypes.CDLL(None).syscall(0x40000000 + 39)\nreturn 1",
    ],
    ids=["i386", "x32"],
)
def test_calls_by_other_numbers_than_the_filter_knows_end_the_process(body: str) -> None:
    """Those of 32-bit code, which is written into memory here, and those of 64-bit code with pointers of 32 bits."""
    (found,) = sandbox.full(full(body), [SAMPLE])
    assert found.reward == 0
    assert f"by signal {31}" in found.errors.details[0], found  # SIGSYS


def test_the_environment_holds_nothing_of_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_S3_SECRET_ACCESS_KEY", "hidden")
    body = "import os\nraise ValueError(sorted(os.environ.items()))"
    (found,) = sandbox.full(full(body), [SAMPLE])
    there = [("LC_CTYPE", "C.UTF-8"), ("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"), ("PWD", "/")]
    assert found.errors.details == [f"source: line 3: ValueError: {there}"]


def test_a_grader_sees_only_the_interpreter_and_packages(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    body = f"import os\nassert not os.path.exists({str(tmp_path)!r})\nassert not os.path.exists(item['code'])\n"
    body += "assert sorted(os.listdir('/dev')) == ['null']\nreturn os.getuid() == 65534 and os.getpid() < 10"
    code = str(Path(sandbox.__file__).parent.parent / "api")
    (found,) = sandbox.full(full(body), [Sample(output_text="", item={"code": code})])
    assert (found.reward, found.errors.details) == (1, [])


@pytest.mark.parametrize(
    ("greedy", "words"),
    [
        ("while True:\n    pass", ["TimeoutError: not done within 1 s"]),
        ("import time\ntime.sleep(3600)", ["TimeoutError"]),
        ("return 9 ** 9 ** 9 ** 9", ["TimeoutError", "MemoryError"]),
        ("return len([0] * 10 ** 11)", ["MemoryError"]),
        ("x = []\nwhile True:\n    x.append(bytes(10 ** 7))", ["MemoryError"]),
        ("return len(str(10 ** 10000))", ["digits"]),
        ("return grade(sample, item)", ["RecursionError"]),
        (
            "import sys\nsys.setrecursionlimit(10 ** 9)\nreturn grade(sample, item)",
            ["signal", "MemoryError", "Timeout"],
        ),
        ("import threading\nwhile True:\n    threading.Thread(target=grade, args=(1, 2)).start()", [""]),
        ("import os\nos._exit(3)", ["the process ended with status 3"]),
        ("import ctypes\nctypes.string_at(0)", ["by signal 11"]),
        ("import os\nwhile True:\n    os.write(4, b'x' * 1000)", [""]),
        ("import os\nos.write(4, ('{\"error\": \"' + 'é' * 7000 + '\"}\\n').encode())\nreturn 1", ["éééé"]),
        ("import os\nos.write(4, b'{\"value\": ' + b'9' * 4000 + b'}\\n')\nreturn 1", [""]),
        ("import os\nos.write(4, b'[' * 5000 + b'\\n')\nreturn 1", [""]),
        ("import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True:\n    pass", ["Timeout"]),
    ],
)
def test_a_grader_takes_no_more_than_its_share_and_the_next_sample_is_graded(greedy: str, words: list[str]) -> None:
    body = f"if item['n'] == 1:\n    return 1\n{greedy}"
    samples = [Sample(output_text="", item={"n": n}) for n in (1, 2, 1)]
    started = time.monotonic()
    found = sandbox.full(full(body, seconds=1), samples, memory=512 * 1024**2)
    assert [one.reward for one in found] == [1, 0, 1], found
    assert any(word in found[1].errors.details[0] for word in words), found[1]
    assert time.monotonic() - started < 60


def test_a_module_that_never_ends_costs_each_sample_its_time() -> None:
    grader = PythonGrader(
        type="python",
        name="p",
        sandbox="full",
        timeout_seconds=0.5,
        source="while True: pass\ndef grade(s, i): return 1",
    )
    found = sandbox.full(grader, [SAMPLE, SAMPLE])
    assert [one.errors.details for one in found] == [["source: TimeoutError: not done within 0.5 s"]] * 2


def test_one_launch_grades_a_whole_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    launches = list[int]()
    run = sandbox.subprocess.run

    def counted(*arguments: object, **options: object) -> object:
        launches.append(1)
        return run(*arguments, **options)  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(sandbox.subprocess, "run", counted)
    samples = [Sample(output_text="", item={"n": n}) for n in range(500)]
    found = sandbox.full(full("return item['n']"), samples)
    assert [one.reward for one in found] == list(range(500))
    assert len(launches) == 1


def test_a_grader_may_write_whatever_it_likes_to_its_outputs() -> None:
    body = "import os, sys\nprint('x' * 10 ** 6)\nos.write(1, b'{\"value\": 7}\\n')\nsys.stderr.write('y')\nreturn 1"
    found = sandbox.full(full(body), [SAMPLE, SAMPLE])
    assert [one.reward for one in found] == [1, 1]


def test_the_filter_alone_forbids_processes_to_a_process_of_ours() -> None:
    """As the child that compares formulas has it, without bubblewrap."""
    child = os.fork()
    if child == 0:
        seccomp.install(seccomp.ALONE)
        try:
            os.fork()
        except PermissionError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_without_bubblewrap_it_is_refused() -> None:
    with without_bubblewrap():
        problem = lacking(full("return 1"), models=False, embeddings=False)
        (found,) = sandbox.full(full("return 1"), [SAMPLE])
    assert problem is not None
    assert (problem.path, "bubblewrap is not installed" in problem.message) == ("sandbox", True)
    assert (found.reward, found.errors.python_grader_server_error_type) == (0, "unavailable")
