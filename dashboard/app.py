"""The application: pages, what guards them, and what they look like."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nicegui
from fastapi import FastAPI
from nicegui import ui
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from dashboard import login, upload
from dashboard.frame import no_such_page, went_wrong
from dashboard.guard import Guard
from dashboard.pages import new_job  # noqa: F401 - its page, /jobs/new, which comes before /jobs/{job_id}

# isort: split
from dashboard.pages import (  # noqa: F401 - their pages
    compare,
    data,
    file,
    job,
    job_lineage,
    job_log,
    job_results,
    job_rollouts,
    job_spec,
    jobs,
    model,
    models,
    overview,
    projects,
)
from dashboard.sessions import Sessions
from dashboard.settings import Settings

HERE = Path(__file__).parent


def create_app(settings: Settings) -> ASGIApp:
    """The dashboard of one API; it asks it nothing before somebody logs in."""
    sessions = Sessions(api_url=settings.api_url, hours=settings.session_hours)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await sessions.end_all()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(login.router(settings, sessions))
    app.include_router(upload.router())
    app.include_router(job.router())
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    nicegui.app.on_page_exception(went_wrong)
    ui.run_with(
        app,
        root=no_such_page,
        title="Tunesmith",
        favicon=HERE / "static" / "favicon.svg",
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )
    return Guard(app, sessions=sessions)
