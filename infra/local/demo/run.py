"""Runs the demo on a fresh stack."""

import fcntl
import shutil
import sys
from pathlib import Path

import grpc

from infra.local import paths
from infra.local.business_time import BusinessTime, NotAtRest
from infra.local.credentials import load_credentials
from infra.local.demo import checks, summary
from infra.local.demo.cast import Addresses, gather_cast
from infra.local.demo.fleet import FleetMachine, FleetUnreadable, read_fleet
from infra.local.demo.narrator import Narrator
from infra.local.demo.scene import Scene
from infra.local.demo.story import TooFewMachines, tell_story
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
        is_ok = await _perform(stack, fleet.machines, narrator)
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


async def _perform(stack: Stack, fleet: list[FleetMachine], narrator: Narrator) -> bool:
    addresses = Addresses(stack.addresses.services)
    services = [service.name for service in TOPOLOGY.services]
    credentials = load_credentials(paths.SECRETS_FILE, services)
    try:
        cast = await gather_cast(addresses, operator_password=credentials.operator)
        time = BusinessTime(cast.operator, lambda: addresses.services, with_broker=True)
        scene = Scene(cast=cast, time=time, narrator=narrator, fleet=fleet)
        machine = await tell_story(scene)
        await time.until_at_rest()
        narrator.console.print()
        events = await checks.run_checks(scene, stack.addresses)
        money = await summary.print_money(scene)
        await summary.print_life(scene, machine)
        summary.print_events(scene, events)
        is_ok = summary.print_checks(scene)
        written = summary.write_summary(scene, events, money)
        narrator.console.print(f"{narrator.elapsed_s():.0f} s; {written.relative_to(paths.ROOT)}")
        return is_ok
    finally:
        await addresses.close()


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
