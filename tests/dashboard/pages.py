"""Where every page of the dashboard is, of jobs and files that there are."""

from tunesmith.types import Job


def every_page(*, trained: Job, reinforced: Job, file_id: str) -> dict[str, str]:
    """Paths by names. trained: a supervised job that has ended well; reinforced: one that has rollouts."""
    return {
        "overview": "/",
        "jobs": "/jobs",
        "jobs-failed": "/jobs?status=failed",
        "job": f"/jobs/{trained.id}?log=1",
        "job-reinforcement": f"/jobs/{reinforced.id}?smooth=medium",
        "results": f"/jobs/{trained.id}/results",
        "rollouts": f"/jobs/{reinforced.id}/rollouts?order=asc",
        "lineage": f"/jobs/{reinforced.id}/lineage",
        "spec": f"/jobs/{trained.id}/spec",
        "log": f"/jobs/{trained.id}/log",
        "compare": f"/compare?jobs={trained.id},{reinforced.id}",
        "new-job": f"/jobs/new?clone={reinforced.id}",
        "data": "/data",
        "file": f"/data/{trained.training_file}?model={trained.model}",
        "file-other": f"/data/{file_id}?model={trained.model}",
        "models": "/models",
        "model": f"/models/{reinforced.fine_tuned_model}",
        "projects": "/projects",
        "no-such-page": "/no-such-page",
    }
