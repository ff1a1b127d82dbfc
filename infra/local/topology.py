"""The whole of Ironloop on one machine, readable top to bottom. This file runs it:

python -m infra.local.topology up | status | logs SERVICE | token … | down
"""

import sys

from infra.local.cli import run
from infra.local.parts import Kafka, Postgres, Service, Topology

TOPOLOGY = Topology(
    postgres=Postgres(settings={"shared_buffers": "128MB", "max_connections": "200"}),
    kafka=Kafka(heap="-Xmx256m", partitions=3),  # three partitions show that order is per key
    services=(
        # Legal entities, users, roles; in this setting it issues the tokens too.
        Service("parties", is_issuer=True),
        # The ledger: it calls nobody, and every service that moves money calls it.
        Service("settlement", settings={"pool_size_max": "16"}),
        # What a machine is worth; it holds the model in memory.
        Service("valuation", calls=("marketplace", "maintenance")),
        # Machines with title, custody and liens; listings.
        Service("marketplace", calls=("valuation", "settlement", "leasing")),
        # Orders through escrow, and demand pools.
        Service("procurement", calls=("marketplace", "settlement", "finance", "leasing")),
        # Facilities, draws against machines, factoring of instalments.
        Service(
            "finance",
            calls=("marketplace", "settlement", "valuation", "leasing", "maintenance"),
        ),
        # Quotes, leases, instalments, buyouts, defaults, returns, disposals.
        Service(
            "leasing",
            calls=("marketplace", "settlement", "finance", "valuation", "maintenance"),
        ),
        # Telemetry, meters and faults of machines; service plans and work orders. Its log says
        # where it serves fleets as pages of ISO 15143-3.
        Service(
            "maintenance",
            calls=("marketplace", "settlement", "remanufacturing"),
            settings={"fleet_listen": "127.0.0.1:0"},
        ),
        # Core returns, remanufacturing orders and their units; product passports.
        Service("remanufacturing", calls=("marketplace", "settlement")),
        # Turnover of fleets and lives of machines, from everybody's events; it calls nobody.
        Service("insights"),
    ),
)

if __name__ == "__main__":
    sys.exit(run(TOPOLOGY))
