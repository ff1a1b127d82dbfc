"""Refusals as classes that carry a code, a reason and their data, and their wire form.

A service subclasses these in its own `errors.py`; the constructor builds the sentence. Clients
and tests switch on `reason`, which never changes.
"""

from typing import ClassVar

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

ERROR_DOMAIN = "ironloop"

# A status travels in HTTP/2 trailers, of which clients take 8 KiB: percent-encoded text and
# base64 of the details included. A refusal that quotes a caller's text must stay below that.
MESSAGE_BYTES_MAX = 600
METADATA_BYTES_MAX = 200
VIOLATIONS_MAX = 10
FIELD_BYTES_MAX = 120
DESCRIPTION_BYTES_MAX = 160


class DomainError(Exception):
    """A refusal that the caller can act on.

    Args:
        message: One sentence with the value and the limit.
        metadata: Facts of the refusal, as strings, for programs.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    reason: ClassVar[str] = "UNKNOWN"

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata

    def details(self) -> list[any_pb2.Any]:
        """Return the details beside ErrorInfo, packed."""
        return []

    def to_status(self) -> status_pb2.Status:
        """Return the wire form, with one ErrorInfo first."""
        info = error_details_pb2.ErrorInfo(
            reason=self.reason,
            domain=ERROR_DOMAIN,
            metadata={
                key: shortened(value, METADATA_BYTES_MAX) for key, value in self.metadata.items()
            },
        )
        return status_pb2.Status(
            code=self.code.value[0],
            message=shortened(self.message, MESSAGE_BYTES_MAX),
            details=[pack(info), *self.details()],
        )

    @property
    def is_definite(self) -> bool:
        """Whether the same call would be refused again: nothing happened, nothing will."""
        return self.code in DEFINITE_CODES


class InvalidArgument(DomainError):
    """A field of the request cannot be taken; names the field and the limit."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    reason = "INVALID_FIELD"

    def __init__(self, field: str, description: str, **metadata: str) -> None:
        super().__init__(f"{field}: {description}", **metadata)
        self.violations = [(field, description)]

    @classmethod
    def many(cls, violations: list[tuple[str, str]]) -> "InvalidArgument":
        """Return one refusal that names every (field, description), up to a limit."""
        error = cls(*violations[0])
        error.violations = violations = violations[:VIOLATIONS_MAX]
        error.message = "; ".join(f"{field}: {description}" for field, description in violations)
        return error

    def details(self) -> list[any_pb2.Any]:
        """Return the BadRequest that lists every field."""
        return [
            pack(
                error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(
                            field=shortened(field, FIELD_BYTES_MAX),
                            description=shortened(description, DESCRIPTION_BYTES_MAX),
                        )
                        for field, description in self.violations
                    ]
                )
            )
        ]


class NotFound(DomainError):
    """There is no such resource, or it belongs to another party."""

    code = grpc.StatusCode.NOT_FOUND
    reason = "NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} does not exist or is not yours to see", resource=name)


class AlreadyExists(DomainError):
    """A resource with this key exists with other content."""

    code = grpc.StatusCode.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"


class PreconditionFailed(DomainError):
    """The resource's state or a rule of the business refuses the command."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    reason = "PRECONDITION_FAILED"

    def __init__(self, message: str, *, subject: str = "", **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.subject = subject

    def details(self) -> list[any_pb2.Any]:
        """Return the PreconditionFailure that names the subject."""
        violation = error_details_pb2.PreconditionFailure.Violation(
            type=self.reason,
            subject=shortened(self.subject, METADATA_BYTES_MAX),
            description=shortened(self.message, MESSAGE_BYTES_MAX),
        )
        return [pack(error_details_pb2.PreconditionFailure(violations=[violation]))]


class NotYetAvailable(PreconditionFailed):
    """The command is declared and not built yet."""

    reason = "NOT_YET_AVAILABLE"

    def __init__(self, command: str, *, subject: str = "") -> None:
        super().__init__(
            f"{command} is declared in the contract and not available yet",
            subject=subject,
            command=command,
        )


class Unauthenticated(DomainError):
    """The call carries no token, or one that cannot be trusted."""

    code = grpc.StatusCode.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class PermissionDenied(DomainError):
    """None of the principal's roles holds the permission."""

    code = grpc.StatusCode.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


class Retriable(DomainError):
    """A refusal of the moment: the same call may succeed after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0, **metadata: str) -> None:
        super().__init__(message, **metadata)
        self.retry_after_s = retry_after_s

    def details(self) -> list[any_pb2.Any]:
        """Return the RetryInfo."""
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(self.retry_after_s * 1000))
        return [pack(error_details_pb2.RetryInfo(retry_delay=delay))]


class Aborted(Retriable):
    """Another call is in the way: a concurrent change, or the same request still running."""

    code = grpc.StatusCode.ABORTED
    reason = "ABORTED"


class Exhausted(Retriable):
    """A named limit on queued or running work is reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "RESOURCE_EXHAUSTED"


class Unavailable(Retriable):
    """Something the service depends on does not answer."""

    code = grpc.StatusCode.UNAVAILABLE
    reason = "UNAVAILABLE"


class Internal(DomainError):
    """A defect of ours; the log holds the correlation id, the answer nothing else."""

    code = grpc.StatusCode.INTERNAL
    reason = "INTERNAL"

    def __init__(self, correlation_id: str) -> None:
        super().__init__(
            f"internal error; quote correlation id {correlation_id}", correlation_id=correlation_id
        )


class StoredRefusal(DomainError):
    """A refusal given before, in its wire form; only definite ones are kept."""

    @property
    def is_definite(self) -> bool:
        """Always: no other refusal is kept."""
        return True

    def __init__(self, status: status_pb2.Status) -> None:
        info = error_info(status)
        super().__init__(status.message, **dict(info.metadata))
        self.status = status
        self.code = CODES[status.code]  # type: ignore[misc]  # of the call, not of the class
        self.reason = info.reason  # type: ignore[misc]

    def to_status(self) -> status_pb2.Status:
        """Return the status as it was given."""
        return self.status


CODES = {code.value[0]: code for code in grpc.StatusCode}

# Codes that say that nothing happened and that the same call would be refused again.
DEFINITE_CODES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)


def shortened(text: str, bytes_max: int) -> str:
    """Return a text cut to `bytes_max` bytes of UTF-8."""
    if len(text) * 4 <= bytes_max:
        return text
    encoded = text.encode(errors="replace")
    if len(encoded) <= bytes_max:
        return text
    return encoded[: bytes_max - 3].decode(errors="ignore") + "…"


def pack(message: error_details_pb2.ErrorInfo | object) -> any_pb2.Any:
    """Return a message as google.protobuf.Any."""
    packed = any_pb2.Any()
    packed.Pack(message)  # type: ignore[arg-type]  # any generated message
    return packed


def error_info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    """Return a status's ErrorInfo, or one with the code's name where it carries none."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info
    return error_details_pb2.ErrorInfo(
        reason=code_pb2.Code.Name(status.code) if status.code in CODES else "UNKNOWN"
    )
