"""The HTTP side: health, readiness, metrics, issuing, and the OpenAPI description."""

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from litestar import Litestar, Response, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.status_codes import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from authz.engine.engine import Engine
from authz.issuing.api.app import SECURITY, Description, issuing_router
from authz.issuing.api.limits import RequestLimits
from authz.issuing.api.problems import HANDLERS
from authz.issuing.desks import Issuing
from authz.metrics import Metrics

STOP_MAX_S = 1
BACKLOG_MAX = 128

_EXPOSITION = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")
"""Litestar adds the character set itself."""


class Readiness(Struct, frozen=True):
    """Whether payments would be decided now, and if not, why."""

    ready: bool
    reasons: list[str]


def application(
    engine: Engine,
    metrics: Metrics,
    issuing: Issuing | None = None,
    limits: RequestLimits = RequestLimits(),  # noqa: B008, frozen
) -> Litestar:
    """Make the application over a running engine."""

    @get("/healthz", sync_to_thread=False)
    def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "alive"}

    @get("/readyz", sync_to_thread=False, responses={})
    def readyz() -> Response[Readiness]:
        """The database is reached and every lease is held."""
        reasons = engine.unready()
        status = HTTP_503_SERVICE_UNAVAILABLE if reasons else HTTP_200_OK
        return Response(Readiness(not reasons, reasons), status_code=status)

    @get("/metrics", sync_to_thread=False, include_in_schema=False)
    def exposition() -> Response[bytes]:
        """What the engine counts, for Prometheus.

        Made in the engine's loop, which writes it too: it takes a millisecond or two, and a thread would only share the
        interpreter with the loop, five milliseconds at a time.
        """
        return Response(generate_latest(metrics.registry), media_type=_EXPOSITION)

    return Litestar(
        [healthz, readyz, exposition, *([] if issuing is None else [issuing_router(issuing, limits)])],
        logging_config=None,
        exception_handlers=HANDLERS,
        openapi_config=OpenAPIConfig(
            title="authz",
            version="1",
            path="/schema",
            render_plugins=[Description(path="/")],
            components=Components(security_schemes={SECURITY: SecurityScheme(type="http", scheme="bearer")}),
        ),
    )


class HttpServer(uvicorn.Server):
    """Serves on a port of its own, in the engine's loop; signals are the service's to handle."""

    def __init__(self, app: Litestar, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=STOP_MAX_S,
                limit_concurrency=128,
            )
        )
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield

    async def start(self) -> int:
        """Listen, and return the port. From then on connections wait to be served. Raises `OSError`."""
        family = socket.AF_INET6 if ":" in self.config.host else socket.AF_INET
        # uvicorn's own bind_socket ends the process where the port is taken, and doesn't listen yet.
        listening = socket.create_server((self.config.host, self.config.port), family=family, backlog=BACKLOG_MAX)
        self._task = asyncio.create_task(self.serve([listening]))
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Finish what is being answered, and close."""
        self.should_exit = True
        if self._task is not None:
            await self._task
