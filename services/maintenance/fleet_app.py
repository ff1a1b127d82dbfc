"""Fleets served over HTTP as ISO 15143-3 pages, XML or JSON, an ASGI application.

Paths, with 100 machines on a page, the first page 1:
/Fleet/{page}; /Fleet/Equipment/{id}; /Fleet/Equipment/MakeModelSerial/{make}/{model}/{serial};
either of the last two with /{Segment}/{startDateUTC}/{endDateUTC}[/{page}] for a time series.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import structlog
from ironloop.maintenance.v1 import telemetry_pb2

from services.iso15143.elements import BY_SEGMENT
from services.iso15143.model import Fleet, Series
from services.iso15143.writer import write_json_page, write_json_series, write_page, write_series
from services.kit.connection import Connection
from services.kit.contract import access_of
from services.kit.errors import DomainError, PermissionDenied, Unauthenticated, Unavailable
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.tokens import Authenticator
from services.maintenance import machine_store
from services.maintenance.fleet_page import equipment, fleet_page, series_page
from services.maintenance.machine_model import MonitoredMachine

PAGE_NUMBER_MAX = 1_000_000
XML, JSON = "application/xml", "application/json"
BY_NUMBERS = "MakeModelSerial"

# Who may read telemetry through the contract may read it here.
_ACCESS = telemetry_pb2.DESCRIPTOR.services_by_name["TelemetryService"].methods_by_name[
    "GetTelemetry"
]

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)


class _Refused(Exception):
    """A request that gets no page."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request: who asks, for what, and how the answer is to be written.

    Attributes:
        parts: What follows "/Fleet", decoded.
        base_url: The address that clients see, without a path.
    """

    viewer: Principal
    parts: tuple[str, ...]
    base_url: str
    in_json: bool


class FleetApp:
    """The application; each request is checked like a call of the contract."""

    def __init__(self, runtime: Runtime, authenticator: Authenticator, *, url: str = "") -> None:
        """Make the application.

        Args:
            url: The address that clients see; empty: the one that they ask for.
        """
        self._runtime = runtime
        self._authenticator = authenticator
        self._url = url.rstrip("/")
        self._roles = frozenset(access_of(_ACCESS).roles)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        status, content_type, body = await self._answer(scope, headers)
        answer_headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"vary", b"accept"),
        ]
        if status == HTTPStatus.UNAUTHORIZED:
            answer_headers.append((b"www-authenticate", b"Bearer"))
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            answer_headers.append((b"allow", b"GET, HEAD"))
        await send({"type": "http.response.start", "status": status, "headers": answer_headers})
        shown = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": shown})

    async def _answer(self, scope: Message, headers: Mapping[str, str]) -> tuple[int, str, bytes]:
        try:
            asked = await self._asked(scope, headers)
            async with self._runtime.database.read() as connection:
                page = await self._page(connection, asked)
            return HTTPStatus.OK, JSON if asked.in_json else XML, _written(page, asked)
        except _Refused as refusal:
            return refusal.status, "text/plain", str(refusal).encode()
        except Unauthenticated as error:
            return HTTPStatus.UNAUTHORIZED, "text/plain", error.message.encode()
        except PermissionDenied as error:
            return HTTPStatus.FORBIDDEN, "text/plain", error.message.encode()
        except (Unavailable, DomainError) as error:
            return HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", error.message.encode()
        except Exception as error:
            log.error("fleet_page_failed", path=scope["path"], exc_info=error)
            return HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"internal error"

    async def _asked(self, scope: Message, headers: Mapping[str, str]) -> _Asked:
        """Return who asks for what.

        Raises:
            _Refused: The method or path is none of ours.
            Unauthenticated, PermissionDenied, Unavailable: As the door of the contract.
        """
        viewer = await self._authenticator.principal(headers.get("authorization", ""))
        if self._roles.isdisjoint(viewer.roles):
            raise PermissionDenied(f"{viewer.subject} may not read telemetry")
        if scope["method"] not in {"GET", "HEAD"}:
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "pages are only read")
        raw = scope.get("raw_path") or scope["path"].encode()
        parts = [unquote(part) for part in raw.decode("latin-1").strip("/").split("/")]
        if parts[0].lower() != "fleet" or any("\0" in part for part in parts):
            raise _Refused(HTTPStatus.NOT_FOUND, "there is /Fleet/{page} and what lies below")
        if len(parts) == 1:
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "a fleet is read by pages: /Fleet/1")
        host = headers.get("host", "")
        base_url = self._url or f"{scope.get('scheme', 'http')}://{host}"
        return _Asked(viewer, tuple(parts[1:]), base_url, _wants_json(headers.get("accept", "")))

    async def _page(self, connection: Connection, asked: _Asked) -> Fleet | Series:
        first = asked.parts[0]
        if len(asked.parts) == 1:
            fleet = await fleet_page(
                connection,
                _page_number(first),
                viewer=asked.viewer,
                base_url=asked.base_url,
                now=self._runtime.clock.now(),
            )
            if fleet is None:
                raise _Refused(HTTPStatus.NOT_FOUND, f"the fleet has no page {first}")
            return fleet
        if first.lower() != "equipment":
            raise _Refused(HTTPStatus.NOT_FOUND, "there is /Fleet/Equipment/{id}")
        by_numbers = asked.parts[1] == BY_NUMBERS
        width = 5 if by_numbers else 2
        named, rest = asked.parts[1:width], asked.parts[width:]
        if by_numbers and len(named) != width - 1:
            raise _Refused(HTTPStatus.NOT_FOUND, "make, model and serial number are needed")
        machine = await _machine(connection, named, viewer=asked.viewer)
        if rest:
            return await _series(connection, machine, rest, asked=asked)
        return Fleet(
            equipment=await equipment(connection, [machine]),
            snapshot_time=self._runtime.clock.now(),
        )


async def _machine(
    connection: Connection, named: tuple[str, ...], *, viewer: Principal
) -> MonitoredMachine:
    """Return the machine of an id, or of make, model and serial number.

    Raises:
        _Refused: No machine of the viewer carries them, or several do.
    """
    number = named[-1]
    found = await machine_store.find_by_numbers(connection, [number.upper()], viewer=viewer)
    machine_ids = sorted({machine.id for _, machine in found})
    machines = await machine_store.find_machines_seen(connection, machine_ids, viewer=viewer)
    if len(named) > 1:
        _, make, model, _ = named
        machines = {
            key: one
            for key, one in machines.items()
            if (one.make.upper(), one.model.upper()) == (make.upper(), model.upper())
        }
    if len(machines) != 1:
        why = "several machines carry" if machines else "no machine of yours carries"
        raise _Refused(HTTPStatus.NOT_FOUND, f"{why} this number")
    return next(iter(machines.values()))


async def _series(
    connection: Connection, machine: MonitoredMachine, rest: tuple[str, ...], *, asked: _Asked
) -> Series:
    """Return a page of a time series.

    Raises:
        _Refused: The path names no series, or no span of time.
    """
    if len(rest) not in {3, 4} or (element := BY_SEGMENT.get(rest[0].lower())) is None:
        raise _Refused(HTTPStatus.NOT_FOUND, "there is …/{Segment}/{start}/{end}[/{page}]")
    number = _page_number(rest[3]) if len(rest) == 4 else 1
    path = "/".join((asked.base_url, "Fleet", *asked.parts[: len(asked.parts) - len(rest) + 3]))
    series = await series_page(
        connection,
        machine,
        element,
        since=_instant(rest[1]),
        until=_instant(rest[2]),
        number=number,
        path=path,
    )
    if series is None:
        raise _Refused(HTTPStatus.NOT_FOUND, f"the series has no page {number}")
    return series


def _written(page: Fleet | Series, asked: _Asked) -> bytes:
    if isinstance(page, Fleet):
        return write_json_page(page) if asked.in_json else write_page(page)
    return write_json_series(page) if asked.in_json else write_series(page)


def _page_number(stated: str) -> int:
    if not stated.isascii() or not stated.isdigit() or len(stated) > 7:
        raise _Refused(HTTPStatus.NOT_FOUND, f'"{stated[:20]}" is no page')
    number = int(stated)
    if not 1 <= number <= PAGE_NUMBER_MAX:
        raise _Refused(HTTPStatus.NOT_FOUND, "the first page is 1")
    return number


def _instant(stated: str) -> datetime:
    """Return an instant of a path; without a zone it is UTC, without a time midnight."""
    try:
        moment = datetime.fromisoformat(stated)
        if len(stated) <= len("2026-01-01"):
            moment = datetime.combine(moment.date(), time.min)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Refused(
            HTTPStatus.BAD_REQUEST, f'"{stated[:40]}" is no instant of ISO 8601'
        ) from None


def _wants_json(accept: str) -> bool:
    """Whether an Accept header names JSON before XML."""
    for stated in accept.lower().split(","):
        media_type = stated.partition(";")[0].strip()
        if media_type.endswith(("/json", "+json")):
            return True
        if media_type.endswith(("/xml", "+xml")):
            return False
    return False
