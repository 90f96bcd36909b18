"""The spec of a job as something to run: curl, the openai package, our SDK.

All three take the API's address and a key from TUNESMITH_BASE_URL and TUNESMITH_API_KEY.
"""

import json
import pprint
import shlex
from typing import Any

REQUIRED = ("model", "training_file")  # by the openai package, also where the job has none
OPENAI = (*REQUIRED, "validation_file", "suffix", "seed", "metadata")  # arguments that the contract has as well


def as_json(body: dict[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def as_curl(body: dict[str, Any]) -> str:
    return (
        'curl "$TUNESMITH_BASE_URL/fine_tuning/jobs" \\\n'
        '  -H "Authorization: Bearer $TUNESMITH_API_KEY" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(as_json(body))}\n"
    )


def as_openai(body: dict[str, Any]) -> str:
    """What the package has no names for goes into `extra_body`, which it sends along."""
    usual = {name: repr_in_call(body[name]) for name in OPENAI if name in body}
    absent = {name: "openai.NOT_GIVEN" for name in REQUIRED if name not in body}
    other = {name: value for name, value in body.items() if name not in OPENAI}
    extra = {"extra_body": repr_in_call(other)} if other else {}
    return (
        "import os\n\nimport openai\n\n"
        "client = openai.OpenAI(\n"
        '    base_url=os.environ["TUNESMITH_BASE_URL"],\n'
        '    api_key=os.environ["TUNESMITH_API_KEY"],\n'
        ")\n" + call(absent | usual | extra)
    )


def as_tunesmith(body: dict[str, Any]) -> str:
    return "from tunesmith import Tunesmith\n\nclient = Tunesmith()\n" + call(
        {name: repr_in_call(value) for name, value in body.items()}
    )


def call(arguments: dict[str, str]) -> str:
    lines = "".join(f"    {name}={value},\n" for name, value in arguments.items())
    return f"job = client.fine_tuning.jobs.create(\n{lines})\nprint(job.id, job.status)\n"


def repr_in_call(value: Any) -> str:
    """Python's own way of writing it; a line break in a text is written as an escape, so only ours are indented."""
    return pprint.pformat(value, width=100, sort_dicts=False).replace("\n", "\n    ")
