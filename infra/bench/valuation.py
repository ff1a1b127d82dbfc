"""What a value costs: a call beside the kit's write, rows of a stream beside the raw boosters, and
the memory of a million rows.

Ratios are taken within a round, in which each is measured right after the other.
"""

import asyncio
import itertools
import random
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import grpc
import psutil
from google.type import money_pb2
from ironloop.kit.v1 import operator_pb2
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2
from ironloop.valuation.v1 import portfolios_pb2, valuation_pb2
from pyarrow import parquet, table
from rich.progress import Progress

from infra.bench.lab import PASSWORD, Lab, open_lab
from infra.bench.load import Metadata
from infra.bench.report import Figure
from infra.local.databases import ensure_database, ensure_role
from infra.local.processes import free_port
from ml.residual_value.booster import Booster, Matrix
from ml.residual_value.model import ResidualValueModel
from services.kit.ids import new_id
from services.parties.model import uscc_of
from services.valuation.appraisal import Valuer
from services.valuation.policy import read_policies
from services.valuation.portfolio import PortfolioValuer
from services.valuation.portfolio_messages import rows_from_wire
from services.valuation.settings import ValuationSettings

ROUNDS = 5
CALLS = 600  # of each kind a round
IN_FLIGHT = 8
MESSAGES, ROWS_A_MESSAGE = 8, 2_500
MILLION = 1_000_000
BAD_EVERY = 33
LOOK_EVERY_S = 0.5
SEED = 7

_PARTIES = "/ironloop.parties.v1.PartiesService"
_VALUATION = "/ironloop.valuation.v1.ValuationService/CreateValuation"
_PORTFOLIOS = "/ironloop.valuation.v1.PortfolioService"


async def measure() -> list[Figure]:
    """Measure everything; takes about four minutes."""
    shipped = _shipped()
    with Progress(transient=True) as progress:
        task = progress.add_task("valuation: starting servers", total=2 + 2 * ROUNDS)
        async with open_lab() as lab:
            await _start_valuation(lab)
            token, party = await _funder(lab)
            metadata = [("authorization", f"Bearer {token}")]
            operator = [("authorization", f"Bearer {lab.token}")]
            progress.update(task, advance=1, description="valuation: single calls")
            latencies, rates = [], []
            async with lab.channel("parties") as parties, lab.channel("valuation") as valuation:
                for _ in range(ROUNDS):
                    write = await _p99(parties, f"{_PARTIES}/CreateParty", _new_party, operator)
                    value = await _p99(valuation, _VALUATION, lambda: _single(shipped), metadata)
                    latencies.append((value, write))
                    progress.advance(task)
                progress.update(task, description="valuation: streams")
                for _ in range(ROUNDS):
                    rates.append(await _stream_rates(valuation, metadata, shipped))
                    progress.advance(task)
                progress.update(task, description="valuation: a million rows")
                peak, seconds = await _million(lab, valuation, metadata, shipped, party=party)
    return [
        Figure(
            "single_p99_over_write_p99",
            "ratio",
            [value / write for value, write in latencies],
            must=2,
            aim=1.5,
            is_at_least=False,
        ),
        Figure("single_p99", "ms", [value * 1_000 for value, _ in latencies]),
        Figure(
            "rows_over_raw_predict",
            "ratio",
            [streamed / raw for streamed, raw in rates],
            must=0.5,
            aim=0.9,
        ),
        Figure("streamed_rows", "rows/s", [streamed for streamed, _ in rates]),
        Figure("raw_predict", "rows/s", [raw for _, raw in rates]),
        Figure("million_rows_memory", "GiB", [peak], must=1.5, aim=0.7, is_at_least=False),
        Figure("million_rows", "rows/s", [MILLION / seconds]),
    ]


def _shipped() -> ResidualValueModel:
    settings = ValuationSettings.model_fields
    return ResidualValueModel(settings["models"].default / settings["champion"].default)


async def _start_valuation(lab: Lab) -> None:
    await ensure_role(lab.server_dsn, "valuation", password=PASSWORD)
    await ensure_database(lab.server_dsn, "valuation", database="valuation")
    lab.ports["valuation"] = free_port()
    lab.run(
        "valuation",
        "services.valuation",
        environment="local",
        page_token_key="k" * 32,
        kafka_bootstrap="",
        drain_s="1",
        listen=f"127.0.0.1:{lab.ports['valuation']}",
        postgres_dsn=lab.dsn("valuation"),
        jwks_url=f"http://127.0.0.1:{lab.http_port}/.well-known/jwks.json",
        portfolios=str(lab.folder / "portfolios"),
        results=str(lab.folder / "results"),
    )
    async with lab.channel("valuation") as channel, asyncio.timeout(60):
        await channel.channel_ready()


