"""`make demo`: start a stack of its own, run the closed loop on it, prove it, and stop.

FLEET=page.xml takes another page of ISO 15143-3; KEEP=1 leaves the stack up.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OWN_PAGE = Path(__file__).with_name("fleet_page.xml")
STATE = ROOT / ".local" / "demo"  # a stack of its own: what `make up` keeps is left alone


def main() -> int:
    """Run the demo and return 0 where every check holds."""
    arguments = _parse()
    os.environ["IRONLOOP_STATE"] = str(STATE)
    from infra.local.demo.run import run_demo  # noqa: PLC0415  (reads the state's folder at import)

    return asyncio.run(run_demo(arguments.fleet, keep=arguments.keep))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.demo", description=__doc__)
    parser.add_argument(
        "--fleet", type=Path, default=OWN_PAGE, help="a fleet page of ISO 15143-3, XML or JSON"
    )
    parser.add_argument("--keep", action="store_true", help="leave the stack up")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
