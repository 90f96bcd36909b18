# Written by sdk/tools/make_sync.py from tunesmith/_async/client.py: change it there.
"""The client."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from tunesmith import peft
from tunesmith._sync import waiting
from tunesmith._sync.resources.files import Files
from tunesmith._sync.resources.fine_tuning import FineTuning
from tunesmith._sync.resources.models import Models
from tunesmith._sync.resources.ops import Ops
from tunesmith._sync.resources.projects import Projects
from tunesmith._sync.resources.uploads import Uploads
from tunesmith._sync.resources.usage import Usage
from tunesmith._sync.resources.webhook_endpoints import WebhookEndpoints
from tunesmith._sync.transport import Transport
from tunesmith.answers import parse
from tunesmith.errors import ConfigurationError
from tunesmith.profiles import connection
from tunesmith.types import Job, Key, Overview


class Tunesmith:
    """A client of one server, with one key; safe to share, and a context manager.

    ```python
    from tunesmith import Tunesmith

    client = Tunesmith()
    ```

    What is not given comes from the environment (TUNESMITH_BASE_URL, TUNESMITH_API_KEY), then from the profile that
    `tunesmith login` has written; where nothing says otherwise, the server is at port 8000 of this machine.

    Args:
        base_url: where the API is, with its `/v1`.
        api_key: the key; it is never shown.
        profile: whose settings to take; else TUNESMITH_PROFILE, else `default`. The key of a profile is sent to no
            other server than the profile's.
        timeout: seconds without any byte after which a request counts as failed.
        max_retries: how often a request is repeated after connection errors and the statuses 408, 409, 429, >= 500.

    Raises:
        ConfigurationError: there is no key, or the URL is none.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        profile: str | None = None,
        timeout: float = 60.0,
        max_retries: int = 2,
    ) -> None:
        if max_retries < 0:
            raise ConfigurationError(f"max_retries is negative: {max_retries}")
        self.base_url, key = connection(base_url=base_url, api_key=api_key, profile=profile)
        transport = Transport(base_url=self.base_url, api_key=key, timeout=timeout, max_retries=max_retries)
        self._transport = transport
        self.uploads = Uploads(transport)
        self.files = Files(transport, self.uploads)
        self.fine_tuning = FineTuning(transport, self.files)
        self.models = Models(transport)
        self.usage = Usage(transport)
        self.webhook_endpoints = WebhookEndpoints(transport)
        self.projects = Projects(transport)
        self.ops = Ops(transport)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    def me(self) -> Key:
        """What this client's key is, and which project it speaks for."""
        return parse(Key, self._transport.request("GET", "/me"))

    def overview(self, *, hours: int = 24) -> Overview:
        """How things stand, and what has ended, failed and been used within so many hours, at most 744.

        Of the key's project; for an operator's key of all projects.
        """
        return parse(Overview, self._transport.request("GET", "/overview", query={"hours": hours}))

    def load_peft(
        self, job_or_model: Job | str, *, base: Any = None, folder: str | os.PathLike[str] | None = None
    ) -> Any:
        """The fine-tuned model, ready to generate or to score: its adapter, downloaded and verified, on its base.

        Needs `peft` and `transformers`, which this package does not install. Without `base` the base model is fetched
        from the Hugging Face hub, by the name in the adapter's `adapter_config.json`: this server does not hand it out.

        Args:
            job_or_model: a job, its id, or the name of the model that it made.
            base: a loaded base model, with a score head of one label for a reward model's adapter, or what
                `from_pretrained` takes, such as a folder; None: from the hub.
            folder: where to keep the adapter; None: the user's cache folder.

        Raises:
            MissingPackage: peft or transformers is not installed.
            TunesmithError: the model is a base model, the job has yielded no adapter, or `base` is None and the hub
                cannot have the base model or does not answer with it.
        """
        peft.require()
        job_id = self._job_id(job_or_model)
        adapter = Path(folder) if folder is not None else peft.cache_folder(job_id)
        names = [artifact.name for artifact in self.fine_tuning.jobs.artifacts.list(job_id)]
        self.fine_tuning.jobs.artifacts.download(job_id, adapter, names=peft.adapter_files(names, job_id))
        return waiting.in_thread(lambda: peft.load(adapter, base))

    def _job_id(self, job_or_model: Job | str) -> str:
        if isinstance(job_or_model, Job):
            return job_or_model.id
        if job_or_model.startswith("ftjob-"):
            return job_or_model
        model = self.models.retrieve(job_or_model)
        return peft.maker(model)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
