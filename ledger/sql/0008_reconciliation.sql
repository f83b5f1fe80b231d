-- Finance's own schema: what acquirers and the bank say, what of it agrees with the ledger, and what doesn't. Append-only
-- by the same guards, and inside the seal. Nothing refers to anything by a constraint: to test one, PostgreSQL asks the
-- owner for a right to update, which nobody has.
DO $$
BEGIN
    BEGIN
        -- Reads the ledger, and adds to this schema. What it does is cut into short transactions, as finance's is.
        CREATE ROLE reconciler LOGIN;
        ALTER ROLE reconciler SET transaction_timeout = '5s';
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;

    IF EXISTS (
        SELECT FROM pg_roles
        WHERE rolname = 'reconciler' AND (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls)
    ) THEN
        RAISE EXCEPTION 'a role reconciler exists with more rights than the ledger can allow it'
            USING HINT = 'It may not be superuser, create roles or replicate.';
    END IF;
END
$$;

CREATE SCHEMA reconciliation;
GRANT USAGE ON SCHEMA reconciliation TO ledger_owner, finance, reconciler;

-- A file that was taken in, once: its hash is its name. `source` is an acquirer's id, or an account's IBAN; `day` the
-- business day that it closes, or the last booking day of a statement. `totals` are its own control totals.
CREATE TABLE reconciliation.file (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256 bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    kind text NOT NULL CHECK (kind IN ('clearing', 'statement')),
    format text NOT NULL,
    name text NOT NULL,
    source text COLLATE "C" NOT NULL,
    day date NOT NULL,
    lines int NOT NULL CHECK (lines >= 0),
    quarantined int NOT NULL CHECK (quarantined >= 0),
    totals json NOT NULL,
    imported_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A line of a clearing file. `cents` is what the acquirer asks to be paid by it: below 0 it gives back. `payments` is how
-- many payments it stands for. Fields that the file doesn't have are NULL. No line bears more of a card than `card`.
CREATE TABLE reconciliation.clearing_line (
    file bigint NOT NULL,
    line int NOT NULL CHECK (line > 0),
    acquirer text COLLATE "C" NOT NULL,
    day date NOT NULL,
    kind text NOT NULL,
    class text COLLATE "C",
    merchant text COLLATE "C" NOT NULL,
    terminal text COLLATE "C",
    trace text COLLATE "C",
    transmitted text COLLATE "C",
    local timestamp,
    retrieval text COLLATE "C",
    approval text COLLATE "C",
    card text,
    product text,
    cents bigint NOT NULL CHECK (cents <> 0),
    payments int NOT NULL DEFAULT 1 CHECK (payments > 0),
    original text COLLATE "C",
    PRIMARY KEY (file, line)
);
-- Whether a line repeats another; and whether a merchant's, or a terminal's, lines were ever matched.
CREATE INDEX clearing_line_name ON reconciliation.clearing_line (acquirer, merchant, coalesce(trace, retrieval, ''));
CREATE INDEX clearing_line_terminal ON reconciliation.clearing_line (acquirer, rtrim(terminal), day);

-- A line that isn't what its format says, and why. The line itself isn't kept: it may hold anything.
CREATE TABLE reconciliation.quarantined (
    file bigint NOT NULL,
    line int NOT NULL CHECK (line > 0),
    reason text NOT NULL,
    PRIMARY KEY (file, line)
);

-- What a bank says an account stood at, at the end of a booking day.
CREATE TABLE reconciliation.bank_balance (
    file bigint NOT NULL,
    account text COLLATE "C" NOT NULL,
    day date NOT NULL,
    opening bigint NOT NULL,
    closing bigint NOT NULL,
    PRIMARY KEY (file, account, day)
);

-- A movement on an account. `cents` above 0 came in. `end_to_end` is what the payer, or our payment file, named it.
CREATE TABLE reconciliation.bank_entry (
    file bigint NOT NULL,
    entry int NOT NULL CHECK (entry > 0),
    account text COLLATE "C" NOT NULL,
    booked date NOT NULL,
    valued date NOT NULL,
    cents bigint NOT NULL CHECK (cents <> 0),
    reference text COLLATE "C",
    end_to_end text COLLATE "C",
    counterparty text,
    purpose text,
    PRIMARY KEY (file, entry)
);
CREATE INDEX bank_entry_day ON reconciliation.bank_entry (account, booked);

-- One reconciliation of one business day. `key` is the hash of all that it was made from: the same again is this one.
-- `heads` and `inputs` say what that was, `summary` what came out; none of them bears a time of day.
CREATE TABLE reconciliation.run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key bytea NOT NULL UNIQUE CHECK (octet_length(key) = 32),
    day date NOT NULL,
    heads json NOT NULL,
    inputs json NOT NULL,
    summary json NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX run_day ON reconciliation.run (day, id);

-- What was found to be the same: some movements of the ledger, and some lines or entries, all of one `number` of a run.
-- A movement is one record's effect on an acquirer's account; both sides of a match add up to the same, but for what its
-- `stage` tolerates.
CREATE TABLE reconciliation.matched_movement (
    partition int NOT NULL,
    seq bigint NOT NULL,
    run bigint NOT NULL,
    number int NOT NULL CHECK (number > 0),
    stage text COLLATE "C" NOT NULL,
    PRIMARY KEY (partition, seq)
);
-- Adjustments and clients' payments among them, which are looked for by their stage.
CREATE INDEX matched_movement_stage ON reconciliation.matched_movement (stage, run) WHERE stage <> 'exact';
CREATE TABLE reconciliation.matched_line (
    file bigint NOT NULL,
    line int NOT NULL,
    run bigint NOT NULL,
    number int NOT NULL CHECK (number > 0),
    stage text COLLATE "C" NOT NULL,
    PRIMARY KEY (file, line)
);
-- Runs follow one another in it: a range of its pages has lines of one run or two.
CREATE INDEX matched_line_run ON reconciliation.matched_line USING brin (run) WITH (autosummarize = on);
CREATE TABLE reconciliation.matched_entry (
    file bigint NOT NULL,
    entry int NOT NULL,
    run bigint NOT NULL,
    number int NOT NULL CHECK (number > 0),
    stage text COLLATE "C" NOT NULL,
    PRIMARY KEY (file, entry)
);
CREATE INDEX matched_entry_run ON reconciliation.matched_entry (run, number);

-- All that didn't agree when a run was published: each run lists every break that is open then, with the day on which
-- it was first seen. What it is about is named by the record, the line, the entry: whichever there is.
CREATE TABLE reconciliation.break (
    run bigint NOT NULL,
    number int NOT NULL CHECK (number > 0),
    cause text NOT NULL,
    since date NOT NULL,
    source text COLLATE "C" NOT NULL,
    merchant text COLLATE "C",
    terminal text COLLATE "C",
    expected bigint,
    found bigint,
    partition int,
    seq bigint,
    file bigint,
    line int,
    entry int,
    detail text NOT NULL,
    PRIMARY KEY (run, number)
);

-- What else was open when a run was published: it may still come, or a line's break stands for it. The next run reads
-- it again, a record or a line.
CREATE TABLE reconciliation.waiting (
    run bigint NOT NULL,
    partition int,
    seq bigint,
    file bigint,
    line int,
    CHECK (num_nonnulls(partition, seq) + num_nonnulls(file, line) = 2 AND (partition IS NULL) = (seq IS NULL))
);
CREATE INDEX waiting_run ON reconciliation.waiting (run);

-- A payment file that was made, and the payments in it: what the bank will say by `end_to_end`.
CREATE TABLE reconciliation.payment_file (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key bytea NOT NULL UNIQUE CHECK (octet_length(key) = 32),
    day date NOT NULL,
    message text NOT NULL UNIQUE,
    content bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE reconciliation.payout (
    payment_file bigint NOT NULL,
    end_to_end text COLLATE "C" PRIMARY KEY,
    acquirer text COLLATE "C" NOT NULL,
    day date NOT NULL,
    gross bigint NOT NULL,
    fee bigint NOT NULL,
    net bigint NOT NULL CHECK (net > 0 AND net = gross - fee)
);

DO $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY ARRAY[
        'file', 'clearing_line', 'quarantined', 'bank_balance', 'bank_entry', 'run', 'matched_movement', 'matched_line',
         'matched_entry', 'break', 'waiting', 'payment_file', 'payout'
    ] LOOP
        EXECUTE format('ALTER TABLE reconciliation.%I OWNER TO ledger_owner', one);
        EXECUTE format('REVOKE ALL ON reconciliation.%I FROM ledger_owner', one);
        EXECUTE format('GRANT SELECT ON reconciliation.%I TO ledger_owner, finance, reconciler', one);
        EXECUTE format('GRANT INSERT ON reconciliation.%I TO reconciler', one);
        EXECUTE format(
            'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reconciliation.%I'
            ' FOR EACH ROW EXECUTE FUNCTION ledger_guard.refuse()', one);
        EXECUTE format(
            'CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON reconciliation.%I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION ledger_guard.refuse()', one);
        EXECUTE format(
            'ALTER TABLE reconciliation.%I ENABLE ALWAYS TRIGGER append_only,'
            ' ENABLE ALWAYS TRIGGER append_only_truncate', one);
    END LOOP;
END
$$;

-- What the reconciler reads of the ledger.
GRANT USAGE ON SCHEMA ledger, ledger_archive, ledger_guard TO reconciler;
GRANT SELECT ON ledger.fence, ledger.journal, ledger.transfer, ledger.identity, ledger.closing, ledger.closed,
    ledger.balance, ledger.setting, ledger.migration, ledger.whole_journal, ledger.whole_transfer TO reconciler;
GRANT SELECT ON ledger_archive.journal, ledger_archive.transfer TO reconciler;

DO $$
DECLARE
    sealed CONSTANT text := $text$nspname IN ('ledger', 'ledger_archive', 'ledger_guard')$text$;
    wider CONSTANT text := $text$nspname IN ('ledger', 'ledger_archive', 'ledger_guard', 'reconciliation')$text$;
    before CONSTANT text := pg_get_functiondef('ledger_guard.definition()'::regprocedure);
    after CONSTANT text := replace(before, sealed, wider);
BEGIN
    ASSERT before <> after, 'ledger_guard.definition() isn''t what it was made as';
    EXECUTE after;
END
$$;

-- As before, but that temporary tables of whoever has none of the owner's rights pass at once: the definition of the
-- ledger can't have changed by them, and to digest it takes as long as a day's matching does.
CREATE OR REPLACE FUNCTION ledger_guard.hold_definition() RETURNS event_trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT pg_has_role(current_user, 'ledger_owner', 'USAGE')
        AND (SELECT bool_and(schema_name = 'pg_temp') FROM pg_event_trigger_ddl_commands())
    THEN
        RETURN;
    END IF;
    IF NOT ledger_guard.sanctioned()
        AND (SELECT digest FROM ledger_guard.seal) IS DISTINCT FROM ledger_guard.definition()
    THEN
        RAISE EXCEPTION 'the definition of the ledger is sealed: % refused', TG_TAG
            USING ERRCODE = 'LF002', HINT = 'After a restore or an upgrade, create the schema again: that seals it anew.';
    END IF;
END
$$;
