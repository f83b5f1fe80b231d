-- Roles belong to the cluster while ledgers are databases of it: another ledger may have made them already,
-- or may be making them at this moment.
DO $$
BEGIN
    BEGIN
        -- Owns the tables and the functions that write them. Nobody is a member of it and nobody can log in as it.
        CREATE ROLE ledger_owner NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
        -- What the authorizer connects as.
        CREATE ROLE authz LOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
        -- Reads. A long snapshot keeps the fence's dead versions and makes every append slower, hence the limit.
        CREATE ROLE finance LOGIN;
        ALTER ROLE finance SET transaction_timeout = '5s';
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;

    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname IN ('ledger_owner', 'authz', 'finance')
          AND (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls
               OR (rolname = 'ledger_owner' AND rolcanlogin))
    ) OR EXISTS (
        SELECT FROM pg_auth_members WHERE roleid = 'ledger_owner'::regrole OR member = 'ledger_owner'::regrole
    ) THEN
        RAISE EXCEPTION 'a role ledger_owner, authz or finance exists with more rights than the ledger can allow it'
            USING HINT = 'None may be superuser, create roles or replicate; ledger_owner must not log in, have members or be one.';
    END IF;
END
$$;
