"""A small HTTP/1.1 server for an ASGI application that only answers reads.

It runs on the service's own event loop. Requests with a body are refused; connections are kept
alive; every size and wait has a limit, so that a slow or endless sender holds nothing for long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog

HEAD_BYTES_MAX = 16 * 1024  # a token has at most 4 KiB
CONNECTIONS_MAX = 200
HEAD_WITHIN_S = 10.0
IDLE_MAX_S = 60.0
SENT_WITHIN_S = 60.0

App = Callable[[Mapping[str, Any], Any, Any], Awaitable[None]]

log = structlog.get_logger(__name__)


class _Unreadable(Exception):
    """A request that no answer of the application fits."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class AsgiServer:
    """Serves one application at one address."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._connections: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """Return host:port as bound."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def listen(self, address: str) -> None:
        """Bind host:port.

        Raises:
            OSError: The port is taken, or the host is not ours.
        """
        host, _, port = address.rpartition(":")
        self._server = await asyncio.start_server(
            self._serve, host.strip("[]"), int(port), limit=HEAD_BYTES_MAX
        )
        log.info("fleet_pages_serving", address=self.address)

    async def run(self) -> None:
        """Serve until cancelled; then close every connection."""
        assert self._server is not None
        try:
            await self._server.serve_forever()
        finally:
            self._server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # The other side may go, or be too slow.
            with suppress(ConnectionError, TimeoutError, asyncio.IncompleteReadError):
                if len(self._connections) > CONNECTIONS_MAX:
                    await _refuse(writer, HTTPStatus.SERVICE_UNAVAILABLE)
                else:
                    await self._talk(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(ConnectionError, TimeoutError):
                await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other."""
        while True:
            try:
                async with asyncio.timeout(IDLE_MAX_S):
                    first = await reader.readline()
                if not first.strip():
                    return
                async with asyncio.timeout(HEAD_WITHIN_S):
                    scope = await _read_head(first, reader)
            except _Unreadable as refusal:
                await _refuse(writer, refusal.status)
                return
            except ValueError:  # a line longer than the reader's limit
                await _refuse(writer, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return
            await self._app(scope, _nothing_more, _Sender(writer, scope).send)
            if not scope["keep_alive"]:
                return


class _Sender:
    """Writes an application's messages as one response."""

    def __init__(self, writer: asyncio.StreamWriter, scope: Mapping[str, Any]) -> None:
        self._writer = writer
        self._scope = scope

    async def send(self, message: Mapping[str, Any]) -> None:
        """Write one message of the application."""
        if message["type"] == "http.response.start":
            end = "keep-alive" if self._scope["keep_alive"] else "close"
            headers = [*message["headers"], (b"connection", end.encode())]
            self._writer.write(_head(HTTPStatus(message["status"]), headers))
            return
        self._writer.write(message.get("body", b""))
        async with asyncio.timeout(SENT_WITHIN_S):
            await self._writer.drain()


async def _read_head(first: bytes, reader: asyncio.StreamReader) -> dict[str, Any]:
    """Return the ASGI scope of a request.

    Raises:
        _Unreadable: It is no request, is too long, or carries a body.
    """
    parts = first.decode("latin-1").split()
    if len(parts) != 3 or parts[2] not in {"HTTP/1.1", "HTTP/1.0"}:
        raise _Unreadable(HTTPStatus.BAD_REQUEST)
    method, target, version = parts
    headers = []
    size = len(first)
    while line := await reader.readline():
        size += len(line)
        if size > HEAD_BYTES_MAX:
            raise _Unreadable(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not (line := line.strip()):
            break
        name, colon, value = line.partition(b":")
        if not colon or name != name.strip():
            raise _Unreadable(HTTPStatus.BAD_REQUEST)
        headers.append((name.lower(), value.strip()))
    stated = dict(headers)
    if stated.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in stated:
        raise _Unreadable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    url = urlsplit(target)
    connection = stated.get(b"connection", b"").lower()
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": version.removeprefix("HTTP/"),
        "method": method,
        "scheme": "http",
        "path": unquote(url.path),
        "raw_path": url.path.encode("latin-1"),
        "query_string": url.query.encode("latin-1"),
        "headers": headers,
        "keep_alive": version == "HTTP/1.1" and connection != b"close",
    }


async def _nothing_more() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _refuse(writer: asyncio.StreamWriter, status: HTTPStatus) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    writer.write(_head(status, headers))
    async with asyncio.timeout(SENT_WITHIN_S):
        await writer.drain()


def _head(status: HTTPStatus, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    lines += (name + b": " + value for name, value in headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"
