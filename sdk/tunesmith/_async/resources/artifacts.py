"""The files that a job yields."""

import os
import time
from collections.abc import Collection
from pathlib import Path

from tunesmith import downloads
from tunesmith._async import transfers, waiting
from tunesmith._async.page import AsyncPages
from tunesmith._async.resources.base import AsyncResource
from tunesmith.answers import given, segment
from tunesmith.errors import TunesmithError
from tunesmith.types import Artifact

Paths = list[Path]  # inside of the class, `list` is the method
LINK_SECONDS = 60  # a download link that is valid for less than this is asked for anew


class AsyncArtifacts(AsyncResource):
    """`client.fine_tuning.jobs.artifacts`: the files that a job yields.

    ```python
    for path in await client.fine_tuning.jobs.artifacts.download(job.id, "adapter"):
        print(path)
    ```
    """

    def list(self, job_id: str, *, step: int | None = None) -> AsyncPages[Artifact]:
        """The files that the job yielded; none before it has succeeded.

        Args:
            step: of the checkpoint after that step instead.
        """
        return self._pages(Artifact, f"/fine_tuning/jobs/{segment(job_id)}/artifacts", given(step=step))

    async def download(
        self,
        job_id: str,
        folder: str | os.PathLike[str],
        names: Collection[str] | None = None,
        *,
        step: int | None = None,
    ) -> Paths:
        """Download artifacts into the folder, which is made where it is missing, and verify size and SHA-256.

        A download that broke off is gone on with; a file that is there with the right digest is not fetched again.

        Args:
            names: which artifacts; None: all of them.
            step: of the checkpoint after that step instead of those that the job yielded.

        Returns:
            The paths of the files, in the server's order.

        Raises:
            DigestMismatch: other bytes came than the server promised; that file is not kept, earlier ones are.
            UnsafeName: an artifact's name leads out of the folder; nothing is downloaded.
            TunesmithError: the job has no artifact of a name that was asked for.
        """
        root = Path(folder)
        available = await self._by_name(job_id, step)
        missing = [name for name in names or () if name not in available]
        if missing or not available:
            raise TunesmithError(f"job {job_id} has no artifact" + (f" {missing[0]!r}" if missing else "s"))
        wanted = {name: downloads.target(root, name) for name in available if names is None or name in names}
        for name, path in wanted.items():
            if available[name].url_expires_at - time.time() < LINK_SECONDS:
                available |= await self._by_name(job_id, step)
            path.parent.mkdir(parents=True, exist_ok=True)
            await self._save(available[name], path)
        return [*wanted.values()]

    async def _by_name(self, job_id: str, step: int | None) -> dict[str, Artifact]:
        return {artifact.name: artifact async for artifact in self.list(job_id, step=step)}

    async def _save(self, artifact: Artifact, path: Path) -> None:
        """Fetch one artifact by its presigned link, without the key, unless it is there."""
        if await waiting.in_thread(lambda: downloads.holds(path, sha256=artifact.sha256, size=artifact.bytes)):
            return
        await transfers.save(
            lambda headers: self._transport.stream_bare(artifact.url, headers=headers),
            path,
            sha256=artifact.sha256,
            size=artifact.bytes,
        )
