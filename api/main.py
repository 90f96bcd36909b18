"""`uvicorn api.main:app`"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse

from api.deps import authenticated
from api.errors import RESPONSES, install_error_handlers
from api.event_stream import EventStreams, on_shutdown
from api.monitoring import MetricsMiddleware, RequestMetrics
from api.openapi import describe
from api.query import known_query
from api.request_id import RequestIdMiddleware
from api.routes import (
    access,
    artifacts,
    checkpoints,
    estimate,
    events,
    file_reports,
    files,
    graders,
    health,
    jobs,
    models,
    ops,
    overview,
    preview,
    rollouts,
    samples,
    uploads,
    usage,
    webhook_endpoints,
)
from core.access.key_cache import KeyCache
from core.access.rate_limit import RateLimiter
from core.db import make_engine
from core.logs import configure
from core.registry.cards import Cards
from core.registry.catalogue import load_catalogue
from core.settings import Settings, get_settings
from core.storage import Storage

# Those that are asked most come first: routers are tried in turn.
ROUTERS = (
    jobs,
    events,
    files,
    file_reports,
    preview,
    uploads,
    estimate,
    graders,
    artifacts,
    checkpoints,
    rollouts,
    samples,
    models,
    usage,
    webhook_endpoints,
    access,
    overview,
    ops,
)


def create_app(settings: Settings) -> FastAPI:
    """The application for these settings; it connects to nothing before its first request."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        on_shutdown(app.state.event_streams.close)
        yield
        app.state.engine.dispose()
        app.state.rate_limiter.close()
        app.state.cards.close()

    # The schema is served below, behind a key like everything else.
    app = FastAPI(
        title="Tunesmith",
        version="0.1.0",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.engine = make_engine(settings)
    app.state.storage = Storage(settings)
    app.state.catalogue = load_catalogue(settings.catalogue).with_aliases(settings.model_aliases)
    app.state.key_cache = KeyCache(seconds=settings.key_cache_seconds)
    app.state.rate_limiter = RateLimiter(settings)
    app.state.cards = Cards(app.state.storage)

    app.state.event_streams = EventStreams(app.state.engine)
    app.state.request_metrics = RequestMetrics()

    app.add_middleware(MetricsMiddleware, metrics=app.state.request_metrics)
    app.add_middleware(RequestIdMiddleware)
    install_error_handlers(app)
    app.include_router(health.router)
    asked = [Depends(authenticated), Depends(known_query)]
    for module in ROUTERS:
        app.include_router(module.router, prefix="/v1", dependencies=asked, responses=RESPONSES)
    app.include_router(ops.metrics_router, dependencies=asked, responses=RESPONSES)

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Depends(authenticated)])
    def schema() -> JSONResponse:
        return JSONResponse(describe(app))

    return app


configure(get_settings())
app = create_app(get_settings())
