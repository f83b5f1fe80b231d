-- What makes the ledger append-only for every role but a superuser who means it. The guards are the superuser's, in a
-- schema of their own: dropping schema ledger can't take them along. LF002: the ledger refuses.
CREATE SCHEMA ledger_guard;
GRANT USAGE ON SCHEMA ledger_guard TO PUBLIC;

-- Rows. The first line of defence is that no role has the right; this is the second.
CREATE FUNCTION ledger_guard.refuse() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'ledger.% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'LF002';
END
$$;

-- Row triggers on a partitioned table are cloned to its partitions, present and future; TRUNCATE triggers are not.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.journal
    FOR EACH ROW EXECUTE FUNCTION ledger_guard.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.transfer
    FOR EACH ROW EXECUTE FUNCTION ledger_guard.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.identity
    FOR EACH ROW EXECUTE FUNCTION ledger_guard.refuse();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON ledger.journal
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_guard.refuse();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON ledger.transfer
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_guard.refuse();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON ledger.identity
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_guard.refuse();

-- The fence only ever moves forward; its beat moves with every change. The condition is tested without a call.
CREATE TRIGGER forward_only BEFORE UPDATE ON ledger.fence
    FOR EACH ROW
    WHEN (NOT (
        new.partition = old.partition
        AND new.epoch >= old.epoch
        AND new.beat > old.beat
        AND (new.head > old.head OR (new.head = old.head AND new.hash = old.hash))
    ))
    EXECUTE FUNCTION ledger_guard.refuse();
CREATE TRIGGER forward_only_delete BEFORE DELETE ON ledger.fence
    FOR EACH ROW EXECUTE FUNCTION ledger_guard.refuse();
CREATE TRIGGER forward_only_truncate BEFORE TRUNCATE ON ledger.fence
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_guard.refuse();

-- ALWAYS: they fire for a replica's session too.
ALTER TABLE ledger.journal ENABLE ALWAYS TRIGGER append_only, ENABLE ALWAYS TRIGGER append_only_truncate;
ALTER TABLE ledger.transfer ENABLE ALWAYS TRIGGER append_only, ENABLE ALWAYS TRIGGER append_only_truncate;
ALTER TABLE ledger.identity ENABLE ALWAYS TRIGGER append_only, ENABLE ALWAYS TRIGGER append_only_truncate;
ALTER TABLE ledger.fence ENABLE ALWAYS TRIGGER forward_only, ENABLE ALWAYS TRIGGER forward_only_delete,
    ENABLE ALWAYS TRIGGER forward_only_truncate;

-- Definitions. The catalog's entries about the ledger are digested and the digest is kept: the seal. After every
-- DDL command of anyone the catalog must still have it. No command has to be recognised, so none can be forgotten:
-- what changes nothing of the ledger passes, whatever else is refused and rolled back.
CREATE TABLE ledger_guard.seal (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    digest bytea NOT NULL
);
GRANT SELECT ON ledger_guard.seal TO PUBLIC;

