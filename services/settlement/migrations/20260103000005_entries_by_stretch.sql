-- migrate:up

-- Statements and past balances find an account's transfers by stretch of the ledger (262,144
-- numbers), then account, then number. New transfers of whatever account fall into the last
-- stretch, so the pages that inserts touch stay few and in memory however long the ledger grows;
-- by account alone they were spread over all of the index, two pages of it a transfer.
-- PostgreSQL cannot drop or create the indexes of a partitioned table concurrently.
-- squawk-ignore require-concurrent-index-deletion
drop index transfer_debit;
-- squawk-ignore require-concurrent-index-deletion
drop index transfer_credit;
-- squawk-ignore require-concurrent-index-creation
create index transfer_debit on transfer ((number >> 18), debit_account, number);
-- squawk-ignore require-concurrent-index-creation
create index transfer_credit on transfer ((number >> 18), credit_account, number);

-- migrate:down
