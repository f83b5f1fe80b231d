-- The balances at the end of a range, so that nobody has to add up what lies before it. Range n of a partition is its
-- seqs from n * range_size on and before (n + 1) * range_size.
--
-- One line for every account that doesn't stand at 0.
CREATE TABLE ledger.closing (
    partition int NOT NULL,
    range int NOT NULL CHECK (range >= 0),
    account text COLLATE "C" NOT NULL,
    currency smallint NOT NULL,
    balance bigint NOT NULL CHECK (balance <> 0),
    PRIMARY KEY (partition, range, account, currency)
);

-- Which of it is written. A range is closed slice by slice, each holding the accounts of some hash codes, from the
-- highest number down: it is closed when slice 0 is there. `accounts` counts the slice's lines in closing, also where it
-- has none, and `balance` is their sum: those of all slices of a range add up to 0.
CREATE TABLE ledger.closed (
    partition int NOT NULL,
    range int NOT NULL CHECK (range >= 0),
    slice int NOT NULL CHECK (slice >= 0),
    accounts bigint NOT NULL,
    balance bigint NOT NULL,
    PRIMARY KEY (partition, range, slice)
);

DO $$
DECLARE
    written text;
BEGIN
    FOREACH written IN ARRAY ARRAY['closing', 'closed'] LOOP
        EXECUTE format('ALTER TABLE ledger.%I OWNER TO ledger_owner', written);
        EXECUTE format('REVOKE ALL ON ledger.%I FROM ledger_owner', written);
        EXECUTE format('GRANT SELECT, INSERT ON ledger.%I TO ledger_owner', written);
        EXECUTE format('GRANT SELECT ON ledger.%I TO authz, finance', written);
        EXECUTE format(
            'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.%I'
            ' FOR EACH ROW EXECUTE FUNCTION ledger_guard.refuse()', written);
        EXECUTE format(
            'CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON ledger.%I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION ledger_guard.refuse()', written);
        EXECUTE format(
            'ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER append_only, ENABLE ALWAYS TRIGGER append_only_truncate',
            written);
    END LOOP;
END
$$;
GRANT SELECT ON ledger.setting TO ledger_owner;

-- Write the next slice of the oldest full range of a partition that isn't closed, and return both numbers; NULLs where
-- all are closed. A slice is small enough for no transaction to grow old: with 1,000,000 accounts it is written in 1 s.
-- The application may call it at any time: what it writes follows from what is there, and is written once. Callers
-- take turns.
CREATE FUNCTION ledger.close_range(partition int, OUT range int, OUT slice int)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET work_mem = '64MB'
AS $$
DECLARE
    seqs_a_slice CONSTANT bigint := 62500;
    size CONSTANT bigint := (SELECT s.range_size FROM ledger.setting AS s);
    slices CONSTANT int := (size + seqs_a_slice - 1) / seqs_a_slice;
    begins bigint;
BEGIN
    PERFORM pg_advisory_xact_lock('ledger.closed'::regclass::oid::bigint << 32 | close_range.partition);

    SELECT
        CASE WHEN last.slice > 0 THEN last.range ELSE last.range + 1 END,
        CASE WHEN last.slice > 0 THEN last.slice ELSE slices END - 1
    INTO range, slice
    FROM (
        (SELECT c.range, c.slice FROM ledger.closed AS c WHERE c.partition = close_range.partition
        ORDER BY c.range DESC, c.slice LIMIT 1)
        UNION ALL
        SELECT -1, 0
        LIMIT 1
    ) AS last;
    begins := range * size;

    IF NOT EXISTS (
        SELECT FROM ledger.fence AS f WHERE f.partition = close_range.partition AND f.head >= begins + size - 1
    ) THEN
        range := NULL;
        slice := NULL;
        RETURN;
    END IF;

    WITH movement (account, currency, amount) AS (
        SELECT c.account, c.currency, c.balance FROM ledger.closing AS c
        WHERE c.partition = close_range.partition AND c.range = close_range.range - 1
        UNION ALL
        SELECT t.credit, t.currency, t.amount FROM ledger.transfer AS t
        WHERE t.partition = close_range.partition AND t.seq >= begins AND t.seq < begins + size
        UNION ALL
        SELECT t.debit, t.currency, -t.amount FROM ledger.transfer AS t
        WHERE t.partition = close_range.partition AND t.seq >= begins AND t.seq < begins + size
    ),
    written AS (
        INSERT INTO ledger.closing (partition, range, account, currency, balance)
        SELECT close_range.partition, close_range.range, m.account, m.currency, sum(m.amount)
        FROM movement AS m
        WHERE (hashtext(m.account) & 2147483647) % slices = close_range.slice
        GROUP BY m.account, m.currency
        HAVING sum(m.amount) <> 0
        ORDER BY m.account, m.currency
        RETURNING closing.balance
    )
    INSERT INTO ledger.closed (partition, range, slice, accounts, balance)
    SELECT close_range.partition, close_range.range, close_range.slice, count(*), coalesce(sum(w.balance), 0)
    FROM written AS w;
END
$$;
ALTER FUNCTION ledger.close_range OWNER TO ledger_owner;
REVOKE ALL ON FUNCTION ledger.close_range FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.close_range TO authz;

-- Credits less debits, by account: the last closing and the transfers after it. An account at 0 is shown as long as it
-- has moved since. OFFSET 0 keeps each partition's reads behind its own closing: older ranges aren't touched.
CREATE OR REPLACE VIEW ledger.balance AS
SELECT account, currency, sum(amount)::bigint AS balance
FROM ledger.fence AS f
CROSS JOIN LATERAL (
    SELECT coalesce(max(c.range), -1) AS range FROM ledger.closed AS c WHERE c.partition = f.partition AND c.slice = 0
) AS last
CROSS JOIN LATERAL (
    SELECT c.account, c.currency, c.balance AS amount FROM ledger.closing AS c
    WHERE c.partition = f.partition AND c.range = last.range
    UNION ALL
    SELECT t.credit, t.currency, t.amount FROM ledger.transfer AS t
    WHERE t.partition = f.partition AND t.seq >= (last.range + 1) * (SELECT s.range_size FROM ledger.setting AS s)
    UNION ALL
    SELECT t.debit, t.currency, -t.amount FROM ledger.transfer AS t
    WHERE t.partition = f.partition AND t.seq >= (last.range + 1) * (SELECT s.range_size FROM ledger.setting AS s)
    OFFSET 0
) AS movement
GROUP BY account, currency;
