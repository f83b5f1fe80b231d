-- What is published of a run, and read of it.

-- name: lock
-- One run at a time in a database. It is let go with the session: of a killed one when its last statement ends.
SELECT pg_advisory_lock('reconciliation.run'::regclass::oid::bigint)

-- name: newest
SELECT id, key, day, heads, inputs, summary FROM reconciliation.run ORDER BY id DESC LIMIT 1

-- name: newest_of_day
SELECT id, key, day, heads, inputs, summary FROM reconciliation.run WHERE day = $1 ORDER BY id DESC LIMIT 1

-- name: adjusted
-- The adjustments that some run has taken up already.
SELECT DISTINCT x.record
FROM reconciliation.run AS r
CROSS JOIN LATERAL json_array_elements_text(r.inputs -> 'adjustments') AS x (record)

-- name: files
-- The files up to a day, and those that some run has taken up.
WITH considered AS (
    SELECT decode(x.sha256, 'hex') AS sha256
    FROM reconciliation.run AS r
    CROSS JOIN LATERAL json_array_elements_text(r.inputs -> 'files') AS x (sha256)
)
SELECT f.id, f.kind, f.sha256, c.sha256 IS NULL AS new
FROM reconciliation.file AS f
LEFT JOIN considered AS c ON c.sha256 = f.sha256
WHERE f.day <= $1 OR c.sha256 IS NOT NULL
ORDER BY f.id

-- name: payments
-- Which payment files there are of days up to one: the bank's entries are held against them.
SELECT encode(sha256(coalesce(string_agg(f.key, ''::bytea ORDER BY f.key), ''::bytea)), 'hex')
FROM reconciliation.payment_file AS f WHERE f.day <= $1

-- name: hash_at
SELECT hash FROM ledger.whole_journal WHERE partition = $1 AND seq = $2

-- name: carry
INSERT INTO carried (cause, since, source, merchant, terminal, expected, found, partition, seq, file, line, entry)
SELECT cause, since, source, merchant, terminal, expected, found, partition, seq, file, line, entry
FROM reconciliation.break WHERE run = $1
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, partition, seq, file, line, NULL
FROM reconciliation.waiting WHERE run = $1

-- name: carried
ANALYZE carried

-- name: matched
-- Of each stage: how many matches, and what they come to.
SELECT stage, count(cents) AS number, sum(cents)::bigint AS cents FROM joined
GROUP BY stage ORDER BY array_position($1::text[], stage)

-- name: broken
SELECT cause, count(*) AS number, sum(coalesce(found, 0) - coalesce(expected, 0))::bigint AS cents
FROM finding GROUP BY cause ORDER BY array_position($1::text[], cause)

-- name: sides
-- Of each acquirer: what the ledger has of the day, what the day's lines ask for, what was matched in this run, and what
-- is open on either side.
SELECT a.acquirer, coalesce(s.ledger, 0)::bigint AS ledger, coalesce(s.clearing, 0)::bigint AS clearing,
    (coalesce(s.lines, 0) - coalesce(l.cents, 0))::bigint AS matched,
    coalesce(m.cents, 0)::bigint AS open_movements, coalesce(l.cents, 0)::bigint AS open_lines
FROM agreed AS a
LEFT JOIN (
    SELECT acquirer, sum(ledger) AS ledger, sum(clearing) AS clearing, sum(lines) AS lines FROM side GROUP BY acquirer
) AS s ON s.acquirer = a.acquirer
LEFT JOIN (SELECT acquirer, sum(cents) AS cents FROM open_movement GROUP BY acquirer) AS m ON m.acquirer = a.acquirer
LEFT JOIN (SELECT acquirer, sum(cents) AS cents FROM open_line GROUP BY acquirer) AS l ON l.acquirer = a.acquirer
ORDER BY a.acquirer

-- name: publish_run
INSERT INTO reconciliation.run (key, day, heads, inputs, summary) VALUES ($1, $2, $3, $4, $5) RETURNING id

-- name: publish_matches
-- Matches are numbered in the order in which they were found.
WITH numbered AS MATERIALIZED (
    SELECT j.stage, j.partition, j.seq, j.file, j.line, j.entry,
        dense_rank() OVER (ORDER BY j.step, j.lead_file, j.lead_line) AS number
    FROM joined AS j
),
movement AS (
    INSERT INTO reconciliation.matched_movement (partition, seq, run, number, stage)
    SELECT n.partition, n.seq, $1, n.number, n.stage FROM numbered AS n WHERE n.seq IS NOT NULL
),
entry AS (
    INSERT INTO reconciliation.matched_entry (file, entry, run, number, stage)
    SELECT n.file, n.entry, $1, n.number, n.stage FROM numbered AS n WHERE n.entry IS NOT NULL
)
INSERT INTO reconciliation.matched_line (file, line, run, number, stage)
SELECT n.file, n.line, $1, n.number, n.stage FROM numbered AS n WHERE n.line IS NOT NULL

-- name: publish_waiting
-- What is open without being a break of its own: the next run reads it again.
INSERT INTO reconciliation.waiting (run, partition, seq)
SELECT $1, m.partition, m.seq FROM unnamed_movement AS m ORDER BY m.partition, m.seq

-- name: publish_waiting_lines
INSERT INTO reconciliation.waiting (run, file, line)
SELECT $1, l.file, l.line FROM unexplained_line AS l ORDER BY l.file, l.line

-- name: publish_breaks
-- A break is as old as the first one that named the same record, line or entry. Their order is that of the causes.
INSERT INTO reconciliation.break (
    run, number, cause, since, source, merchant, terminal, expected, found, partition, seq, file, line, entry, detail)
SELECT
    $1,
    row_number() OVER (
        ORDER BY array_position($3::text[], f.cause), f.source, f.partition, f.seq, f.file, f.line, f.entry, f.detail),
    f.cause, coalesce(least(a.since, b.since, c.since), $2), f.source, f.merchant, f.terminal, f.expected, f.found,
    f.partition, f.seq, f.file, f.line, f.entry, f.detail
FROM finding AS f
LEFT JOIN (SELECT partition, seq, min(since) AS since FROM carried GROUP BY partition, seq) AS a
    ON a.partition = f.partition AND a.seq = f.seq
LEFT JOIN (SELECT file, line, min(since) AS since FROM carried GROUP BY file, line) AS b
    ON b.file = f.file AND b.line = f.line
LEFT JOIN (SELECT file, entry, min(since) AS since FROM carried GROUP BY file, entry) AS c
    ON c.file = f.file AND c.entry = f.entry

-- name: breaks
-- A run's breaks, by its number; a file by its name and hash, which are the same wherever it was taken in.
SELECT b.number, b.cause, b.since, b.source, b.merchant, b.terminal, b.expected, b.found, b.partition, b.seq, b.file,
    b.line, b.entry, b.detail, f.name, encode(f.sha256, 'hex') AS sha256
FROM reconciliation.break AS b
LEFT JOIN reconciliation.file AS f ON f.id = b.file
WHERE b.run = $1 AND ($2::text IS NULL OR b.cause = $2)
ORDER BY b.number
