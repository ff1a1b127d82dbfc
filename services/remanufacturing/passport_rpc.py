"""The contract of passports: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.remanufacturing.v1 import passports_pb2, passports_pb2_grpc

from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.remanufacturing import passport_handlers

_OWNERS_VIEW: dict[passports_pb2.PassportView.ValueType, bool | None] = {
    passports_pb2.PASSPORT_VIEW_UNSPECIFIED: None,
    passports_pb2.PASSPORT_VIEW_PUBLIC: False,
    passports_pb2.PASSPORT_VIEW_OWNER: True,
}


class PassportRpc(passports_pb2_grpc.PassportServiceServicer):
    """Serves ironloop.remanufacturing.v1.PassportService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database

    async def GetPassport(
        self, request: passports_pb2.GetPassportRequest, context: Any
    ) -> passports_pb2.Passport:
        """Return a passport."""
        passport, document, shows_private = await passport_handlers.get_passport(
            self._database,
            request.subject,
            viewer=principal(),
            owners_view=_OWNERS_VIEW[request.view],
        )
        return passports_pb2.Passport(
            subject=passport.subject,
            view=(
                passports_pb2.PASSPORT_VIEW_OWNER
                if shows_private
                else passports_pb2.PASSPORT_VIEW_PUBLIC
            ),
            document=document,
            entry_count=passport.entry_count,
            head_sha256=passport.head_sha256,
        )

    async def VerifyPassport(
        self, request: passports_pb2.VerifyPassportRequest, context: Any
    ) -> passports_pb2.VerifyPassportResponse:
        """Check a passport document."""
        verdict, entries_since = await passport_handlers.verify_passport(
            self._database, request.document
        )
        return passports_pb2.VerifyPassportResponse(
            is_intact=verdict.is_intact,
            entry_count=verdict.entry_count,
            broken_entry=verdict.broken_entry,
            problem=verdict.problem,
            is_known=entries_since is not None,
            entries_since=entries_since or 0,
        )
