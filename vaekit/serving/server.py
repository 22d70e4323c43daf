"""The server: FastAPI round the contract, with limits on everything that a client decides."""

import asyncio
import json
import signal
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources

import uvicorn
from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from vaekit.errors import UserError
from vaekit.serving import contract
from vaekit.serving.contract import RequestError
from vaekit.serving.models import Model

Models = Mapping[str, Mapping[int, Model]]
"""Name -> version -> model."""


@dataclass(frozen=True)
class Limits:
    """What a client may ask for.

    Attributes:
        body: bytes of a request.
        receive: seconds in which its headers, and then its body, must come in.
        seconds: for its answer.
        queue: requests that are answered or wait for it; one more is turned away.
        parallel: requests that are worked on at the same time.
    """

    body: int = 64_000_000
    receive: float = 20.0
    seconds: float = 60.0
    queue: int = 64
    parallel: int = 2


class Desk:
    """Answers requests in threads, turns away what is too much, and counts both.

    Args:
        models: what is served.
        limits: for clients.
    """

    def __init__(self, models: Models, limits: Limits):
        self.models, self.limits = models, limits
        # More threads than cores: some decode and encode while the network works for others.
        self.pool = ThreadPoolExecutor(2 * limits.parallel, thread_name_prefix="edit")
        self.busy = 0
        self.registry = CollectorRegistry()
        self.requests = Counter("vaekit_requests", "Requests.", ["model", "status"], registry=self.registry)
        self.seconds = Histogram(
            "vaekit_request_seconds", "From a whole body to its answer.", ["model"], registry=self.registry
        )
        pending = Gauge("vaekit_pending_requests", "Requests under way or waiting.", registry=self.registry)
        pending.set_function(lambda: self.busy)

    def find(self, name: str, version: int | None = None) -> Model:
        """A model, the newest version where none is named.

        Raises:
            RequestError: there is none.
        """
        if ":" in name:  # a method that is none, as in inpaint:classify
            raise HTTPException(400)
        versions = self.models.get(name, {})
        chosen = max(versions, default=0) if version is None else version
        if chosen not in versions:
            what = f"Servable not found for request: {name}" + (f" version {version}" if version is not None else "")
            raise RequestError(what, 404)
        return versions[chosen]

    async def predict(self, name: str, version: int | None, request: Request) -> Response:
        """Answer a `:predict`."""
        status, label = 500, name if name in self.models else "none"
        try:
            model = self.find(name, version)
            body = await _body(request, self.limits)
            with self.seconds.labels(label).time():
                answer = Response(await self._answer(model, body), media_type="application/json")
            status = 200
            return answer
        except RequestError as error:
            status = error.status
            raise
        finally:
            self.requests.labels(label, status).inc()

    async def _answer(self, model: Model, body: bytes) -> bytes:
        if self.busy >= self.limits.queue:
            raise RequestError("the queue is full: try again", 503)

        def work() -> bytes:
            request = contract.parse(body, model.signatures)
            return contract.render(model.predict(request), rows=request.rows)

        def free(done: asyncio.Future) -> None:
            self.busy -= 1
            if not done.cancelled():
                done.exception()  # it has been told, or nobody waits for it any more

        self.busy += 1
        task = asyncio.get_running_loop().run_in_executor(self.pool, work)
        task.add_done_callback(free)
        try:
            # A thread cannot be stopped: it keeps its place in the queue until it is done.
            return await asyncio.wait_for(asyncio.shield(task), self.limits.seconds)
        except TimeoutError:
            raise RequestError(f"no answer within {self.limits.seconds:g} s", 504) from None


