"""Run the parties service: `python -m services.parties`."""

from services.kit.process import run
from services.parties.definition import DEFINITION

if __name__ == "__main__":
    run(DEFINITION)
