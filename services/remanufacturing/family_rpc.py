"""The contract of part families: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.remanufacturing.v1 import families_pb2, families_pb2_grpc

from services.kit.ids import parse_name
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.remanufacturing import family_handlers, family_store
from services.remanufacturing.family_wire import content_from_wire, family_to_wire


class PartFamilyRpc(families_pb2_grpc.PartFamilyServiceServicer):
    """Serves ironloop.remanufacturing.v1.PartFamilyService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreatePartFamily(
        self, request: families_pb2.CreatePartFamilyRequest, context: Any
    ) -> families_pb2.PartFamily:
        """Add a family."""

        async def work(tx: Transaction) -> families_pb2.PartFamily:
            content = content_from_wire(request.content)
            return family_to_wire(
                await family_handlers.create_family(tx, code=request.code, content=content)
            )

        return await self._commands.run(request, work)

    async def UpdatePartFamily(
        self, request: families_pb2.UpdatePartFamilyRequest, context: Any
    ) -> families_pb2.PartFamily:
        """Replace what a family says."""

        async def work(tx: Transaction) -> families_pb2.PartFamily:
            return family_to_wire(
                await family_handlers.update_family(
                    tx,
                    parse_name(request.name, "partFamilies"),
                    etag=request.etag,
                    content=content_from_wire(request.content),
                )
            )

        return await self._commands.run(request, work)

    async def GetPartFamily(
        self, request: families_pb2.GetPartFamilyRequest, context: Any
    ) -> families_pb2.PartFamily:
        """Return a family."""
        family_id = parse_name(request.name, "partFamilies")
        async with self._database.read() as connection:
            return family_to_wire(await family_handlers.get_family(connection, family_id))

    async def ListPartFamilies(
        self, request: families_pb2.ListPartFamiliesRequest, context: Any
    ) -> families_pb2.ListPartFamiliesResponse:
        """List families, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await family_store.list_families(
                connection,
                component=request.component or None,
                remanufacturer=request.remanufacturer or None,
                after=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda family: (family.id,))
        return families_pb2.ListPartFamiliesResponse(
            part_families=[family_to_wire(family) for family in kept], next_page_token=token
        )
