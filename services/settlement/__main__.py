"""Run the settlement service, or one of its commands: `python -m services.settlement [command]`."""

from services.kit.process import run
from services.settlement.commands import COMMANDS
from services.settlement.definition import DEFINITION

if __name__ == "__main__":
    run(DEFINITION, COMMANDS)
