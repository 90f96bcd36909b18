"""The spec of a job as something to run: curl, the openai package, our SDK."""

import json
import pprint
import shlex
from typing import Any


def as_json(body: dict[str, Any]) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)


def as_curl(body: dict[str, Any], base_url: str) -> str:
    """For a shell that has the key in TUNESMITH_API_KEY."""
    return (
        f"curl {shlex.quote(f'{base_url}/fine_tuning/jobs')} \\\n"
        '  -H "Authorization: Bearer $TUNESMITH_API_KEY" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(as_json(body))}\n"
    )


def as_openai(body: dict[str, Any], base_url: str) -> str:
    """What the package has no names for goes into `extra_body`, which it sends along."""
    known = ("model", "training_file", "validation_file", "suffix", "seed", "metadata")
    usual = {name: body[name] for name in known if name in body}
    other = {name: value for name, value in body.items() if name not in known}
    extra = f"    extra_body={_indented(other)},\n" if other else ""
    return (
        "import os\n\nimport openai\n\n"
        f'client = openai.OpenAI(base_url={base_url!r}, api_key=os.environ["TUNESMITH_API_KEY"])\n'
        f"job = client.fine_tuning.jobs.create(\n{_arguments(usual)}{extra})\nprint(job.id, job.status)\n"
    )


def as_tunesmith(body: dict[str, Any], base_url: str) -> str:
    return (
        "import os\n\nfrom tunesmith import Tunesmith\n\n"
        f'client = Tunesmith(base_url={base_url!r}, api_key=os.environ["TUNESMITH_API_KEY"])\n'
        f"job = client.fine_tuning.jobs.create(\n{_arguments(body)})\nprint(job.id, job.status)\n"
    )


def _arguments(values: dict[str, Any]) -> str:
    return "".join(f"    {name}={_indented(value)},\n" for name, value in values.items())


def _indented(value: Any) -> str:
    return pprint.pformat(value, width=100, sort_dicts=False).replace("\n", "\n    ")
