"""A service as a process: `python -m services.<name>` serves, `… replay` replays parked events,
and a service may have commands of its own.
"""

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Sequence

import structlog
import uvloop
from pydantic import ValidationError

from services.kit.commands import ServiceCommand
from services.kit.consumer import Consumer
from services.kit.errors import DomainError
from services.kit.kafka_log import KafkaEventLog
from services.kit.logs import start_logging
from services.kit.service import ServiceDefinition, open_runtime, serving
from services.kit.settings import ServiceSettings
from services.kit.telemetry import start_tracing

# Objects made between two young collections, and so on up. A call makes a few dozen that refer
# to each other; collecting at every 700 of them took more time than the calls themselves.
COLLECTOR_THRESHOLDS = (20_000, 20, 50)

# How long a thread of the broker's client may keep the interpreter from the calls at a time.
# With Python's own 5 ms a round of the relay, all Python, can hold calls up as long several times.
SWITCH_INTERVAL_S = 0.0005

log = structlog.get_logger(__name__)


def run(definition: ServiceDefinition, commands: Sequence[ServiceCommand] = ()) -> None:
    """Run the command that the process was given; exits where its settings lack something.

    Args:
        commands: The service's own, beside those that every service has.
    """
    arguments = _parse(definition.name, commands)
    own = {command.name: command for command in commands}
    try:
        settings = definition.settings()
    except ValidationError as error:
        sys.exit(_missing(definition.name, error))
    start_logging(definition.name)
    start_tracing(definition.name, settings.traces)
    try:
        if arguments.command in own:
            command = own[arguments.command]
            sys.exit(uvloop.run(_run_own(definition, settings, command, arguments)))
        if arguments.command == "replay":
            uvloop.run(_replay(definition, settings, topic=arguments.topic, key=arguments.key))
        else:
            uvloop.run(_serve(definition, settings))
    except (DomainError, OSError) as error:
        log.error("service_cannot_start", error=str(error))
        sys.exit(1)


async def _serve(definition: ServiceDefinition, settings: ServiceSettings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with serving(definition, settings):
        _calm_collector()
        await stopping.wait()


async def _run_own(
    definition: ServiceDefinition,
    settings: ServiceSettings,
    command: ServiceCommand,
    arguments: argparse.Namespace,
) -> int:
    async with open_runtime(definition, settings) as (runtime, _):
        return await command.run(runtime, arguments)


def _calm_collector() -> None:
    """Leave what lives as long as the service out of garbage collection, and collect less often."""
    gc.collect()
    gc.freeze()
    if gc.get_threshold()[0] < COLLECTOR_THRESHOLDS[0]:  # a room may want it seldomer still
        gc.set_threshold(*COLLECTOR_THRESHOLDS)


async def _replay(
    definition: ServiceDefinition, settings: ServiceSettings, *, topic: str | None, key: str | None
) -> None:
    async with open_runtime(definition, settings) as (runtime, _):
        event_log = KafkaEventLog(
            settings.kafka_bootstrap,
            client_id=f"{definition.name}-replay",
            prefix=settings.kafka_prefix,
        )
        consumer = Consumer(
            runtime.database,
            definition.consumes,
            service=definition.name,
            dead_letters=event_log,
        )
        applied, left = await consumer.replay(topic=topic, key=key)
        await event_log.close()
    print(f"{applied} parked events applied, {left} still parked")
    if left:
        sys.exit(1)


def _parse(service: str, own: Sequence[ServiceCommand]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{service}", description=f"The {service} service of Ironloop."
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("serve", help="serve the API until SIGTERM (the default)")
    replay = commands.add_parser("replay", help="apply parked events again, in order")
    replay.add_argument("--topic", help="only those of this topic")
    replay.add_argument("--key", help="only those of this key")
    for command in own:
        command.add_arguments(commands.add_parser(command.name, help=command.help))
    return parser.parse_args()


def _missing(service: str, error: ValidationError) -> str:
    """Return one line for each setting that is absent or wrong."""
    lines = [
        f"IRONLOOP_{service.upper()}_{'_'.join(str(part) for part in problem['loc']).upper()}: "
        f"{problem['msg']}"
        for problem in error.errors()
    ]
    return "\n".join([f"the {service} service cannot start; set these:", *lines])
