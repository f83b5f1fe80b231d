-- Where old ranges go: tables of the same shape, in the same database, under the same guards, in which nothing is
-- written any more. `ledger archive` moves a range here, whole and in one transaction.
CREATE SCHEMA ledger_archive;
GRANT USAGE ON SCHEMA ledger_archive TO ledger_owner, authz, finance;

CREATE TABLE ledger_archive.journal (LIKE ledger.journal INCLUDING ALL) PARTITION BY RANGE (seq);
CREATE TABLE ledger_archive.transfer (LIKE ledger.transfer INCLUDING ALL) PARTITION BY RANGE (seq);

ALTER TABLE ledger_archive.journal OWNER TO ledger_owner;
ALTER TABLE ledger_archive.transfer OWNER TO ledger_owner;
REVOKE ALL ON ledger_archive.journal, ledger_archive.transfer FROM ledger_owner;
GRANT SELECT ON ledger_archive.journal, ledger_archive.transfer TO ledger_owner, authz, finance;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_archive.journal
    FOR EACH ROW EXECUTE FUNCTION ledger_guard.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_archive.transfer
    FOR EACH ROW EXECUTE FUNCTION ledger_guard.refuse();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON ledger_archive.journal
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_guard.refuse();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON ledger_archive.transfer
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_guard.refuse();
ALTER TABLE ledger_archive.journal ENABLE ALWAYS TRIGGER append_only, ENABLE ALWAYS TRIGGER append_only_truncate;
ALTER TABLE ledger_archive.transfer ENABLE ALWAYS TRIGGER append_only, ENABLE ALWAYS TRIGGER append_only_truncate;

-- Every record and every transfer there ever was, by key. Asked for some seqs, they read the ranges of those only.
CREATE VIEW ledger.whole_journal AS
SELECT * FROM ledger.journal
UNION ALL
SELECT * FROM ledger_archive.journal;

CREATE VIEW ledger.whole_transfer AS
SELECT * FROM ledger.transfer
UNION ALL
SELECT * FROM ledger_archive.transfer;

ALTER VIEW ledger.whole_journal OWNER TO ledger_owner;
ALTER VIEW ledger.whole_transfer OWNER TO ledger_owner;
GRANT SELECT ON ledger.whole_journal, ledger.whole_transfer TO authz, finance;

-- The seal covers the archive as it covers the ledger.
DO $$
DECLARE
    sealed CONSTANT text := $text$nspname IN ('ledger', 'ledger_guard')$text$;
    before CONSTANT text := pg_get_functiondef('ledger_guard.definition()'::regprocedure);
    after CONSTANT text := replace(before, sealed, $text$nspname IN ('ledger', 'ledger_archive', 'ledger_guard')$text$);
BEGIN
    ASSERT before <> after, 'ledger_guard.definition() isn''t what it was made as';
    EXECUTE after;
END
$$;

CREATE OR REPLACE FUNCTION ledger_guard.refuse() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP USING ERRCODE = 'LF002';
END
$$;

-- As before, but that the next range follows the newest one by its number: the oldest may have left.
CREATE OR REPLACE FUNCTION ledger.add_range() RETURNS int
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '1s'
SET ledger.ddl = 'add_range'
AS $$
DECLARE
    ahead CONSTANT int := 2;
    size CONSTANT bigint := (SELECT range_size FROM ledger.setting FOR UPDATE);
    filling CONSTANT bigint := (SELECT coalesce(max(head), 0) FROM ledger.fence) / size;
    coming bigint;
    parent text;
    range text;
BEGIN
    SELECT coalesce(max(substring(inhrelid::regclass::text FROM '\d+$')::bigint) + 1, 0) INTO coming
    FROM pg_inherits WHERE inhparent = 'ledger.journal'::regclass;
    IF coming > filling + ahead THEN
        RETURN coming - 1 - filling;
    END IF;

    WHILE coming <= filling + ahead LOOP
        FOREACH parent IN ARRAY ARRAY['journal', 'transfer'] LOOP
            range := format('%s_%s', parent, lpad(coming::text, 6, '0'));
            EXECUTE format('CREATE TABLE ledger.%I (LIKE ledger.%I INCLUDING ALL)', range, parent);
            EXECUTE format('ALTER TABLE ledger.%I OWNER TO ledger_owner', range);
            EXECUTE format('REVOKE ALL ON ledger.%I FROM ledger_owner, PUBLIC', range);
            EXECUTE format('GRANT SELECT, INSERT ON ledger.%I TO ledger_owner', range);
            EXECUTE format(
                'CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON ledger.%I'
                ' FOR EACH STATEMENT EXECUTE FUNCTION ledger_guard.refuse()', range);
            EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER append_only_truncate', range);
            EXECUTE format(
                'ALTER TABLE ledger.%I ATTACH PARTITION ledger.%I FOR VALUES FROM (%s) TO (%s)',
                parent, range, coming * size, (coming + 1) * size);
        END LOOP;
        coming := coming + 1;
    END LOOP;
    PERFORM ledger_guard.reseal();
    RETURN coming - 1 - filling;
END
$$;
