"""The stack as a person meets it: commands, real servers, and processes that really die."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import jwt
import psutil
import pytest
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from infra.local.paths import ROOT
from tests.support import servers

WITHIN_S = 120.0
PLATFORM = "Ironloop platform (local)"


class LocalStack:
    """A stack of one service in a folder of its own, driven by its commands."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.environment = os.environ | {"IRONLOOP_STATE": str(folder)} | variables

    def begin(self, *command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "infra.local.topology", *command],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command and return what it printed."""
        process = self.begin(*command)
        said, _ = process.communicate(timeout=WITHIN_S)
        assert process.returncode == code, said
        return said

    @property
    def written(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "stack.json").read_text())
        return document

    @property
    def pids(self) -> list[int]:
        parts = [
            self.written["postgres"],
            self.written["kafka"],
            *self.written["services"].values(),
        ]
        return [part["pid"] for part in parts if "pid" in part]

    @property
    def watch(self) -> int:
        return int((self.folder / "stack.lock").read_text())

    def left_running(self) -> list[str]:
        """Return the command lines of all processes that carry this stack's folder."""
        found = []
        for process in psutil.process_iter():
            try:
                ours = process.environ().get("IRONLOOP_STATE") == str(self.folder)
                if process.pid != os.getpid() and ours:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def remove(stack: LocalStack) -> None:
    stack.run("down")
    code = "from infra.local.paths import postgres_folder; print(postgres_folder())"
    asked = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    shutil.rmtree(asked.stdout.strip(), ignore_errors=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Return a stack that is up, on its own PostgreSQL and Kafka, until a test brings it down."""
    stack = LocalStack(tmp_path_factory.mktemp("running") / "state")
    try:
        assert "parties" in stack.run("up", "parties")
        yield stack
    finally:
        remove(stack)


@pytest.fixture
def on_a_given_broker(tmp_path: Path) -> Iterator[LocalStack]:
    """Return a stack that starts its own PostgreSQL and uses the test run's Kafka."""
    bootstrap = servers.kafka_bootstrap()
    stack = LocalStack(tmp_path / "state", IRONLOOP_KAFKA_BOOTSTRAP=bootstrap)
    yield stack
    remove(stack)


def test_it_comes_up_and_serves(running: LocalStack) -> None:
    assert len(running.pids) == 3
    address = running.written["services"]["parties"]["address"]
    said = running.run("up")
    assert "up already" in said
    assert address in said
    assert "SERVING" in running.run("status")
    assert "service_serving" in running.run("logs", "parties")
    assert "name one of these: kafka, parties" in running.run("logs", "bakery", code=1)
    for file in ("stack.json", "secrets.json"):
        assert (running.folder / file).stat().st_mode & 0o777 == 0o600


def test_a_token_of_the_local_issuer_opens_the_door(running: LocalStack) -> None:
    token = running.run("run", "parties", "token", "--party", PLATFORM, "--role", "AUDITOR").strip()
    assert jwt.decode(token, options={"verify_signature": False})["roles"] == ["AUDITOR"]
    with grpc.insecure_channel(running.written["services"]["parties"]["address"]) as channel:
        found = parties_pb2_grpc.PartiesServiceStub(channel).ListParties(
            parties_pb2.ListPartiesRequest(role=options_pb2.ROLE_AUDITOR),
            metadata=(("authorization", f"Bearer {token}"),),
        )
    assert [party.legal_name for party in found.parties] == [PLATFORM]


def call(stack: LocalStack, rpc: str, request: str, *, token: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.call", rpc, request],
        cwd=ROOT,
        env=stack.environment | {"TOKEN": token},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_rpcs_are_called_from_the_shell(running: LocalStack) -> None:
    token = running.run("run", "parties", "token", "--party", PLATFORM, "--role", "AUDITOR").strip()
    rpc = "parties.PartiesService/ListParties"
    code, said, _ = call(running, rpc, '{"pageSize": 5}', token=token)
    assert code == 0
    assert json.loads(said)["parties"][0]["legalName"] == PLATFORM
    code, _, complaint = call(running, rpc, "{}", token="")
    assert (code, "reason UNAUTHENTICATED" in complaint) == (1, True)
    create = "parties.PartiesService/CreateParty"
    code, _, complaint = call(running, create, '{"legalName": "X"}', token=token)
    assert (code, "reason PERMISSION_DENIED" in complaint) == (1, True)
    code, _, complaint = call(running, "parties.PartiesService/Bake", "{}", token=token)
    assert (code, "ListParties" in complaint) == (1, True)


def test_no_token_for_who_is_not_there_or_does_not_hold_the_role(running: LocalStack) -> None:
    assert PLATFORM in running.run("run", "parties", "token", "--party", "Nobody Ltd", code=1)
    asked = ("run", "parties", "token", "--party", PLATFORM, "--role", "BUYER")
    assert "does not hold the role BUYER" in running.run(*asked, code=1)


@pytest.mark.parametrize(
    "setting",
    [
        {"IRONLOOP_PARTIES_ENVIRONMENT": "production"},
        {"IRONLOOP_PARTIES_JWKS_URL": "https://issuer.example/jwks.json"},
    ],
)
def test_a_token_is_refused_outside_the_local_setting(
    running: LocalStack, setting: dict[str, str]
) -> None:
    elsewhere = subprocess.run(
        [sys.executable, "-m", "services.parties", "token", "--party", PLATFORM],
        cwd=ROOT,
        env=parties_environment(running) | setting,
        capture_output=True,
        text=True,
        check=False,
    )
    assert elsewhere.returncode == 1
    assert elsewhere.stdout == ""
    assert "outside issuer" in elsewhere.stderr


def parties_environment(stack: LocalStack) -> dict[str, str]:
    """Return the environment of the running parties service."""
    return psutil.Process(stack.written["services"]["parties"]["pid"]).environ()


def test_a_second_stack_stands_beside_on_servers_that_exist(
    running: LocalStack, tmp_path: Path
) -> None:
    beside = LocalStack(
        tmp_path / "beside",
        IRONLOOP_POSTGRES_DSN=running.written["postgres"]["dsn"],
        IRONLOOP_KAFKA_BOOTSTRAP=running.written["kafka"]["bootstrap"],
    )
    beside.run("up", "parties")
    assert len(beside.pids) == 1
    assert "SERVING" in beside.run("status")
    beside.run("down")
    assert beside.left_running() == []
    assert "SERVING" in running.run("status")


def test_it_goes_down_and_leaves_nothing_running(running: LocalStack) -> None:
    pids = running.pids
    assert "stopped" in running.run("down")
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert running.left_running() == []
    assert running.run("down") == "nothing runs\n"
    assert "make up" in running.run("status", code=1)


def test_a_service_that_dies_is_told_with_its_code_and_brings_the_stack_down(
    on_a_given_broker: LocalStack,
) -> None:
    stack = on_a_given_broker
    stack.run("up", "parties")
    os.kill(stack.written["services"]["parties"]["pid"], signal.SIGKILL)
    until(lambda: not stack.left_running())
    said = stack.run("status", code=1)
    assert "parties ended by itself with exit code -9 (SIGKILL)" in said
    assert "service_serving" in said
    assert not (stack.folder / "stack.json").exists()


def test_a_service_that_cannot_start_is_told_and_nothing_is_left(
    on_a_given_broker: LocalStack,
) -> None:
    stack = on_a_given_broker
    stack.environment["IRONLOOP_POSTGRES_DSN"] = "postgresql://nobody@127.0.0.1:1/postgres"
    assert "the stack cannot start" in stack.run("up", "parties", code=1)
    assert stack.left_running() == []
    assert "no service bakery" in stack.run("up", "bakery", code=1)
    assert stack.left_running() == []


@pytest.mark.skipif(sys.platform != "linux", reason="a promise of Linux's kernel")
def test_what_kill_9_leaves_is_recognised_and_the_stack_starts_again(
    on_a_given_broker: LocalStack,
) -> None:
    stack = on_a_given_broker
    stack.run("up", "parties")
    os.kill(stack.watch, signal.SIGKILL)
    until(lambda: not stack.left_running())
    assert (stack.folder / "stack.json").exists()
    assert "does not run" in stack.run("status", code=1)
    said = stack.run("up", "parties")
    assert "did not end by `make down`" in said
    os.kill(stack.watch, signal.SIGKILL)
    until(lambda: not stack.left_running())
    assert "cleaned up" in stack.run("down")


def test_an_interrupted_start_leaves_nothing_running(on_a_given_broker: LocalStack) -> None:
    stack = on_a_given_broker
    starting = stack.begin("up", "parties")
    assert starting.stdout is not None
    while "databases" not in starting.stdout.readline():
        pass
    starting.send_signal(signal.SIGINT)
    said, _ = starting.communicate(timeout=WITHIN_S)
    assert starting.returncode == 130, said
    assert stack.left_running() == []
    assert not (stack.folder / "stack.json").exists()
