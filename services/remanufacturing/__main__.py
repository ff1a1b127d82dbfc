"""Run the remanufacturing service: `python -m services.remanufacturing`.

`… verify-passport FILE` checks a passport document, without settings or servers.
"""

import sys

from services.remanufacturing import passport_file

if __name__ == "__main__":
    if sys.argv[1:2] == [passport_file.COMMAND]:
        sys.exit(passport_file.main(sys.argv[2:]))

    from services.kit.process import run
    from services.remanufacturing.definition import DEFINITION

    run(DEFINITION)
