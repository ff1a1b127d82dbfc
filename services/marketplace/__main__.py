"""Run the marketplace service: `python -m services.marketplace`."""

from services.kit.process import run
from services.marketplace.definition import DEFINITION

if __name__ == "__main__":
    run(DEFINITION)
