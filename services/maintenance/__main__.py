"""Run the maintenance service: `python -m services.maintenance`."""

from services.kit.process import run
from services.maintenance.definition import DEFINITION

if __name__ == "__main__":
    run(DEFINITION)
