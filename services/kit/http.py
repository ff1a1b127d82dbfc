"""A small HTTP listener for machines: /metrics, and whatever document a service publishes."""

import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

STOP_LOOK_S = 0.1  # how long a stop waits for the thread to see it

Document = tuple[str, bytes]  # content type, body


class HttpListener:
    """Serves documents by exact path, in threads of its own."""

    def __init__(self, listen: str, documents: Mapping[str, Callable[[], Document]]) -> None:
        host, _, port = listen.rpartition(":")
        routes = {"/metrics": _metrics, **documents}
        self._server = ThreadingHTTPServer((host, int(port)), _handler(routes))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(STOP_LOOK_S,), daemon=True
        )

    @property
    def address(self) -> str:
        """Return host:port as bound."""
        return f"{self._server.server_address[0]!s}:{self._server.server_port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and release the port."""
        self._server.shutdown()
        self._server.server_close()


def _metrics() -> Document:
    return CONTENT_TYPE_LATEST, generate_latest()


def _handler(routes: Mapping[str, Callable[[], Document]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = routes.get(self.path)
            if document is None:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            content_type, body = document()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Stay silent: scrapes are not news."""

    return Handler
