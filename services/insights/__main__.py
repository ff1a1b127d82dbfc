"""Run the insights service: `python -m services.insights`."""

from services.insights.definition import DEFINITION
from services.kit.process import run

if __name__ == "__main__":
    run(DEFINITION)
