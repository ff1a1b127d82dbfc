"""What valuation does, one transaction a command."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from ironloop.options.v1 import options_pb2

from services.kit.errors import InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.valuation import clients, events, store
from services.valuation.appraisal import Valuer
from services.valuation.errors import OtherParty, OwnValuation
from services.valuation.lifecycle import VALUATION
from services.valuation.machine_facts import MachineKnown
from services.valuation.model import (
    Decision,
    Inputs,
    Valuation,
    ValuationState,
)
from services.valuation.record import Json, Recorded, make_record, read_record, sha256_of
from services.valuation.registry import Registry

EXPIRY_TIMER = "expire_valuation"


@dataclass(frozen=True, slots=True)
class Computed:
    """A valuation that is not written yet, and what its record says."""

    valuation: Valuation
    recorded: Recorded


def valued_party(viewer: Principal, party: str) -> str:
    """Return the party for which a caller has a machine valued.

    Raises:
        InvalidArgument: A service names none.
        OtherParty: A caller that is no service names another than its own.
        PermissionDenied: The caller acts for no party.
    """
    if viewer.holds(options_pb2.ROLE_SERVICE):
        if not party:
            raise InvalidArgument("party", "must name the party for which a service has it valued")
        return party
    own = viewer.require_party()
    if party and party != own:
        raise OtherParty(party)
    return own


async def read_machine(
    runtime: Runtime, machine: str, *, viewer: Principal, as_of: date | None
) -> MachineKnown:
    """Return what is known of a registered machine, as far as the caller has to do with it.

    Args:
        as_of: The earlier day as of which it is valued; None: today.

    Raises:
        NotFound: A user's party neither owns nor holds it, has it reserved, nor has a lien on it.
        PeerRefused: There is no such machine.
        PeerUnavailable: Marketplace or maintenance does not answer.
    """
    registered = await clients.get_machine(runtime, machine, as_of=as_of)
    if not viewer.sees_all and viewer.party not in clients.parties_to(registered):
        raise NotFound(machine)
    return MachineKnown(
        specification=clients.specification_of(registered),
        fitted=clients.fitted_in(registered),
        health=await clients.find_health(runtime, machine, as_of=as_of),
        inspected=clients.inspected_in(registered),
    )


def compute(
    valuer: Valuer,
    inputs: Inputs,
    *,
    party: str,
    machine: str,
    at: datetime,
    facts: Json | None = None,
) -> Computed:
    """Return a computed valuation with its record; nothing is written.

    Args:
        facts: Where the facts of a registered machine came from.

    Raises:
        ClassUnknown, ReplacementCostNeeded: The machine cannot be valued.
    """
    valuation_id = new_id()
    own_name = name("valuations", valuation_id)
    appraisal, prediction = valuer.appraise(inputs)
    record = make_record(
        valuer,
        inputs,
        appraisal,
        prediction,
        request={"valuation": own_name, "party": party, "machine": machine},
        facts=facts,
    )
    valuation = Valuation(
        id=valuation_id,
        version=1,
        event_sequence=0,
        subject=machine or own_name,
        party=party,
        machine=machine,
        state=ValuationState.COMPUTED,
        as_of=inputs.as_of,
        record=record,
        record_sha256=sha256_of(record),
        decision_reason="",
        decided_by="",
        superseded_by=None,
        issue_time=None,
        expire_time=None,
        create_time=at,
        update_time=at,
    )
    versions = (valuer.model.version, valuer.policy.version)
    return Computed(valuation, Recorded(inputs, appraisal, *versions, facts))


async def create_valuation(tx: Transaction, registry: Registry, computed: Computed) -> Valuation:
    """Keep a computed valuation, and issue it or refer it to a validator."""
    valuation, recorded = computed.valuation, computed.recorded
    review_reasons = recorded.appraisal.review_reasons
    if not valuation.machine and not review_reasons:
        return await _issue_alone(tx, registry, computed)
    await store.lock_subject(tx.connection, valuation.subject)
    await store.insert_valuation(tx.connection, valuation)
    if review_reasons:
        step = VALUATION.next(valuation.state, "refer", subject=valuation.name)
        referred = replace(valuation, state=step.target)
        return await store.update_valuation(tx.connection, referred, at=tx.now)
    return await _issue(tx, registry, valuation, command="issue")


async def approve_valuation(
    tx: Transaction,
    registry: Registry,
    valuation_id: UUID,
    *,
    etag: str,
    decision: Decision,
    viewer: Principal,
) -> Valuation:
    """Issue a valuation that is in review.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
        OwnValuation: The validator acts for the party it was made for.
    """
    valuation = await _lock(tx, valuation_id, etag=etag, viewer=viewer)
    VALUATION.next(valuation.state, "approve", subject=valuation.name)
    _check_other_party(valuation, viewer)
    return await _issue(tx, registry, valuation, command="approve", decision=decision)


async def reject_valuation(
    tx: Transaction, valuation_id: UUID, *, etag: str, decision: Decision, viewer: Principal
) -> Valuation:
    """Reject a valuation that is in review.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
        OwnValuation: The validator acts for the party it was made for.
    """
    valuation = await _lock(tx, valuation_id, etag=etag, viewer=viewer)
    step = VALUATION.next(valuation.state, "reject", subject=valuation.name)
    _check_other_party(valuation, viewer)
    rejected = valuation.decided(step.target, decision)
    return await store.update_valuation(tx.connection, rejected, at=tx.now)


async def revoke_valuation(
    tx: Transaction, valuation_id: UUID, *, etag: str, decision: Decision, viewer: Principal
) -> Valuation:
    """Take an issued valuation back.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
    """
    valuation = await _lock(tx, valuation_id, etag=etag, viewer=viewer)
    step = VALUATION.next(valuation.state, "revoke", subject=valuation.name)
    revoked = replace(
        valuation.decided(step.target, decision),
        event_sequence=await store.count_event(tx.connection, valuation.subject),
    )
    revoked = await store.update_valuation(tx.connection, revoked, at=tx.now)
    await tx.cancel_timers(revoked.name)
    await tx.emit(events.revoked(revoked))
    return revoked


async def expire_valuation(tx: Transaction, timer: Timer) -> None:
    """End a valuation whose days have passed; one that no longer holds stays as it is."""
    valuation_id = UUID(timer.subject.removeprefix("valuations/"))
    valuation = await store.lock_valuation(tx.connection, valuation_id)
    if valuation.state is ValuationState.ISSUED:
        step = VALUATION.next(valuation.state, "expire", subject=valuation.name)
        expired = replace(valuation, state=step.target)
        await store.update_valuation(tx.connection, expired, at=tx.now)


async def _issue(
    tx: Transaction,
    registry: Registry,
    valuation: Valuation,
    *,
    command: str,
    decision: Decision | None = None,
) -> Valuation:
    """Issue a valuation whose subject is locked; earlier ones of its party give way."""
    earlier = await store.lock_superseded(
        tx.connection, valuation.machine, valuation.party, as_of=valuation.as_of
    )
    for former in earlier:
        await _supersede(tx, former, by=valuation.id)
    sequence = await store.count_event(tx.connection, valuation.subject)
    issued = _as_issued(
        tx, registry, valuation, command=command, sequence=sequence, decision=decision
    )
    issued = await store.update_valuation(tx.connection, issued, at=tx.now)
    assert issued.expire_time is not None
    await tx.set_timer(EXPIRY_TIMER, issued.name, due_at=issued.expire_time)
    await tx.emit(events.issued(issued, read_record(issued.record)))
    return issued


async def _issue_alone(tx: Transaction, registry: Registry, computed: Computed) -> Valuation:
    """Write a valuation of no registered machine as issued: nothing else knows of its subject.

    So its event is the first, nothing needs to be read, and all is sent together with the commit.
    """
    issued = _as_issued(tx, registry, computed.valuation, command="issue", sequence=1)
    assert issued.expire_time is not None
    store.insert_alone(tx, issued)
    await tx.set_timer(EXPIRY_TIMER, issued.name, due_at=issued.expire_time, at_end=True)
    await tx.emit(events.issued(issued, computed.recorded))
    return issued


def _as_issued(
    tx: Transaction,
    registry: Registry,
    valuation: Valuation,
    *,
    command: str,
    sequence: int,
    decision: Decision | None = None,
) -> Valuation:
    """Return a valuation as it is issued by an event of this sequence."""
    step = VALUATION.next(valuation.state, command, subject=valuation.name)
    return replace(
        valuation.decided(step.target, decision) if decision else valuation,
        state=step.target,
        event_sequence=sequence,
        issue_time=tx.now,
        expire_time=tx.now + timedelta(days=int(registry.present.policy.number("VALID_DAYS"))),
    )


async def _supersede(tx: Transaction, former: Valuation, *, by: UUID) -> None:
    step = VALUATION.next(former.state, "supersede", subject=former.name)
    superseded = replace(
        former,
        state=step.target,
        event_sequence=await store.count_event(tx.connection, former.subject),
        superseded_by=by,
    )
    superseded = await store.update_valuation(tx.connection, superseded, at=tx.now)
    await tx.cancel_timers(former.name)
    await tx.emit(events.superseded(superseded))


async def _lock(tx: Transaction, valuation_id: UUID, *, etag: str, viewer: Principal) -> Valuation:
    """Lock a valuation's subject, then the valuation.

    Raises:
        NotFound, EtagMismatch: As they say.
    """
    subject = await store.find_subject(tx.connection, valuation_id, viewer=viewer)
    if subject is None:
        raise NotFound(name("valuations", valuation_id))
    await store.lock_subject(tx.connection, subject)
    valuation = await store.lock_valuation(tx.connection, valuation_id)
    check_etag(etag, valuation.version)
    return valuation


def _check_other_party(valuation: Valuation, viewer: Principal) -> None:
    if viewer.party == valuation.party:
        raise OwnValuation(valuation.name, valuation.party)
