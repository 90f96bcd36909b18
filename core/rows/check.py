"""`python -m core.rows.check PATH NAME`: validate one file, in a process that is limited and has no secrets.

Writes the report as one line of JSON to standard output and, behind it, the sketch where the file can be used.
"""

import gc
import os
import resource
import sys
import threading

import msgspec

from core.rows.survey import Survey
from core.rows.validate import validate

CPU_SECONDS = 1800
ADDRESS_SPACE = 1024**3  # bytes; a Parquet page of long rows is decoded at once, and may be hundreds of megabytes


def main() -> int:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.disable()  # rows make no cycles, and looking for them takes a tenth of the time
    _, path, name = sys.argv
    limit()
    survey = Survey(expected_bytes=os.path.getsize(path))  # fewer than the rows have where the file is compressed
    report = validate(path, name=name, survey=survey)
    figures = report.figures()
    out = sys.stdout.buffer
    out.write(msgspec.json.encode(figures) + b"\n")
    if not report.faults:
        out.write(survey.sketch().to_bytes())
    return 0


def _end_with_parent() -> None:
    """Standard input stays open for as long as somebody waits for the report."""
    os.read(0, 1)  # unbuffered: a buffer's lock would be held when the interpreter ends
    os._exit(1)


def limit() -> None:
    """From here on: no more memory, time and open files than a validation needs, and nothing is written to disk."""
    for resource_name, most in (
        (resource.RLIMIT_AS, ADDRESS_SPACE),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(resource_name, (most, most))
    # The soft limit tells by SIGXCPU whose fault it is; the hard one's SIGKILL could come from anybody.
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 10))


if __name__ == "__main__":
    sys.exit(main())
