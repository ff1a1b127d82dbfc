"""Run the procurement service: `python -m services.procurement`."""

from services.kit.process import run
from services.procurement.definition import DEFINITION

if __name__ == "__main__":
    run(DEFINITION)
