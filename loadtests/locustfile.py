"""What locust runs: the users of the plan's scenario, recorded into the plan's folder."""

import json
import os
import time
from pathlib import Path
from typing import Any

import grpc.experimental.gevent as grpc_gevent

grpc_gevent.init_gevent()  # before any channel exists, or every call blocks all users

from locust import events  # noqa: E402

from loadtests import steps  # noqa: E402
from loadtests.grpc_user import GrpcUser  # noqa: E402
from loadtests.journal import Journal  # noqa: E402
from loadtests.plan import Plan  # noqa: E402
from loadtests.recorder import Recorder  # noqa: E402
from loadtests.users import USERS  # noqa: E402

PLAN = Plan.read(Path(os.environ["IRONLOOP_LOAD_PLAN"]))
FOLDER = Path(PLAN.folder)
RECORDER = Recorder()

GrpcUser.plan = PLAN
GrpcUser.recorder = RECORDER
GrpcUser.journal = Journal(FOLDER)
_started_s = time.monotonic()


class Shape(steps.Steps):
    """The plan's shape; locust looks for a class in this file."""

    def __init__(self) -> None:
        super().__init__(PLAN, RECORDER)


# Locust looks for the class of the users among this module's names.
globals()["Users"] = USERS[PLAN.scenario]


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write_measured(**_: Any) -> None:
    """Write what was measured and told."""
    RECORDER.end()
    GrpcUser.journal.close()
    used_s = time.process_time()
    document = {
        "steps": [step.to_json() for step in RECORDER.steps],
        "generator_cores": round(used_s / (time.monotonic() - _started_s), 2),
    }
    (FOLDER / "measured.json").write_text(json.dumps(document))
