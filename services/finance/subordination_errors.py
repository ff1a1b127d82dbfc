"""What finance refuses of junior liens."""

from services.kit.amounts import yuan
from services.kit.errors import Aborted, AlreadyExists, PreconditionFailed


class NothingBehindSenior(PreconditionFailed):
    """What ranks first takes all that may be lent on the machine."""

    reason = "NOTHING_BEHIND_SENIOR"

    def __init__(self, machine: str, senior_fen: int, limit_fen: int) -> None:
        super().__init__(
            f"{yuan(senior_fen)} CNY rank first on {machine}, of the {yuan(limit_fen)} CNY that "
            "may be lent on it",
            subject=machine,
            senior_fen=str(senior_fen),
            limit_fen=str(limit_fen),
        )


class SubordinationNotGiven(PreconditionFailed):
    """The consent is used, revoked or has run out."""

    reason = "SUBORDINATION_NOT_GIVEN"

    def __init__(self, subordination: str, state: str) -> None:
        super().__init__(
            f"{subordination} is {state}, not GIVEN", subject=subordination, state=state
        )


class SubordinationExists(AlreadyExists):
    """A consent is given on the draw already."""

    reason = "SUBORDINATION_EXISTS"

    def __init__(self, draw: str) -> None:
        super().__init__(f"{draw} has a consent that is good; revoke it first", draw=draw)


class SubordinationBusy(Aborted):
    """A junior draw under the consent is on its way."""

    reason = "SUBORDINATION_BUSY"

    def __init__(self, subordination: str, draw: str) -> None:
        super().__init__(
            f"{draw} is on its way under {subordination}", subordination=subordination, draw=draw
        )


class SeniorCapTooLow(PreconditionFailed):
    """Less would rank first than the senior draw has outstanding."""

    reason = "SENIOR_CAP_TOO_LOW"

    def __init__(self, draw: str, cap_fen: int, outstanding_fen: int) -> None:
        super().__init__(
            f"senior_cap of {yuan(cap_fen)} CNY is below the {yuan(outstanding_fen)} CNY that are "
            f"outstanding on {draw}; a draw's lien has one rank",
            subject=draw,
            outstanding_fen=str(outstanding_fen),
        )
