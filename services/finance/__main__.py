"""Run the finance service: `python -m services.finance`."""

from services.finance.definition import DEFINITION
from services.kit.process import run

if __name__ == "__main__":
    run(DEFINITION)