async def _funder(lab: Lab) -> tuple[str, str]:
    """Register a funder with a user; return the user's token and the party."""
    metadata = [("authorization", f"Bearer {lab.token}")]
    async with lab.channel("parties") as channel:
        create: Any = channel.unary_unary(
            f"{_PARTIES}/CreateParty", response_deserializer=parties_pb2.Party.FromString
        )
        party = await create(_new_party(options_pb2.ROLE_FUNDER), metadata=metadata)
        user: Any = channel.unary_unary(
            f"{_PARTIES}/CreateUser", response_deserializer=parties_pb2.User.FromString
        )
        login = f"funder-{secrets.token_hex(4)}"
        await user(
            parties_pb2.CreateUserRequest(
                request_id=str(new_id()),
                party=party.name,
                login=login,
                password=PASSWORD,
                roles=[options_pb2.ROLE_FUNDER],
            ).SerializeToString(),
            metadata=metadata,
        )
        issue: Any = channel.unary_unary(
            f"{_PARTIES}/IssueToken",
            response_deserializer=parties_pb2.IssueTokenResponse.FromString,
        )
        answer = await issue(
            parties_pb2.IssueTokenRequest(
                user=parties_pb2.UserCredentials(login=login, password=PASSWORD)
            ).SerializeToString()
        )
    return answer.token, party.name


