"""Runs the demo on a fresh stack."""

import fcntl
import shutil
import sys
from pathlib import Path

import grpc

from infra.local import paths
from infra.local.business_time import BusinessTime, NotAtRest
from infra.local.credentials import load_credentials
from infra.local.databases import dsn_of
from infra.local.demo import checks, summary
from infra.local.demo.cast import Addresses, gather_cast
from infra.local.demo.events import Ground
from infra.local.demo.fleet import FleetUnreadable, ReadFleet, read_fleet
from infra.local.demo.life import life_of
from infra.local.demo.money import holdings
from infra.local.demo.narrator import Narrator
from infra.local.demo.scene import Scene
from infra.local.demo.story import Story, TooFewMachines, tell_story
from infra.local.demo.turnover import SERVICE as TURNOVER_SERVICE
from infra.local.demo.turnover import turnover_of
from infra.local.environment import database_of
from infra.local.processes import StartFailed
from infra.local.stack import bring_up, take_down
from infra.local.state import Stack
from infra.local.topology import TOPOLOGY
from services.kit.clock import BusinessClock

DEMO_LOCK = paths.STATE.with_suffix(".lock")  # beside the state's folder, which is made anew


async def run_demo(fleet_page: Path, *, keep: bool) -> int:
    """Tell the story on a stack of its own; return 0 where every check holds."""
    narrator = Narrator()
    paths.STATE.parent.mkdir(parents=True, exist_ok=True)
    with DEMO_LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another demo runs in this checkout; wait for its end", file=sys.stderr)
            return 1
        return await _run_alone(narrator, fleet_page, keep=keep)


async def _run_alone(narrator: Narrator, fleet_page: Path, *, keep: bool) -> int:
    try:
        fleet = read_fleet(fleet_page, today=BusinessClock().today())
        narrator.console.print(f"[bold]Ironloop[/bold]: the closed loop on {fleet_page.name}")
        for remark in fleet.remarks:
            narrator.tell("page", remark)
        take_down()
        shutil.rmtree(paths.STATE, ignore_errors=True)
        shutil.rmtree(paths.postgres_folder() / "data", ignore_errors=True)
        stack = bring_up()
    except (FleetUnreadable, StartFailed) as error:
        print(f"the demo cannot start: {error}", file=sys.stderr)
        return 1
    is_ok = False
    try:
        is_ok = await _perform(stack, fleet, narrator)
    except grpc.aio.AioRpcError as error:
        print(f"the demo stopped: {error.code().name} {error.details()}", file=sys.stderr)
    except TooFewMachines as error:
        print(f"the demo stopped: {error}; give a larger page: FLEET=page.xml", file=sys.stderr)
    except NotAtRest as error:
        print(f"the demo stopped, something is still under way: {error}", file=sys.stderr)
    finally:
        if keep:
            _print_example_calls(narrator)
        else:
            take_down()
    return 0 if is_ok else 1


async def _perform(stack: Stack, fleet: ReadFleet, narrator: Narrator) -> bool:
    addresses = Addresses(stack.addresses.services)
    services = [service.name for service in TOPOLOGY.services]
    credentials = load_credentials(paths.SECRETS_FILE, services)
    try:
        cast = await gather_cast(addresses, operator_password=credentials.operator)
        time = BusinessTime(cast.operator, lambda: addresses.services, with_broker=True)
        scene = Scene(
            cast=cast, time=time, narrator=narrator, page=fleet.document, fleet=fleet.machines
        )
        story = await tell_story(scene)
        await time.until_at_rest()
        with narrator.act("Checks"):
            ending = await _end(story, stack)
        is_ok = summary.print_ending(scene, ending)
        written = summary.write_summary(scene, ending)
        narrator.console.print(f"{narrator.elapsed_s():.0f} s; {written.relative_to(paths.ROOT)}")
        return is_ok
    finally:
        await addresses.close()


async def _end(story: Story, stack: Stack) -> summary.Ending:
    """Run the checks and gather what the end shows."""
    scene, addresses = story.scene, stack.addresses
    ground = Ground(
        services=tuple(addresses.services),
        dsn=lambda service: dsn_of(addresses.postgres_dsn, database=database_of(service)),
        kafka_bootstrap=addresses.kafka_bootstrap,
    )
    told = await checks.run_checks(scene, ground, story.subjects)
    for place, what in told.amiss.items():
        scene.narrator.tell("checks", f"amiss: {place}: {what}")
    held = await holdings(scene)
    scene.checks["what all parties and the platform hold sums to zero"] = not sum(
        one.holds_fen for one in held
    )
    turnover = {}
    if TURNOVER_SERVICE in addresses.services:
        turnover = await turnover_of(scene, since=story.began_on)
    return summary.Ending(
        machine=story.main,
        life=await life_of(scene, story.main),
        holdings=held,
        turnover=turnover,
        events=told.types,
    )


def _print_example_calls(narrator: Narrator) -> None:
    here = f"IRONLOOP_STATE={paths.STATE.relative_to(paths.ROOT)} make"
    narrator.console.print(
        f"""
The stack is up; these work on it:
  {here} status
  export TOKEN=$({here} -s token PARTY="Liuyang Earthworks" ROLE=LESSEE)
  {here} call RPC=leasing.LeasingService/ListLeases
  {here} call RPC=marketplace.ListingService/SearchListings DATA='{{"pageSize": 2}}'
  {here} down"""
    )
