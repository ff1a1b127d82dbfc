"""SQL of plan templates: one is seen by its owner, the platform's own by everyone."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.principals import Principal
from services.maintenance.template_model import KitPart, PlanTask, PlanTemplate, TemplateState


async def insert_template(connection: Connection, template: PlanTemplate) -> None:
    """Write a new template."""
    await connection.execute(
        """
        insert into plan_template (id, version, state, owner, title, make, model, equipment_class,
            tasks, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        template.id,
        template.version,
        template.state,
        template.owner,
        template.title,
        template.make,
        template.model,
        template.equipment_class,
        [_stored_task(task) for task in template.tasks],
        template.create_time,
        template.update_time,
    )


async def find_template(
    connection: Connection, template_id: UUID, *, viewer: Principal
) -> PlanTemplate | None:
    """Return a template that the viewer may see."""
    row = await connection.fetchrow(
        "select * from plan_template where id = $1 and ($2 or owner in ($3, ''))",
        template_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _template(row)


async def lock_template(
    connection: Connection, template_id: UUID, *, viewer: Principal
) -> PlanTemplate | None:
    """Return a template that the viewer may see, locked for change."""
    row = await connection.fetchrow(
        """
        select * from plan_template where id = $1 and ($2 or owner in ($3, ''))
        for no key update
        """,
        template_id,
        viewer.sees_all,
        viewer.party,
    )
    return None if row is None else _template(row)


async def list_templates(
    connection: Connection,
    *,
    viewer: Principal,
    state: str | None,
    after: UUID | None,
    limit: int,
) -> list[PlanTemplate]:
    """Return templates that the viewer may see, the newest first, after an id."""
    rows = await connection.fetch(
        """
        select * from plan_template
        where ($1 or owner in ($2, '')) and ($3::text is null or state = $3)
          and ($4::uuid is null or id < $4)
        order by id desc limit $5
        """,
        viewer.sees_all,
        viewer.party,
        state,
        after,
        limit,
    )
    return [_template(row) for row in rows]


async def list_usable(connection: Connection, owner: str, *, limit: int) -> list[PlanTemplate]:
    """Return the active templates of a party and of the platform, the newest first."""
    rows = await connection.fetch(
        """
        select * from plan_template where owner in ($1, '') and state = 'ACTIVE'
        order by id desc limit $2
        """,
        owner,
        limit,
    )
    return [_template(row) for row in rows]


async def update_template(connection: Connection, template: PlanTemplate) -> None:
    """Write what may change of a template."""
    await connection.execute(
        "update plan_template set version = $2, state = $3, update_time = $4 where id = $1",
        template.id,
        template.version,
        template.state,
        template.update_time,
    )


def _template(row: Row) -> PlanTemplate:
    return PlanTemplate(
        **{
            **dict(row),
            "state": TemplateState(row["state"]),
            "tasks": tuple(_task(task) for task in row["tasks"]),
        }
    )


def _stored_task(task: PlanTask) -> dict[str, Any]:
    """Return a task as its template keeps it; decimals as text, so that none becomes a float."""
    return {
        "code": task.code,
        "title": task.title,
        "interval_hours": None if task.interval_hours is None else str(task.interval_hours),
        "interval_months": task.interval_months,
        "weight": task.weight,
        "kit": [stored_part(part) for part in task.kit],
    }


def _task(stored: Mapping[str, Any]) -> PlanTask:
    hours = stored["interval_hours"]
    return PlanTask(
        code=stored["code"],
        title=stored["title"],
        interval_hours=None if hours is None else Decimal(hours),
        interval_months=stored["interval_months"],
        weight=stored["weight"],
        kit=tuple(part_of(part) for part in stored["kit"]),
    )


def stored_part(part: KitPart) -> dict[str, Any]:
    """Return a part as jsonb keeps it."""
    return {
        "part_number": part.part_number,
        "description": part.description,
        "quantity": str(part.quantity),
        "unit_price_fen": part.unit_price_fen,
    }


def part_of(stored: Mapping[str, Any]) -> KitPart:
    """Return a part that jsonb keeps."""
    return KitPart(**{**stored, "quantity": Decimal(stored["quantity"])})
