-- The queries of ledger.postgres, each named. Partition is always the first argument.

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
SELECT hash FROM ledger.whole_journal WHERE partition = $1 AND seq = $2

-- name: instant_of
SELECT at FROM ledger.whole_journal WHERE partition = $1 AND seq = $2

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
-- A passbook, newest line first: index reads that are merged, none of which goes further than it must.
SELECT seq, "position" FROM ledger.whole_journal
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
    SELECT j.seq, j.request, j.reply FROM ledger.whole_journal AS j
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
    FROM ledger.whole_transfer AS t
    WHERE t.partition = $1 AND t.seq > $3 AND t.seq <= $4 AND (t.credit = $2 OR t.debit = $2)
    GROUP BY t.seq
) AS moved
CROSS JOIN LATERAL (
    SELECT j.kind FROM ledger.whole_journal AS j WHERE j.partition = $1 AND j.seq = moved.seq LIMIT 1
) AS record
GROUP BY record.kind

-- name: holders_of
SELECT holder FROM ledger.whole_journal
WHERE partition = $1 AND kind = ANY ($2) AND seq > $3 AND seq <= $4 AND holder IS NOT NULL
GROUP BY holder
ORDER BY min(seq)

-- name: passbooks
-- A loose index scan: one step to each next name. A reference (`merchant:…`) is stepped over with all of its kind,
-- to the first name behind them: `;` follows `:`. No text sorts between a name and that name with chr(1) behind it.
-- All of it is in live ranges: what was archived was carried first.
WITH RECURSIVE walk (holder, seq, step, found) AS (
    SELECT NULL::text COLLATE "C", NULL::bigint, $2::text COLLATE "C" || chr(1), 0
    UNION ALL
    SELECT
        next.holder,
        next.seq,
        CASE WHEN next.holder LIKE '%:%' THEN split_part(next.holder, ':', 1) || ';' ELSE next.holder || chr(1) END,
        CASE WHEN next.holder LIKE '%:%' THEN walk.found ELSE walk.found + 1 END
    FROM walk
    CROSS JOIN LATERAL (
        SELECT j.holder, j.seq FROM ledger.journal AS j
        WHERE j.partition = $1 AND j.holder >= walk.step
        ORDER BY j.holder, j.seq DESC
        LIMIT 1
    ) AS next
    WHERE walk.found < $3
)
SELECT walk.holder, walk.seq, line."position"
FROM walk
CROSS JOIN LATERAL (
    SELECT j."position" FROM ledger.journal AS j WHERE j.partition = $1 AND j.seq = walk.seq LIMIT 1
) AS line
WHERE walk.holder NOT LIKE '%:%'
ORDER BY walk.holder

-- name: references
-- A loose index scan over the names with a prefix, each with the seq of its newest line.
WITH RECURSIVE walk (holder, seq, step) AS (
    SELECT $3::text COLLATE "C", NULL::bigint, 0
    UNION ALL
    SELECT next.holder, next.seq, walk.step + 1
    FROM walk
    CROSS JOIN LATERAL (
        SELECT j.holder, j.seq FROM ledger.journal AS j
        WHERE j.partition = $1 AND j.holder > walk.holder
          AND j.holder >= $2 COLLATE "C" AND j.holder < $2 || chr(127) COLLATE "C"
        ORDER BY j.holder, j.seq DESC
        LIMIT 1
    ) AS next
    WHERE walk.step < $4
)
SELECT walk.holder, walk.seq, line."position"
FROM walk
CROSS JOIN LATERAL (
    SELECT j."position" FROM ledger.journal AS j WHERE j.partition = $1 AND j.seq = walk.seq LIMIT 1
) AS line
WHERE walk.step > 0
ORDER BY walk.holder

-- name: events
SELECT seq, at, kind, holder, request, reply FROM ledger.whole_journal
WHERE partition = $1 AND kind = ANY ($2) AND seq > $3 AND seq <= $4 AND strpos(reply::text, $6) > 0
ORDER BY seq
LIMIT $5

-- name: events_about
SELECT seq, at, kind, holder, request, reply FROM ledger.whole_journal
WHERE partition = $1 AND holder = $2 AND seq < $3
ORDER BY seq DESC
LIMIT $4

-- name: full_ranges
-- A range moves to the archive in one transaction: it is there or it isn't.
SELECT
    n.number::int,
    newest.at,
    EXISTS (
        SELECT FROM ledger.closed AS c WHERE c.partition = f.partition AND c.range = n.number AND c.slice = 0
    ) AS closed,
    to_regclass('ledger_archive.journal_' || lpad(n.number::text, 6, '0')) IS NOT NULL AS archived
FROM ledger.fence AS f
CROSS JOIN ledger.setting AS s
CROSS JOIN LATERAL generate_series(0, (f.head + 1) / s.range_size - 1) AS n (number)
CROSS JOIN LATERAL (
    SELECT j.at FROM ledger.whole_journal AS j
    WHERE j.partition = f.partition AND j.seq = (n.number + 1) * s.range_size - 1
    LIMIT 1
) AS newest
WHERE f.partition = $1
ORDER BY n.number

-- name: close_range
SELECT range, slice FROM ledger.close_range($1)

-- name: range_bounds
-- The first and the last seq of a range.
SELECT greatest($1 * range_size, 1) AS first, ($1 + 1) * range_size - 1 AS last FROM ledger.setting

-- name: last_written
-- The next so many passbooks, references too, each with the seq of its newest line: a loose index scan.
WITH RECURSIVE walk (holder, seq, step) AS (
    SELECT $2::text COLLATE "C", NULL::bigint, 0
    UNION ALL
    SELECT next.holder, next.seq, walk.step + 1
    FROM walk
    CROSS JOIN LATERAL (
        SELECT j.holder, j.seq FROM ledger.journal AS j
        WHERE j.partition = $1 AND j.holder > walk.holder
        ORDER BY j.holder, j.seq DESC
        LIMIT 1
    ) AS next
    WHERE walk.step < $3
)
SELECT holder, seq FROM walk WHERE step > 0 ORDER BY holder

-- name: counts
-- How many records and transfers there are in one window of seqs.
SELECT
    (SELECT count(*) FROM ledger.whole_journal AS j WHERE j.partition = $1 AND j.seq > $2 AND j.seq <= $3) AS records,
    (SELECT count(*) FROM ledger.whole_transfer AS t WHERE t.partition = $1 AND t.seq > $2 AND t.seq <= $3) AS transfers

-- name: add_range
SELECT ledger.add_range()
