-- The schema is the superuser's, so that not even the tables' owner can create anything in it.
CREATE SCHEMA ledger;
GRANT USAGE ON SCHEMA ledger TO ledger_owner, authz, finance;

-- Which numbered files were applied.
CREATE TABLE ledger.migration (
    number int PRIMARY KEY,
    name text NOT NULL
);

-- One row: what was fixed when this ledger was created. `range_size` is how many seqs a table of a range holds.
CREATE TABLE ledger.setting (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    range_size bigint NOT NULL CHECK (range_size > 0)
);

-- Who writes each partition, and how far they have come: the only rows that are ever updated.
CREATE TABLE ledger.fence (
    partition int PRIMARY KEY CHECK (partition >= 0),
    epoch bigint NOT NULL DEFAULT 0,
    head bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(hash) = 32),
    beat bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- One record for every decision. `json`, not jsonb: it keeps a text exactly as it was written, and the hash covers
-- that text. `identities` repeats the record's keys (24 bytes each: big-endian stamp, digest), so that table identity
-- can be held against what was hashed. By ranges of seq, (partition, seq) stays a true primary key.
CREATE TABLE ledger.journal (
    partition int NOT NULL,
    seq bigint NOT NULL,
    epoch bigint NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    holder text COLLATE "C",
    request json NOT NULL,
    reply json NOT NULL,
    reason text NOT NULL,
    position json,
    identities bytea NOT NULL CHECK (octet_length(identities) % 24 = 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (partition, seq),
    CHECK ((holder IS NULL) = (position IS NULL))
) PARTITION BY RANGE (seq);

-- The passbook: a holder's newest line is its first entry here.
CREATE INDEX journal_passbook ON ledger.journal (partition, holder, seq DESC) WHERE holder IS NOT NULL;

-- Money that a record moves: `amount` cents leave `debit` and reach `credit`.
CREATE TABLE ledger.transfer (
    partition int NOT NULL,
    seq bigint NOT NULL,
    line smallint NOT NULL,
    debit text COLLATE "C" NOT NULL,
    credit text COLLATE "C" NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency smallint NOT NULL DEFAULT 978,
    PRIMARY KEY (partition, seq, line),
    CHECK (debit <> credit)
) PARTITION BY RANGE (seq);

-- The judge of exactly-once. Time first keeps the index hot. Never range-partitioned: a key is unique for all time.
CREATE TABLE ledger.identity (
    partition int NOT NULL,
    stamp bigint NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 16),
    seq bigint NOT NULL,
    PRIMARY KEY (partition, stamp, digest)
);

-- Credits less debits, by account. Sums to 0 by construction: every transfer counts once on either side.
CREATE VIEW ledger.balance AS
SELECT account, currency, sum(amount)::bigint AS balance
FROM (
    SELECT credit AS account, currency, amount FROM ledger.transfer
    UNION ALL
    SELECT debit, currency, -amount FROM ledger.transfer
) AS movement
GROUP BY account, currency;

ALTER TABLE ledger.fence OWNER TO ledger_owner;
ALTER TABLE ledger.journal OWNER TO ledger_owner;
ALTER TABLE ledger.transfer OWNER TO ledger_owner;
ALTER TABLE ledger.identity OWNER TO ledger_owner;
ALTER VIEW ledger.balance OWNER TO ledger_owner;

-- An owner has every right until it is taken away.
REVOKE ALL ON ledger.fence, ledger.journal, ledger.transfer, ledger.identity FROM ledger_owner;
GRANT SELECT, UPDATE ON ledger.fence TO ledger_owner;
GRANT SELECT, INSERT ON ledger.journal, ledger.transfer, ledger.identity TO ledger_owner;
GRANT SELECT ON ledger.fence, ledger.journal, ledger.transfer, ledger.identity, ledger.balance, ledger.setting,
    ledger.migration TO authz, finance;
