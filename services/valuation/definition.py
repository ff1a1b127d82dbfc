"""The valuation service as data."""

import asyncio

import grpc
from ironloop.marketplace.v1 import marketplace_events_pb2
from ironloop.procurement.v1 import procurement_events_pb2
from ironloop.valuation.v1 import (
    models_pb2,
    models_pb2_grpc,
    portfolios_pb2,
    portfolios_pb2_grpc,
    valuation_pb2,
    valuation_pb2_grpc,
)

from ml.residual_value.comparable_sales import ComparablesRefused
from ml.residual_value.model import ModelRefused
from services.kit.runtime import Runtime
from services.kit.service import Room, ServiceDefinition
from services.valuation import handlers, label_handlers
from services.valuation.batch_runner import BatchRunner
from services.valuation.errors import ModelNotKept, ModelNotOurs
from services.valuation.events import PRODUCES
from services.valuation.indices import IndicesRefused
from services.valuation.insights import load_insights
from services.valuation.label_handlers import LabelMaker
from services.valuation.model_handlers import ChampionWatch, RegistryRefused, open_registry
from services.valuation.model_rpc import ModelRpc
from services.valuation.nowcasts import Nowcasts
from services.valuation.policy import PolicyRefused
from services.valuation.portfolio_rpc import PortfolioRpc
from services.valuation.registry import load_registry
from services.valuation.roots import HourSealer, RootSigner
from services.valuation.rpc import ValuationRpc
from services.valuation.settings import ValuationSettings
from services.valuation.warm_up import warm_up


async def assemble(runtime: Runtime) -> Room:
    """Build the service, its models and policy tables read and checked.

    Raises:
        OSError: A model or policy table is not what it should be; the service must not start.
    """
    settings = runtime.settings
    assert isinstance(settings, ValuationSettings)
    try:
        registry = await asyncio.to_thread(load_registry, settings)
        insights = await asyncio.to_thread(load_insights, settings, registry)
    except (ModelRefused, PolicyRefused, ComparablesRefused, IndicesRefused) as error:
        raise OSError(str(error)) from error

    try:
        await open_registry(runtime.database, registry)
    except (RegistryRefused, ModelNotKept, ModelNotOurs) as error:
        raise OSError(str(error)) from error
    nowcasts = Nowcasts(runtime.database, registry)
    await nowcasts.refresh()
    await warm_up(runtime, registry, insights)
    signer = await RootSigner.load(runtime.database)
    runner = BatchRunner(runtime, settings, registry, signer)
    sealer = HourSealer(runtime.database, runtime.clock, signer)

    def register(server: grpc.aio.Server) -> None:
        valuation_pb2_grpc.add_ValuationServiceServicer_to_server(
            ValuationRpc(runtime, registry, insights, nowcasts), server
        )
        models_pb2_grpc.add_ModelServiceServicer_to_server(ModelRpc(runtime, registry), server)
        portfolios_pb2_grpc.add_PortfolioServiceServicer_to_server(
            PortfolioRpc(runtime, settings, registry, nowcasts, signer=signer, runner=runner),
            server,
        )

    watch = ChampionWatch(runtime.database, registry)
    labels = LabelMaker(runtime, registry)
    return Room(register, background=(runner.run, sealer.run, watch.run, labels.run, nowcasts.run))


DEFINITION = ServiceDefinition(
    name="valuation",
    settings=ValuationSettings,
    proto_services=[
        valuation_pb2.DESCRIPTOR.services_by_name["ValuationService"],
        models_pb2.DESCRIPTOR.services_by_name["ModelService"],
        portfolios_pb2.DESCRIPTOR.services_by_name["PortfolioService"],
    ],
    assemble=assemble,
    produces=PRODUCES,
    consumes={
        procurement_events_pb2.OrderSettled: label_handlers.record_sale,
        marketplace_events_pb2.ConsentGranted: label_handlers.note_consent,
        marketplace_events_pb2.ConsentRevoked: label_handlers.note_revocation,
    },
    timers={handlers.EXPIRY_TIMER: handlers.expire_valuation},
)
