"""Run the parties service: `python -m services.parties`; `… token` prints a local token."""

import sys

from services.kit.process import run
from services.parties import local_token
from services.parties.definition import DEFINITION

if __name__ == "__main__":
    if sys.argv[1:2] == ["token"]:
        sys.exit(local_token.main(sys.argv[2:]))
    run(DEFINITION)
