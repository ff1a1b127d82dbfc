"""Run the settlement service: `python -m services.settlement`."""

from services.kit.process import run
from services.settlement.definition import DEFINITION

if __name__ == "__main__":
    run(DEFINITION)
