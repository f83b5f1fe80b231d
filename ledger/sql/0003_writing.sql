-- The functions that write. Partition is the first argument and the first column of every key they touch, so that a
-- cluster that distributes by partition can run them unchanged. LF001: fenced, another writer has the partition.

-- Append records, all or none: ONE call. The first nine arrays have one element a record, in the order of their seqs;
-- a transfer or an identity says by `…_record` (1, 2, 3 …) which record it belongs to. Seqs can have no gap: they
-- are counted from the fence. With empty arrays only the beat moves.
-- An identity that exists surfaces as unique_violation.
CREATE FUNCTION ledger.append(
    partition int, epoch bigint, head bigint, hash bytea,
    at timestamptz[], kind text[], holder text[], request json[], reply json[], reason text[], "position" json[],
    identities bytea[], hashes bytea[],
    transfer_record int[], line smallint[], debit text[], credit text[], amount bigint[],
    identity_record int[], stamp bigint[], digest bytea[]
) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    records CONSTANT int := cardinality(append.hashes);
BEGIN
    -- The shorter of two arrays is filled up with nulls, which only these two columns would take; and a
    -- transfer or an identity must be a record's of this batch.
    IF cardinality(append.holder) <> records OR cardinality(append."position") <> records
        OR NOT (1 <= ALL (append.transfer_record) AND records >= ALL (append.transfer_record))
        OR NOT (1 <= ALL (append.identity_record) AND records >= ALL (append.identity_record))
    THEN
        RAISE EXCEPTION 'the arrays of a batch do not fit together' USING ERRCODE = 'array_subscript_error';
    END IF;

    UPDATE ledger.fence AS f
    SET head = f.head + records,
        hash = CASE WHEN records > 0 THEN append.hashes[records] ELSE f.hash END,
        beat = f.beat + 1
    WHERE f.partition = append.partition AND f.epoch = append.epoch
        AND f.head = append.head AND f.hash = append.hash;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'fenced: partition % is not at this epoch, head and hash', append.partition
            USING ERRCODE = 'LF001';
    END IF;

    IF records > 0 THEN
        INSERT INTO ledger.journal (
            partition, seq, epoch, at, kind, holder, request, reply, reason, "position", identities, hash)
        SELECT append.partition, append.head + r.n, append.epoch,
            r.at, r.kind, r.holder, r.request, r.reply, r.reason, r."position", r.identities, r.hash
        FROM unnest(
            append.at, append.kind, append.holder, append.request, append.reply, append.reason, append."position",
            append.identities, append.hashes
        ) WITH ORDINALITY AS r (at, kind, holder, request, reply, reason, "position", identities, hash, n);
    END IF;

    IF cardinality(append.transfer_record) > 0 THEN
        INSERT INTO ledger.transfer (partition, seq, line, debit, credit, amount)
        SELECT append.partition, append.head + t.record, t.line, t.debit, t.credit, t.amount
        FROM unnest(append.transfer_record, append.line, append.debit, append.credit, append.amount)
            AS t (record, line, debit, credit, amount);
    END IF;

    IF cardinality(append.identity_record) > 0 THEN
        INSERT INTO ledger.identity (partition, stamp, digest, seq)
        SELECT append.partition, i.stamp, i.digest, append.head + i.record
        FROM unnest(append.identity_record, append.stamp, append.digest) AS i (record, stamp, digest);
    END IF;
END
$$;

-- Begin a new epoch where epoch, head and beat are still as the taker saw them. Its commit comes after every
-- append that it can see, so what it returns is as durable as the take itself.
CREATE FUNCTION ledger.take(partition int, epoch bigint, head bigint, beat bigint) RETURNS ledger.fence
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '500ms'
AS $$
DECLARE
    taken ledger.fence;
BEGIN
    UPDATE ledger.fence AS f SET epoch = f.epoch + 1, beat = f.beat + 1
    WHERE f.partition = take.partition AND f.epoch = take.epoch AND f.head = take.head AND f.beat = take.beat
    RETURNING f.* INTO taken;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'fenced: partition % has moved since it was seen', take.partition USING ERRCODE = 'LF001';
    END IF;
    RETURN taken;
END
$$;

-- Begin a new epoch where one's own is still the newest: how a writer settles an append whose outcome it doesn't
-- know. Head and beat may have moved, for that append may be in.
CREATE FUNCTION ledger.retake(partition int, epoch bigint) RETURNS ledger.fence
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '500ms'
AS $$
DECLARE
    taken ledger.fence;
BEGIN
    UPDATE ledger.fence AS f SET epoch = f.epoch + 1, beat = f.beat + 1
    WHERE f.partition = retake.partition AND f.epoch = retake.epoch
    RETURNING f.* INTO taken;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'fenced: partition % has a newer epoch', retake.partition USING ERRCODE = 'LF001';
    END IF;
    RETURN taken;
END
$$;

-- Show that an idle writer lives.
CREATE FUNCTION ledger.beat(partition int, epoch bigint) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE ledger.fence AS f SET beat = f.beat + 1
    WHERE f.partition = beat.partition AND f.epoch = beat.epoch;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'fenced: partition % has a newer epoch', beat.partition USING ERRCODE = 'LF001';
    END IF;
END
$$;

DO $$
DECLARE
    writing text;
BEGIN
    FOR writing IN
        SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'ledger'::regnamespace
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO ledger_owner', writing);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', writing);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO authz', writing);
    END LOOP;
END
$$;
