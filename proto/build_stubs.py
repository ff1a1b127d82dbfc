"""Compile every .proto of this folder into Python stubs, as the package's build does.

The path of a .proto file is the import path of its stub. The rules of protovalidate come from
the installed wheel, which carries `buf/validate/validate.proto` as a descriptor only.
"""

import shutil
from pathlib import Path
from typing import Any

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from protovalidate._gen.buf.validate import validate_pb

PROTO_DIR = Path(__file__).parent
WELL_KNOWN_DIR = Path(grpc_tools.__file__).parent / "_proto"


def google_apis_dir() -> Path:
    """Return the folder from which `google/type/money.proto` and its kin are imported."""
    import google.type  # noqa: PLC0415  (a namespace package: it has no __file__ of its own)

    return Path(next(iter(google.type.__path__))).parent.parent


def write_validate_descriptors(path: Path) -> None:
    """Write the descriptor set that holds `buf/validate/validate.proto` and its imports."""
    descriptors = descriptor_pb2.FileDescriptorSet()
    dependencies = path.with_suffix(".dependencies.binpb")
    run_protoc(
        f"-I{WELL_KNOWN_DIR}",
        f"--descriptor_set_out={dependencies}",
        *(
            f"google/protobuf/{name}.proto"
            for name in ("descriptor", "duration", "field_mask", "timestamp")
        ),
    )
    descriptors.ParseFromString(dependencies.read_bytes())
    descriptors.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    path.write_bytes(descriptors.SerializeToString())


def run_protoc(*arguments: str) -> None:
    """Run protoc.

    Raises:
        RuntimeError: protoc found an error; it has printed file, line and reason.
    """
    if protoc.main(["protoc", *arguments]) != 0:
        raise RuntimeError("protoc refused the contract; its messages stand above")


def google_type_descriptors(path: Path) -> None:
    """Write a descriptor set of the google.type and google.rpc messages that the contract uses."""
    names = sorted(
        str(file.relative_to(google_apis_dir()))
        for folder in ("type", "rpc")
        for file in (google_apis_dir() / "google" / folder).glob("*.proto")
    )
    run_protoc(
        f"-I{google_apis_dir()}",
        f"-I{WELL_KNOWN_DIR}",
        "--include_imports",
        f"--descriptor_set_out={path}",
        *names,
    )


def compile_image(out: Path) -> None:
    """Write the whole contract, imports and comments included, as one descriptor image."""
    out.parent.mkdir(parents=True, exist_ok=True)
    imports = imported_descriptors(out.parent)
    run_protoc(
        f"-I{PROTO_DIR}",
        f"--descriptor_set_in={imports}",
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={out}",
        *proto_files(),
    )


def imported_descriptors(folder: Path) -> Path:
    """Write every descriptor that the contract imports into one set below `folder`."""
    validate, google, merged = (
        folder / f"{name}.binpb" for name in ("validate", "google", "imports")
    )
    write_validate_descriptors(validate)
    google_type_descriptors(google)
    union: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for part in (google, validate):
        descriptors = descriptor_pb2.FileDescriptorSet()
        descriptors.ParseFromString(part.read_bytes())
        union.update({file.name: file for file in descriptors.file if file.name not in union})
    merged.write_bytes(descriptor_pb2.FileDescriptorSet(file=union.values()).SerializeToString())
    return merged


def proto_files() -> list[str]:
    """List the contract's own files, relative to this folder."""
    return sorted(
        str(file.relative_to(PROTO_DIR)) for file in PROTO_DIR.glob("ironloop/**/*.proto")
    )


def compile_stubs(out: Path) -> None:
    """Generate messages, services and their types below `out`, replacing what is there."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    imports = imported_descriptors(out.parent)
    # The option messages are part of the import path of every stub, so validate_pb2 is made too.
    run_protoc(
        f"-I{PROTO_DIR}",
        f"--descriptor_set_in={imports}",
        f"--python_out={out}",
        f"--mypy_out={out}",
        *proto_files(),
        "buf/validate/validate.proto",
    )
    run_protoc(
        f"-I{PROTO_DIR}",
        f"--descriptor_set_in={imports}",
        f"--grpc_python_out={out}",
        f"--mypy_grpc_out={out}",
        *(file for file in proto_files() if "\nservice " in (PROTO_DIR / file).read_text()),
    )
    for folder in {file.parent for file in out.rglob("*.py")}:
        while folder != out:
            (folder / "__init__.py").touch()
            (folder / "py.typed").touch()
            folder = folder.parent  # noqa: PLW2901  (walks up to the root of the stubs)


class BuildStubs(BuildHookInterface[Any]):
    """Hatchling's build hook: the wheel holds the generated stubs and the .proto files."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile the stubs and hand them to the wheel."""
        out = PROTO_DIR / "build" / "stubs"
        compile_stubs(out)
        build_data["force_include"] = {
            str(out / package): package for package in ("ironloop", "buf")
        } | {str(PROTO_DIR / file): file for file in proto_files()}
        build_data["pure_python"] = True
