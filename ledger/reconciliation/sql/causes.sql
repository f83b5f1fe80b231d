-- Why what is left didn't agree: each statement explains what none before it has.

-- name: duplicate
INSERT INTO finding (cause, source, merchant, terminal, expected, found, file, line, detail)
SELECT $1, l.acquirer, l.merchant, l.terminal, 0, l.cents, l.file, l.line, 'a line like one before it'
FROM unexplained_line AS l
JOIN again AS a ON a.file = l.file AND a.line = l.line

-- name: unknown_terminal
-- Heard of: it has a movement in this run (`heard`), or a line of it was matched in the last days ($2 on), or, where the
-- line is a merchant's, the merchant is registered.
INSERT INTO finding (cause, source, merchant, terminal, expected, found, file, line, detail)
SELECT $1, l.acquirer, l.merchant, l.terminal, 0, l.cents, l.file, l.line,
    CASE WHEN l.terminal IS NULL THEN 'the ledger has no such merchant' ELSE 'the ledger has no such terminal' END
FROM unexplained_line AS l
WHERE NOT l.heard
    AND NOT (l.terminal IS NULL AND EXISTS (
        SELECT FROM ledger.fence AS f
        CROSS JOIN LATERAL (
            SELECT FROM ledger.whole_journal AS j
            WHERE j.partition = f.partition AND j.holder = 'merchant:' || l.merchant
            LIMIT 1
        ) AS j))
    AND CASE WHEN l.terminal IS NULL THEN (
        SELECT true FROM reconciliation.clearing_line AS k
        WHERE k.day >= $2 AND k.acquirer = l.acquirer AND k.merchant = l.merchant
            AND EXISTS (SELECT FROM reconciliation.matched_line AS x WHERE x.file = k.file AND x.line = k.line)
        LIMIT 1
    ) ELSE (
        SELECT true FROM reconciliation.clearing_line AS k
        WHERE k.day >= $2 AND k.acquirer = l.acquirer AND k.merchant = l.merchant AND rtrim(k.terminal) = l.terminal
            AND EXISTS (SELECT FROM reconciliation.matched_line AS x WHERE x.file = k.file AND x.line = k.line)
        LIMIT 1
    ) END IS NULL

-- name: amount_differs
-- One payment's line, or one that sums payments up.
INSERT INTO finding (
    cause, source, merchant, terminal, expected, found, partition, seq, file, line, detail)
SELECT $1, l.acquirer, l.merchant, l.terminal, d.expected, d.found, d.partition, d.seq, d.file, d.line,
    'the same message, other cents'
FROM differing AS d
JOIN unexplained_line AS l ON l.file = d.file AND l.line = d.line
JOIN unexplained_movement AS m ON m.partition = d.partition AND m.seq = d.seq
UNION ALL
SELECT $1, l.acquirer, l.merchant, l.terminal, s.expected, l.cents, NULL, NULL, l.file, l.line,
    format('the ledger has %s payments, the line sums up %s', s.payments, l.payments)
FROM unexplained_line AS l
JOIN (
    SELECT s.file, s.line, sum(s.cents)::bigint AS expected, count(*) AS payments
    FROM summed AS s
    GROUP BY s.file, s.line
) AS s ON s.file = l.file AND s.line = l.line

-- name: advice_shortfall
-- Also of movements that are matched: the acquirer is to be paid, and somebody has to say what becomes of the rest.
-- What a later movement gave back of it is off, and what was written off; what the run before left of it is where this one begins.
WITH short AS (
    SELECT m.*, coalesce(c.found - c.expected, m.shortfall) - coalesce(b.back, 0) - coalesce((
        SELECT sum(a.cents) FROM adjustment AS a
        WHERE a.kind = 'write-off' AND a.fresh AND a.of_partition = m.partition AND a.of_seq = m.seq), 0) AS rest
    FROM short AS m
    LEFT JOIN carried AS c ON c.partition = m.partition AND c.seq = m.seq AND c.cause = $1
    LEFT JOIN (
        SELECT r.acquirer, r.merchant, r.terminal, r.original, -sum(r.shortfall) AS back
        FROM short AS r
        WHERE r.shortfall < 0 AND r.fresh
        GROUP BY r.acquirer, r.merchant, r.terminal, r.original
    ) AS b
        ON b.acquirer = m.acquirer AND b.merchant = m.merchant AND b.terminal = m.terminal
        AND left(b.original, 3) = CASE m.class WHEN '040' THEN left(b.original, 3) ELSE m.class END
        AND substr(b.original, 5, 6) = m.trace AND substr(b.original, 11, 10) = m.transmitted
    WHERE m.shortfall > 0 AND (m.fresh OR c.seq IS NOT NULL)
)
INSERT INTO finding (cause, source, merchant, terminal, expected, found, partition, seq, detail)
SELECT $1, s.acquirer, s.merchant, s.terminal, s.cents - s.rest, s.cents, s.partition, s.seq,
    'no balance covered all of it'
