"""The yardstick: an empty unary call on grpc.aio, nothing around it.

`python -m infra.bench.echo PORT [uvloop]`: on Python's own event loop, as grpc.aio comes, or on
uvloop, which the services run on.
"""

import asyncio
import signal
import sys
from typing import Any

import grpc
import uvloop

PATH = "/ironloop.bench.Echo/Echo"


async def answer(request: bytes, _: object) -> bytes:
    """Give back what came."""
    return request


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    _, service, method = PATH.split("/")
    handler: Any = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()
    await server.stop(0)


if __name__ == "__main__":
    run: Any = uvloop.run if "uvloop" in sys.argv else asyncio.run
    run(serve(int(sys.argv[1])))