def create_app(models: Models, limits: Limits) -> FastAPI:
    """The web application: `/v1/models/...`, `/health`, `/monitoring/prometheus/metrics`, and a page at `/`."""
    desk = Desk(models, limits)
    page = resources.files("vaekit.serving").joinpath("page.html").read_bytes()
    app = FastAPI(title="vaekit", docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/v1/models/{name}:predict")
    async def predict(name: str, request: Request) -> Response:
        return await desk.predict(name, None, request)

    @app.post("/v1/models/{name}/versions/{version:int}:predict")
    async def predict_version(name: str, version: int, request: Request) -> Response:
        return await desk.predict(name, version, request)

    @app.get("/v1/models/{name}")
    async def status(name: str) -> dict:
        desk.find(name)
        return contract.status([*models[name]])

    @app.get("/v1/models/{name}/versions/{version:int}")
    async def version_status(name: str, version: int) -> dict:
        return contract.status([desk.find(name, version).version])

    @app.get("/v1/models/{name}/metadata")
    async def metadata(name: str) -> dict:
        return desk.find(name).metadata()

    @app.get("/v1/models/{name}/versions/{version:int}/metadata")
    async def version_metadata(name: str, version: int) -> dict:
        return desk.find(name, version).metadata()

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @app.get("/monitoring/prometheus/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(desk.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/")
    async def index() -> Response:
        policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
        headers = {"Content-Security-Policy": policy + "img-src blob: data:", "X-Content-Type-Options": "nosniff"}
        return Response(page, media_type="text/html; charset=utf-8", headers=headers)

    @app.exception_handler(RequestError)
    async def told(_: Request, error: RequestError) -> Response:
        return _error(str(error), error.status)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        status = 400 if request.url.path.startswith("/v1/") else error.status_code
        return _error(f"Malformed request: {request.method} {request.url.path}", status)

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> Response:
        return _error("internal error", 500)

    return app


def _error(message: str, status: int) -> Response:
    headers = {"Retry-After": "1"} if status == 503 else {}
    return Response(json.dumps({"error": message}), status, headers, media_type="application/json")


async def _body(request: Request, limits: Limits) -> bytes:
    """The whole body.

    Raises:
        RequestError: it is too long, or too long in coming.
    """
    too_long = RequestError(f"the body is longer than {limits.body} bytes", 413)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.body:
        raise too_long

    async def received() -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > limits.body:
                raise too_long
            parts.append(part)
        return b"".join(parts)

    try:
        return await asyncio.wait_for(received(), limits.receive)
    except TimeoutError:
        raise RequestError(f"the body did not come within {limits.receive:g} s", 408) from None
    except ClientDisconnect:
        raise RequestError("the client went away", 499) from None


def _impatient(seconds: float) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, which by itself waits for the headers of a request for ever."""

    class Impatient(HttpToolsProtocol):
        _patience: asyncio.TimerHandle | None = None

        def connection_made(self, transport):
            super().connection_made(transport)
            self._expect()

        def on_message_begin(self):
            self._expect()
            super().on_message_begin()

        def on_headers_complete(self):
            self._stop_waiting()
            super().on_headers_complete()

        def connection_lost(self, exc):
            self._stop_waiting()
            super().connection_lost(exc)

        def _expect(self):
            self._stop_waiting()
            self._patience = self.loop.call_later(seconds, self.transport.close)

        def _stop_waiting(self):
            if self._patience is not None:
                self._patience.cancel()

    return Impatient


def serve(models: Models, limits: Limits, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until told to stop (SIGINT, SIGTERM), and then finish what was begun.

    Args:
        models: what.
        limits: for clients.
        host: an address of this machine.
        port: 0 for any that is free.
        ready: is told the address.

    Raises:
        UserError: the port cannot be had.
    """
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise UserError(f"{host}:{port}: {error.strerror or error}") from None
    config = uvicorn.Config(
        create_app(models, limits),
        http=_impatient(limits.receive),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
    )
    with listening:
        name = f"[{host}]" if ":" in host else host
        for told in (signal.SIGINT, signal.SIGTERM):
            signal.signal(told, lambda *_: None)  # uvicorn heeds them, and then hands them on
        ready(f"http://{name}:{listening.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listening])
