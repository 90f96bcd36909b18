"""`uvicorn api.main:app`"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse

from api.deps import authenticated
from api.errors import install_error_handlers
from api.request_id import RequestIdMiddleware
from api.routes import artifacts, file_reports, files, health, jobs, models
from core.db import make_engine
from core.registry.catalogue import load_catalogue
from core.settings import Settings, get_settings
from core.storage import Storage


def create_app(settings: Settings) -> FastAPI:
    """The application for these settings; it connects to nothing before its first request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.engine.dispose()

    # The schema is served below, behind a key like everything else.
    app = FastAPI(
        title="Tunesmith", version="0.1.0", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None
    )
    app.state.settings = settings
    app.state.engine = make_engine(settings)
    app.state.storage = Storage(settings)
    app.state.catalogue = load_catalogue(settings.catalogue)

    app.add_middleware(RequestIdMiddleware)
    install_error_handlers(app)
    app.include_router(health.router)
    for router in (files.router, file_reports.router, jobs.router, artifacts.router, models.router):
        app.include_router(router, prefix="/v1", dependencies=[Depends(authenticated)])

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(authenticated)])
    def schema() -> JSONResponse:
        return JSONResponse(app.openapi())

    return app


logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
app = create_app(get_settings())
