-- Keep at least two empty ranges ahead of the newest record of any partition, and say how many there are.
-- The only way to a new table of a range. The application may call it: it takes no argument, makes nothing but what
-- the ledger needs next, and called again makes nothing.
--
-- LIKE and ATTACH instead of CREATE … PARTITION OF: that would wait for every reader of the parent, and hold up every
-- append behind it. The row of `setting` is locked so that two callers take turns.
CREATE FUNCTION ledger.add_range() RETURNS int
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
    SELECT count(*) INTO coming FROM pg_inherits WHERE inhparent = 'ledger.journal'::regclass;
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
REVOKE ALL ON FUNCTION ledger.add_range() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.add_range() TO authz;
