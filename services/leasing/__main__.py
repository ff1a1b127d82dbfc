"""Run the leasing service: `python -m services.leasing`."""

from services.kit.process import run
from services.leasing.definition import DEFINITION

if __name__ == "__main__":
    run(DEFINITION)
