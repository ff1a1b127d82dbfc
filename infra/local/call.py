"""Call one rpc of the running stack from the shell, JSON in and JSON out.

python -m infra.local.call marketplace.ListingService/SearchListings '{"pageSize": 5}'

The token comes from the variable TOKEN (`export TOKEN=$(make -s token PARTY=… ROLE=…)`).
"""

import argparse
import json
import os
import sys
from uuid import uuid4

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from infra.local.processes import StartFailed
from infra.local.stack import running_stack
from services.kit.contract import find_method

DEADLINE_S = 30.0


def main() -> int:
    """Make the call; 0 where it was answered, 1 where it was refused or cannot be made."""
    arguments = _parse()
    try:
        method = find_method(arguments.rpc)
        service = arguments.service or method.full_name.split(".")[1]
        address = running_stack().addresses.services[service]
        request = GetMessageClass(method.input_type)()
        json_format.Parse(arguments.request, request)
    except (LookupError, StartFailed, json_format.ParseError) as error:
        print(f"cannot call {arguments.rpc}: {error}", file=sys.stderr)
        return 1
    if not getattr(request, "request_id", "set"):
        request.request_id = str(uuid4())  # type: ignore[attr-defined]  # every write has one
        print(f"request_id {request.request_id}", file=sys.stderr)  # type: ignore[attr-defined]
    try:
        with grpc.insecure_channel(address) as channel:
            print(_call(channel, method, request))
    except grpc.RpcError as error:
        print(_refusal(error), file=sys.stderr)
        return 1
    return 0


def _call(channel: grpc.Channel, method: MethodDescriptor, request: Message) -> str:
    rpc = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    token = os.environ.get("TOKEN", "")
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    return json_format.MessageToJson(
        rpc(request, metadata=metadata, timeout=DEADLINE_S), ensure_ascii=False
    )


def _refusal(error: grpc.RpcError) -> str:
    """Return a refusal as a person reads it: code, reason, sentence, and its facts."""
    status = rpc_status.from_call(error)
    lines = [f"{error.code().name}: {error.details()}"]
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            lines.append(f"reason {info.reason} {json.dumps(dict(info.metadata))}")
    return "\n".join(lines)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rpc", help="<service>.<Interface>/<Method>")
    parser.add_argument("request", nargs="?", default="{}", help="the request as JSON")
    parser.add_argument(
        "--service", default="", help="whose OperatorService to call (kit.OperatorService/…)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