async def _p99(channel: grpc.aio.Channel, path: str, request: Any, metadata: Metadata) -> float:
    """Return the 99th percentile of calls, seconds, with a few in flight."""
    call: Any = channel.unary_unary(path)
    took: list[float] = []

    async def caller() -> None:
        for _ in range(CALLS // IN_FLIGHT):
            raw = request()
            started_s = time.perf_counter()
            await call(raw, metadata=metadata)
            took.append(time.perf_counter() - started_s)

    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return sorted(took)[int(len(took) * 0.99)]


async def _stream_rates(
    channel: grpc.aio.Channel, metadata: Metadata, model: ResidualValueModel
) -> tuple[float, float]:
    """Return rows a second by gRPC, and of the boosters alone on the same rows."""
    chance = random.Random(secrets.randbits(32))
    messages = [_rows(model, ROWS_A_MESSAGE, chance) for _ in range(MESSAGES)]
    name = str(uuid4())

    async def requests() -> AsyncIterator[bytes]:
        for rows in messages:
            yield portfolios_pb2.StreamValuationsRequest(
                request_id=name, rows=rows
            ).SerializeToString()

    call: Any = channel.stream_stream(f"{_PORTFOLIOS}/StreamValuations")
    started_s = time.perf_counter()
    async for _ in call(requests(), metadata=metadata):
        pass
    streamed = MESSAGES * ROWS_A_MESSAGE / (time.perf_counter() - started_s)
    seen = [await asyncio.to_thread(_boosters_called, model, rows) for rows in messages]
    started_s = time.perf_counter()
    for booster, matrix in itertools.chain.from_iterable(seen):
        await asyncio.to_thread(booster.predict, matrix)
    return streamed, MESSAGES * ROWS_A_MESSAGE / (time.perf_counter() - started_s)


def _boosters_called(
    model: ResidualValueModel, rows: Sequence[portfolios_pb2.PortfolioRow]
) -> list[tuple[Booster, Matrix]]:
    """Return each booster that the rows call, with the matrix it is called with."""
    called: list[tuple[Booster, Matrix]] = []
    predict = Booster.predict

    def noted(booster: Booster, matrix: Matrix) -> Matrix:
        called.append((booster, matrix))
        return predict(booster, matrix)

    policies = read_policies(ValuationSettings.model_fields["policies"].default)
    policy = policies[ValuationSettings.model_fields["policy"].default]
    portfolio = PortfolioValuer(Valuer.of(model, policy), date(2026, 6, 15))
    with mock.patch.object(Booster, "predict", noted):
        portfolio.score(rows_from_wire(rows))
    return called


async def _million(
    lab: Lab,
    channel: grpc.aio.Channel,
    metadata: Metadata,
    model: ResidualValueModel,
    *,
    party: str,
) -> tuple[float, float]:
    """Value a file of a million rows; return the peak memory in GiB, and the seconds."""
    await asyncio.to_thread(_write_million, lab.folder / "portfolios", model, party)
    start: Any = channel.unary_unary(
        f"{_PORTFOLIOS}/BatchCreateValuations",
        response_deserializer=operator_pb2.Operation.FromString,
    )
    look: Any = channel.unary_unary(
        "/ironloop.kit.v1.OperatorService/GetOperation",
        response_deserializer=operator_pb2.Operation.FromString,
    )
    service = _process_of(lab)
    started_s = time.perf_counter()
    request = portfolios_pb2.BatchCreateValuationsRequest(
        request_id=str(uuid4()), file="million.parquet"
    )
    operation = await start(request.SerializeToString(), metadata=metadata)
    asked = operator_pb2.GetOperationRequest(name=operation.name).SerializeToString()
    peak = 0.0
    while not operation.done:
        peak = max(peak, _resident_gib(service))
        await asyncio.sleep(LOOK_EVERY_S)
        operation = await look(asked, metadata=metadata)
    batch = portfolios_pb2.Batch()
    if not operation.response.Unpack(batch) or batch.rows != MILLION:
        raise RuntimeError(f"the million rows were not valued: {operation}")
    return peak, time.perf_counter() - started_s


def _process_of(lab: Lab) -> psutil.Process:
    """Return the bench's own valuation service, whoever else runs one."""
    own = f"127.0.0.1:{lab.ports['valuation']}"
    for process in psutil.process_iter():
        try:
            is_own = process.environ().get("IRONLOOP_VALUATION_LISTEN") == own
        except psutil.Error:
            continue
        if is_own and "services.valuation" in process.cmdline():
            return process
    raise RuntimeError("the valuation service does not run")


def _resident_gib(service: psutil.Process) -> float:
    """Return the memory of the service and its worker; pages they share count once each."""
    total = 0
    for process in (service, *service.children(recursive=True)):
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**30


def _single(model: ResidualValueModel) -> bytes:
    chance = random.Random(secrets.randbits(32))
    (row,) = _rows(model, 1, chance)
    specification = valuation_pb2.Specification(
        make=row.make,
        model=row.model,
        equipment_class=row.equipment_class,
        build_year=row.build_year,
        replacement_cost=money_pb2.Money(
            currency_code="CNY", units=row.replacement_cost_fen // 100
        ),
    )
    specification.hours_meter.value = f"{row.hours_meter:.0f}"
    return valuation_pb2.CreateValuationRequest(
        request_id=str(uuid4()), specification=specification
    ).SerializeToString()


def _rows(
    model: ResidualValueModel, count: int, chance: random.Random
) -> list[portfolios_pb2.PortfolioRow]:
    """Return track excavators of models that the booster knows."""
    names = _names(model)
    return [
        portfolios_pb2.PortfolioRow(
            reference=str(number),
            make="CATERPILLAR",
            model=chance.choice(names),
            equipment_class="HYDRAULIC_EXCAVATOR",
            build_year=chance.randint(2000, 2025),
            hours_meter=float(chance.randint(100, 20_000)),
            replacement_cost_fen=chance.randint(100, 300) * 1_000_000,
        )
        for number in range(count)
    ]


def _names(model: ResidualValueModel) -> list[str]:
    catalogue = model.encodings.catalogue
    return sorted(key.partition("|")[2] for key in catalogue if key.startswith("TEX|"))


def _write_million(portfolios: Path, model: ResidualValueModel, party: str) -> None:
    folder = portfolios / party.removeprefix("parties/")
    folder.mkdir(parents=True)
    chance, names = random.Random(SEED), _names(model)
    numbers = range(MILLION)
    columns = {
        "reference": [str(number) for number in numbers],
        "make": ["CATERPILLAR"] * MILLION,
        "model": [chance.choice(names) for _ in numbers],
        "equipment_class": [
            "SUBMARINE" if number % BAD_EVERY == 0 else "HYDRAULIC_EXCAVATOR" for number in numbers
        ],
        "build_year": [chance.randint(2000, 2025) for _ in numbers],
        "hours_meter": [float(chance.randint(100, 20_000)) for _ in numbers],
        "replacement_cost_fen": [chance.randint(100, 300) * 1_000_000 for _ in numbers],
    }
    parquet.write_table(table(columns), folder / "million.parquet")


def _new_party(role: options_pb2.Role.ValueType = options_pb2.ROLE_BUYER) -> bytes:
    body = f"91{secrets.randbelow(10**15):015}"
    return parties_pb2.CreatePartyRequest(
        request_id=str(new_id()),
        legal_name="A party of the bench",
        uscc=uscc_of(body),
        roles=[role],
    ).SerializeToString()
