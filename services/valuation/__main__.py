"""Run the valuation service: `python -m services.valuation`."""

from services.kit.process import run
from services.valuation.definition import DEFINITION

if __name__ == "__main__":
    run(DEFINITION)
