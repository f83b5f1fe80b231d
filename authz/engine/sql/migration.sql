-- Schema authz, and which of its files were applied: as ledger.migration, for the tables and views beside the ledger.
CREATE SCHEMA IF NOT EXISTS authz;
GRANT USAGE ON SCHEMA authz TO authz, finance;

CREATE TABLE IF NOT EXISTS authz.migration (
    number      int PRIMARY KEY,
    name        text NOT NULL,
    program_min int CHECK (program_min <= number)
);
GRANT SELECT ON authz.migration TO authz, finance;
