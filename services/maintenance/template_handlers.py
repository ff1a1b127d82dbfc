"""What is done with plan templates, one transaction a command."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from services.kit.database import Database
from services.kit.errors import InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal, principal
from services.kit.transaction import Transaction
from services.maintenance import template_store
from services.maintenance.machine_model import MonitoredMachine
from services.maintenance.template_model import (
    PlanTask,
    PlanTemplate,
    TemplateState,
    best_fit,
)
from services.maintenance.work_errors import TemplateDoesNotFit, TemplateRetired
from services.maintenance.work_lifecycle import TEMPLATE

TEMPLATES_MAX = 500  # of a party and the platform, from which the best fit is chosen


async def create_template(
    tx: Transaction,
    *,
    owner: str,
    title: str,
    make: str,
    model: str,
    equipment_class: str,
    tasks: Sequence[PlanTask],
) -> PlanTemplate:
    """Make a template of a party, or with an empty owner the platform's."""
    template = PlanTemplate(
        id=new_id(),
        version=1,
        state=TemplateState.ACTIVE,
        owner=owner,
        title=title,
        make=make,
        model=model,
        equipment_class=equipment_class,
        tasks=tuple(tasks),
        create_time=tx.now,
        update_time=tx.now,
    )
    await template_store.insert_template(tx.connection, template)
    return template


async def get_template(database: Database, template_id: UUID, *, viewer: Principal) -> PlanTemplate:
    """Return a template.

    Raises:
        NotFound: There is none that the viewer may see.
    """
    async with database.read() as connection:
        template = await template_store.find_template(connection, template_id, viewer=viewer)
    if template is None:
        raise NotFound(name("planTemplates", template_id))
    return template


async def retire_template(
    tx: Transaction, template_id: UUID, *, owner: str, etag: str
) -> PlanTemplate:
    """Take a template out of use.

    Raises:
        NotFound: There is none of this owner.
        EtagMismatch, TransitionRefused: As they say.
    """
    template = await template_store.lock_template(tx.connection, template_id, viewer=principal())
    if template is None or template.owner != owner:
        raise NotFound(name("planTemplates", template_id))
    check_etag(etag, template.version)
    step = TEMPLATE.next(template.state, "retire", subject=template.name)
    retired = replace(template, state=step.target, version=template.version + 1, update_time=tx.now)
    await template_store.update_template(tx.connection, retired)
    return retired


async def choose_template(
    tx: Transaction, machine: MonitoredMachine, template_id: UUID | None
) -> PlanTemplate:
    """Return a stated template, or the one that fits a machine best.

    Raises:
        NotFound, TemplateRetired, TemplateDoesNotFit: As they say.
        InvalidArgument: None is stated and none fits.
    """
    fit = {
        "make": machine.make,
        "model": machine.model,
        "equipment_class": machine.equipment_class,
    }
    if template_id is None:
        # A service opens plans for the machine's owner, whose own templates come first.
        owner = principal().party or machine.title_holder
        usable = await template_store.list_usable(tx.connection, owner, limit=TEMPLATES_MAX)
        best = best_fit(usable, owner=owner, **fit)
        if best is None:
            raise InvalidArgument("template", "is needed: no template fits this machine")
        return best
    template = await template_store.find_template(tx.connection, template_id, viewer=principal())
    if template is None:
        raise NotFound(name("planTemplates", template_id))
    if template.state is TemplateState.RETIRED:
        raise TemplateRetired(template.name)
    if not template.fits(**fit):
        raise TemplateDoesNotFit(template.name, machine.name)
    return template
