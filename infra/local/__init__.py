"""The whole stack on one machine, with real PostgreSQL and real Kafka, and no account."""
