"""A Prometheus that scrapes an authorizer under a small load, and what node_exporter would show beside it."""

import asyncio
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml  # type: ignore[import-untyped]

from tests.deploy.files import RULES

READY_MAX_S = 60
POLL_S = 0.1


class Prometheus:
    """A Prometheus of a test's own, asked through its HTTP API."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.began = time.time()

    async def get(self, path: str, **parameters: str | float) -> Any:
        """Ask; return what stands under `data`."""
        answer = (await self._client.get(f"/api/v1/{path}", params=parameters)).json()
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]

    async def value(self, expression: str) -> float | None:
        """The one number that an expression comes to now; None: there is none."""
        found = (await self.get("query", query=expression))["result"]
        return float(found[0]["value"][1]) if found else None

    async def series(self, expression: str) -> list[Any]:
        """Every series of an expression since this Prometheus began, a point a second."""
        asked = {"start": self.began, "end": time.time(), "step": 1.0}
        found: list[Any] = (await self.get("query_range", query=expression, **asked))["result"]
        return found

    async def rules(self) -> list[dict[str, Any]]:
        """All rules and how their last evaluation went."""
        return [rule for group in (await self.get("rules"))["groups"] for rule in group["rules"]]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until it is so."""
    async with asyncio.timeout(READY_MAX_S):
        while not await condition():  # noqa: ASYNC110 - another process brings it about
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def scraping(authz_port: int, node_port: int) -> AsyncIterator[Prometheus]:
    """Run Debian's Prometheus with the shipped rules; it scrapes and evaluates every second."""
    folder = Path(tempfile.mkdtemp(prefix="authz-prometheus-"))
    shutil.copy(RULES, folder)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_configuration(authz_port, node_port)))
    port = _free_port()
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=log,
        stderr=log,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:

            async def listens() -> bool:
                assert process.returncode is None, (folder / "log").read_text()
                try:
                    return (await client.get("/-/ready")).is_success
                except httpx.TransportError:
                    return False

            await until(listens)
            yield Prometheus(client)
    finally:
        log.close()
        if process.returncode is None:
            process.kill()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _configuration(authz_port: int, node_port: int) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [RULES.name],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for job, port in (("authz", authz_port), ("node", node_port))
        ],
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
