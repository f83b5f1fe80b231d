-- The queries of ledger.postgres, each named. Partition is always the first argument.

-- name: version
-- The newest numbered file that was applied.
SELECT max(number) FROM ledger.migration

-- name: partitions
SELECT partition FROM ledger.fence ORDER BY partition

-- name: fence
SELECT epoch, head, hash, beat FROM ledger.fence WHERE partition = $1

-- name: hold_epoch
-- A writer's session holds its epoch's lock in shared mode, so that two candidates for one epoch don't hinder each
-- other. It is let go with the session.
SELECT pg_advisory_lock_shared($1, $2)

-- name: epoch_is_free
-- What nobody holds can be locked exclusively, for the instant that this statement takes.
SELECT pg_try_advisory_xact_lock($1, $2)

-- name: take
SELECT epoch, head, hash, beat FROM ledger.take($1, $2, $3, $4)

-- name: retake
SELECT epoch, head, hash, beat FROM ledger.retake($1, $2)

-- name: beat
SELECT ledger.beat($1, $2)

-- name: append
SELECT ledger.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)

-- name: end_blockers
-- End the sessions of this role that a session waits for. Those that wait themselves are in front of it, not in its way.
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE pid = ANY (pg_blocking_pids($1)) AND usename = current_user AND wait_event_type IS DISTINCT FROM 'Lock'

-- name: hash_at
SELECT hash FROM ledger.journal WHERE partition = $1 AND seq = $2

-- name: instant_of
SELECT at FROM ledger.journal WHERE partition = $1 AND seq = $2

-- name: newest
-- LIMIT 1 for each holder: an index read that stops in the newest range that has a line of theirs.
SELECT asked.holder, line.seq, line."position"
FROM unnest($2::text[]) AS asked (holder)
CROSS JOIN LATERAL (
    SELECT j.seq, j."position" FROM ledger.journal AS j
    WHERE j.partition = $1 AND j.holder = asked.holder COLLATE "C"
    ORDER BY j.seq DESC
    LIMIT 1
) AS line

-- name: history
-- A passbook, newest line first: an index read that goes from the newest range to older ones only as far as it must.
SELECT seq, "position" FROM ledger.journal
WHERE partition = $1 AND holder = $2
ORDER BY seq DESC
LIMIT $3

-- name: find
-- LATERAL and LIMIT 1 keep both steps reads by key, whatever the planner knows of a range that has just begun.
SELECT asked.stamp, asked.digest, answer.seq, answer.request, answer.reply
FROM unnest($2::bigint[], $3::bytea[]) AS asked (stamp, digest)
CROSS JOIN LATERAL (
    SELECT i.seq FROM ledger.identity AS i
    WHERE i.partition = $1 AND i.stamp = asked.stamp AND i.digest = asked.digest
    LIMIT 1
) AS named
CROSS JOIN LATERAL (
    SELECT j.seq, j.request, j.reply FROM ledger.journal AS j
    WHERE j.partition = $1 AND j.seq = named.seq
    LIMIT 1
) AS answer

-- name: turnover
-- One window of seqs. A record may have several transfers of the account, and both debit and credit it. LATERAL and
-- LIMIT 1 keep the journal read by key, whatever the planner knows of a range that has just begun.
SELECT
    record.kind,
    count(moved.credited) AS credits,
    coalesce(sum(moved.credited), 0)::bigint AS credited,
    count(moved.debited) AS debits,
    coalesce(sum(moved.debited), 0)::bigint AS debited
FROM (
    SELECT
        t.seq,
        sum(t.amount) FILTER (WHERE t.credit = $2) AS credited,
        sum(t.amount) FILTER (WHERE t.debit = $2) AS debited
    FROM ledger.transfer AS t
    WHERE t.partition = $1 AND t.seq > $3 AND t.seq <= $4 AND (t.credit = $2 OR t.debit = $2)
    GROUP BY t.seq
) AS moved
CROSS JOIN LATERAL (
    SELECT j.kind FROM ledger.journal AS j WHERE j.partition = $1 AND j.seq = moved.seq LIMIT 1
) AS record
GROUP BY record.kind

-- name: holders_of
SELECT holder FROM ledger.journal
WHERE partition = $1 AND kind = ANY ($2) AND seq > $3 AND seq <= $4 AND holder IS NOT NULL
GROUP BY holder
ORDER BY min(seq)

-- name: add_range
SELECT ledger.add_range()