-- All that a definition of the ledger, or a guard of it, consists of, as texts without object ids: a rebuilt index
-- and a restored dump are the same definition.
CREATE FUNCTION ledger_guard.definition() RETURNS bytea
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
WITH
schemas AS (SELECT * FROM pg_namespace WHERE nspname IN ('ledger', 'ledger_guard')),
relations AS (SELECT * FROM pg_class WHERE relnamespace IN (SELECT oid FROM schemas)),
functions AS (SELECT * FROM pg_proc WHERE pronamespace IN (SELECT oid FROM schemas)),
triggers AS (SELECT * FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relations)),
rules AS (SELECT * FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM relations)),
policies AS (SELECT * FROM pg_policy WHERE polrelid IN (SELECT oid FROM relations)),
constraints AS (
    SELECT * FROM pg_constraint
    WHERE conrelid IN (SELECT oid FROM relations) OR confrelid IN (SELECT oid FROM relations)
),
facts (kind, fact) AS (
    SELECT 'schema', ROW (nspname, nspowner::regrole, nspacl)::text FROM schemas
    UNION ALL
    SELECT 'relation', ROW (
        oid::regclass, relkind, relowner::regrole, relacl, relpersistence, reloptions, relrowsecurity,
        relforcerowsecurity, relreplident, relispartition, reltablespace, pg_get_expr(relpartbound, oid)
    )::text FROM relations
    UNION ALL
    SELECT 'column', ROW (
        a.attrelid::regclass, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation,
        a.attnotnull, a.attacl, a.attoptions, a.attstorage, a.attcompression, a.attgenerated, a.attidentity,
        a.attisdropped, pg_get_expr(d.adbin, d.adrelid)
    )::text
    FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid IN (SELECT oid FROM relations) AND a.attnum > 0
    UNION ALL
    SELECT 'index', ROW (
        pg_get_indexdef(indexrelid), indisunique, indisprimary, indimmediate, indisreplident
    )::text FROM pg_index WHERE indrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'inheritance', ROW (inhrelid::regclass, inhparent::regclass, inhdetachpending)::text
    FROM pg_inherits
    WHERE inhparent IN (SELECT oid FROM relations) OR inhrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT 'constraint', ROW (
        conrelid::regclass, confrelid::regclass, conname, convalidated, connoinherit, pg_get_constraintdef(oid)
    )::text FROM constraints
    UNION ALL
    SELECT 'trigger', ROW (
        tgrelid::regclass, tgenabled, tgisinternal, tgparentid <> 0, pg_get_triggerdef(oid)
    )::text FROM triggers
    UNION ALL
    SELECT 'rule', ROW (ev_class::regclass, ev_enabled, pg_get_ruledef(oid))::text FROM rules
    UNION ALL
    SELECT 'policy', ROW (
        polrelid::regclass, polname, polcmd, polpermissive, polroles::regrole[],
        pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)
    )::text FROM policies
    UNION ALL
    SELECT 'function', ROW (
        oid::regprocedure, prorettype::regtype, proowner::regrole, proacl, prokind, prolang, prosecdef, provolatile,
        proconfig, prosrc, probin, pg_get_expr(proargdefaults, 0)
    )::text FROM functions
    UNION ALL
    SELECT 'type', ROW (oid::regtype, typtype, typowner::regrole, typacl)::text
    FROM pg_type WHERE typnamespace IN (SELECT oid FROM schemas)
    UNION ALL
    SELECT 'default privilege', ROW (defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl)::text
    FROM pg_default_acl
    WHERE defaclnamespace IN (SELECT oid FROM schemas) OR defaclrole = 'ledger_owner'::regrole
    UNION ALL
    SELECT 'comment', ROW (pg_describe_object(classoid, objoid, objsubid), label)::text
    FROM (
        SELECT classoid, objoid, objsubid, description AS label FROM pg_description
        UNION ALL
        SELECT classoid, objoid, objsubid, provider || ' ' || label FROM pg_seclabel
    ) AS said
    WHERE (classoid, objoid) IN (
        SELECT 'pg_namespace'::regclass, oid FROM schemas
        UNION ALL SELECT 'pg_class'::regclass, oid FROM relations
        UNION ALL SELECT 'pg_proc'::regclass, oid FROM functions
        UNION ALL SELECT 'pg_trigger'::regclass, oid FROM triggers
        UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM rules
        UNION ALL SELECT 'pg_policy'::regclass, oid FROM policies
        UNION ALL SELECT 'pg_constraint'::regclass, oid FROM constraints
    )
)
SELECT sha256(convert_to(string_agg(kind || ' ' || fact, E'\n' ORDER BY kind COLLATE "C", fact COLLATE "C"), 'UTF8'))
FROM facts
$$;

-- Keep the digest of the definition as it is now. Only a superuser can.
CREATE FUNCTION ledger_guard.reseal() RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
INSERT INTO ledger_guard.seal (digest) VALUES (ledger_guard.definition())
ON CONFLICT (only_row) DO UPDATE SET digest = excluded.digest
$$;
REVOKE ALL ON FUNCTION ledger_guard.reseal() FROM PUBLIC;

-- `ledger.ddl` says which sanctioned function or migration is at work, and counts for a superuser only: anyone can
-- set it, and gains nothing. Runs, as what calls it does, with the rights of whoever issued the command.
CREATE FUNCTION ledger_guard.sanctioned() RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT coalesce(current_setting('ledger.ddl', true), '') <> ''
    AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
$$;

CREATE FUNCTION ledger_guard.hold_definition() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT ledger_guard.sanctioned()
        AND (SELECT digest FROM ledger_guard.seal) IS DISTINCT FROM ledger_guard.definition()
    THEN
        RAISE EXCEPTION 'the definition of the ledger is sealed: % refused', TG_TAG
            USING ERRCODE = 'LF002', HINT = 'After a restore or an upgrade, create the schema again: that seals it anew.';
    END IF;
END
$$;
CREATE EVENT TRIGGER ledger_definition ON ddl_command_end EXECUTE FUNCTION ledger_guard.hold_definition();
ALTER EVENT TRIGGER ledger_definition ENABLE ALWAYS;

-- What is done in several transactions can't be rolled back when it is over: it is refused before it begins, to those
-- who have the owner's rights. It can't run in a function, so the word stands in the query itself.
CREATE FUNCTION ledger_guard.refuse_concurrently() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_query() ~* 'concurrently' AND pg_has_role(current_user, 'ledger_owner', 'USAGE')
        AND NOT ledger_guard.sanctioned()
    THEN
        RAISE EXCEPTION 'the definition of the ledger is sealed: % CONCURRENTLY refused', TG_TAG
            USING ERRCODE = 'LF002', HINT = 'A superuser who means another table can set ledger.ddl.';
    END IF;
END
$$;
CREATE EVENT TRIGGER ledger_concurrently ON ddl_command_start WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX', 'DROP INDEX')
    EXECUTE FUNCTION ledger_guard.refuse_concurrently();
ALTER EVENT TRIGGER ledger_concurrently ENABLE ALWAYS;
