"""Run the valuation service, or one of its commands: `python -m services.valuation [command]`."""

from services.kit.process import run
from services.valuation.batch_replay import REPLAY_BATCH
from services.valuation.definition import DEFINITION
from services.valuation.label_export import EXPORT_LABELS

if __name__ == "__main__":
    run(DEFINITION, [EXPORT_LABELS, REPLAY_BATCH])
