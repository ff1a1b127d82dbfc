"""What a running service hands to its handlers, sagas and rpcs."""

from dataclasses import dataclass

from services.kit.calendar import BusinessCalendar
from services.kit.clients import Peers
from services.kit.clock import BusinessClock
from services.kit.database import Database
from services.kit.paging import Pages
from services.kit.requests import Commands
from services.kit.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Runtime:
    """One service's parts, as far as its business needs them."""

    service: str
    settings: ServiceSettings
    database: Database
    clock: BusinessClock
    calendar: BusinessCalendar
    pages: Pages
    peers: Peers
    commands: Commands
