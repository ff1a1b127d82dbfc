"""What valuation refuses."""

from services.kit.errors import (
    AlreadyExists,
    InvalidArgument,
    PermissionDenied,
    PreconditionFailed,
)


class ClassUnknown(InvalidArgument):
    """The policy table does not list the equipment class."""

    reason = "CLASS_UNKNOWN"

    def __init__(self, equipment_class: str, *, known: list[str]) -> None:
        super().__init__(
            "specification.equipment_class",
            f"{equipment_class} is none of {', '.join(known)}",
            equipment_class=equipment_class,
        )


class ReplacementCostNeeded(PreconditionFailed):
    """Only a replacement cost could carry the value."""

    reason = "REPLACEMENT_COST_NEEDED"

    def __init__(self, model: str, equipment_class: str) -> None:
        super().__init__(
            f'the model "{model}" of {equipment_class} is not in the training data; state its '
            "replacement cost to have it valued by class, age and hours",
            equipment_class=equipment_class,
        )


class BuildYearUnknown(PreconditionFailed):
    """A curve needs the machine's age."""

    reason = "BUILD_YEAR_UNKNOWN"

    def __init__(self, valuation: str) -> None:
        super().__init__(
            f"the build year of {valuation} is unknown, so its value over time is too",
            subject=valuation,
        )


class ModelNotKept(PreconditionFailed):
    """The model that a valuation was made with is gone, or its files were replaced."""

    reason = "MODEL_NOT_KEPT"

    def __init__(self, version: str) -> None:
        super().__init__(f"the model {version} is no longer kept here", model=version)


class PolicyNotKept(PreconditionFailed):
    """The policy table that a valuation was made with is gone."""

    reason = "POLICY_NOT_KEPT"

    def __init__(self, version: str) -> None:
        super().__init__(f"the policy table {version} is no longer kept here", policy=version)


class OtherParty(PermissionDenied):
    """Only a service may have a valuation made for another party."""

    reason = "OTHER_PARTY"

    def __init__(self, party: str) -> None:
        super().__init__(f"party: only a service may name {party}", party=party)


class OwnValuation(PermissionDenied):
    """A validator does not decide on a valuation of the party they act for."""

    reason = "OWN_VALUATION"

    def __init__(self, valuation: str, party: str) -> None:
        super().__init__(
            f"{valuation} was made for {party}; a validator of another party decides on it",
            party=party,
        )


class NotSealed(PreconditionFailed):
    """A valuation's hour has not ended, so it lies under no root yet."""

    reason = "NOT_SEALED"

    def __init__(self, valuation: str) -> None:
        super().__init__(
            f"{valuation} comes under a signed root once its hour has passed", subject=valuation
        )


class BatchNotKept(PreconditionFailed):
    """The files of a batch are gone."""

    reason = "BATCH_NOT_KEPT"

    def __init__(self, batch: str) -> None:
        super().__init__(f"the files of {batch} are no longer kept here", subject=batch)


class ModelRegistered(AlreadyExists):
    """The version is in the registry already."""

    reason = "MODEL_REGISTERED"

    def __init__(self, model: str) -> None:
        super().__init__(f"{model} is registered already", model=model)


class ModelNotOurs(PreconditionFailed):
    """A model's files are incomplete, changed, or of something else."""

    reason = "MODEL_REFUSED"

    def __init__(self, model: str, why: str) -> None:
        super().__init__(why, subject=model)


class OwnModel(PermissionDenied):
    """Who trained or registered a model does not approve it."""

    reason = "OWN_MODEL"

    def __init__(self, model: str, subject: str) -> None:
        super().__init__(
            f"{subject} trained or registered {model}; another validator approves it", model=model
        )


class NoPredecessor(PreconditionFailed):
    """The champion was the first one, so nothing can take its place."""

    reason = "NO_PREDECESSOR"

    def __init__(self, model: str) -> None:
        super().__init__(f"{model} has no predecessor to return to", subject=model)