FROM short AS s
WHERE s.rest > 0 AND NOT EXISTS (SELECT FROM finding AS f WHERE f.partition = s.partition AND f.seq = s.seq)

-- name: reversed_late
-- What takes something back that isn't open itself: the other side has that, and doesn't know it was taken back.
INSERT INTO finding (cause, source, merchant, terminal, expected, found, partition, seq, file, line, detail)
SELECT $1, m.acquirer, m.merchant, m.terminal, m.cents, 0, m.partition, m.seq, NULL, NULL,
    'the ledger has a reversal, the clearing only what it took back'
FROM unexplained_movement AS m
JOIN agreed AS a ON a.acquirer = m.acquirer AND m.day <= a.overdue
WHERE m.class = '040' AND NOT EXISTS (
    SELECT FROM unexplained_movement AS o
    WHERE o.acquirer = m.acquirer AND o.merchant = m.merchant AND o.terminal = m.terminal
        AND o.class <> '040' AND o.trace = substr(m.original, 5, 6) AND o.transmitted = substr(m.original, 11, 10))
UNION ALL
SELECT $1, l.acquirer, l.merchant, l.terminal, 0, l.cents, NULL, NULL, l.file, l.line,
    'the clearing has a reversal, the ledger only what it took back'
FROM unexplained_line AS l
JOIN agreed AS a ON a.acquirer = l.acquirer AND l.day <= a.overdue
WHERE (l.class = '040' OR l.kind IN ('reversal', 'refund-reversal')) AND NOT EXISTS (
    SELECT FROM unexplained_line AS o
    WHERE o.acquirer = l.acquirer AND o.merchant = l.merchant AND o.terminal = l.terminal
        AND o.class <> '040' AND o.trace = substr(l.original, 5, 6) AND o.transmitted = substr(l.original, 11, 10))

-- name: wrong_day
-- Matched in this run, one with one: nothing is missing, but one side has it in another day's sums.
INSERT INTO finding (
    cause, source, merchant, terminal, expected, found, partition, seq, file, line, detail)
SELECT $1, l.acquirer, rtrim(l.merchant), rtrim(l.terminal), s.expected, l.cents, s.partition, s.seq, s.file, s.line,
    format('in the ledger of %s, in the clearing of %s', s.day, l.day)
FROM strayed AS s
CROSS JOIN LATERAL (
    SELECT l.* FROM reconciliation.clearing_line AS l WHERE l.file = s.file AND l.line = s.line LIMIT 1
) AS l

-- name: missing_in_clearing
INSERT INTO finding (cause, source, merchant, terminal, expected, found, partition, seq, detail)
SELECT $1, m.acquirer, m.merchant, m.terminal, m.cents, 0, m.partition, m.seq, 'no line asks for it'
FROM unexplained_movement AS m
JOIN agreed AS a ON a.acquirer = m.acquirer AND m.day <= a.overdue

-- name: missing_in_ledger
INSERT INTO finding (cause, source, merchant, terminal, expected, found, file, line, detail)
SELECT $1, l.acquirer, l.merchant, l.terminal, 0, l.cents, l.file, l.line, 'no record pays it'
FROM unexplained_line AS l
JOIN agreed AS a ON a.acquirer = l.acquirer AND l.day <= a.overdue

-- name: pending
-- The days of what is open and not named by a break: it may still come, or a line's break stands for it.
SELECT day FROM unnamed_movement
UNION
SELECT day FROM unexplained_line
ORDER BY day
