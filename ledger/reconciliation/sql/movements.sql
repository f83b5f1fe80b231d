-- Reading what a run may match: the ledger's movements, and the acquirers' lines.

-- name: cutovers
-- An acquirer's passbook of business days, a line a cutover: in one partition, up to a head.
SELECT j.seq, j.at, (j."position" ->> 'open')::date AS day
FROM ledger.whole_journal AS j
WHERE j.partition = $1 AND j.holder = 'acquirer:' || $2 AND j.seq <= $3
ORDER BY j.seq

-- name: touch
-- One window of seqs: what each record does to an acquirer's account, less where an earlier run matched it. What no
-- balance covered comes out of the exceptions account. The vouchers' product stands in their account's name. LATERAL and
-- LIMIT keep the tables of earlier runs read by key, whatever the planner believes of their sizes.
WITH effect AS (
    SELECT
        t.seq,
        split_part(m.account, ':', 2) AS acquirer,
        sum(m.cents)::bigint AS cents,
        coalesce(sum(m.cents) FILTER (WHERE m.other LIKE 'acquirer:%:exceptions'), 0)::bigint AS shortfall,
        max(split_part(m.other, ':', 3)) FILTER (WHERE m.other LIKE 'hold%') AS product
    FROM ledger.whole_transfer AS t
    CROSS JOIN LATERAL (VALUES (t.credit, t.debit, t.amount), (t.debit, t.credit, -t.amount)) AS m (
        account, other, cents
    )
    WHERE t.partition = $1 AND t.seq > $2 AND t.seq <= $3 AND m.account LIKE 'acquirer:%:payable'
    GROUP BY t.seq, m.account
)
INSERT INTO touched (partition, seq, acquirer, cents, shortfall, product, carried, settled)
SELECT $1, e.seq, e.acquirer, e.cents, e.shortfall, e.product, false, false
FROM effect AS e
LEFT JOIN LATERAL (
    SELECT x.seq FROM reconciliation.matched_movement AS x WHERE x.partition = $1 AND x.seq = e.seq LIMIT 1
) AS x ON true
WHERE e.cents <> 0 AND x.seq IS NULL
    AND NOT EXISTS (SELECT FROM carried AS c WHERE c.partition = $1 AND c.seq = e.seq)

-- name: touch_carried
-- The records that the run before named.
INSERT INTO touched (partition, seq, acquirer, cents, shortfall, product, carried, settled)
SELECT
    c.partition, c.seq, split_part(e.account, ':', 2), e.cents, e.shortfall, e.product, true,
    EXISTS (SELECT FROM reconciliation.matched_movement AS x WHERE x.partition = c.partition AND x.seq = c.seq)
FROM (SELECT DISTINCT partition, seq FROM carried WHERE seq IS NOT NULL) AS c
CROSS JOIN LATERAL (
    SELECT
        m.account,
        sum(m.cents)::bigint AS cents,
        coalesce(sum(m.cents) FILTER (WHERE m.other LIKE 'acquirer:%:exceptions'), 0)::bigint AS shortfall,
        max(split_part(m.other, ':', 3)) FILTER (WHERE m.other LIKE 'hold%') AS product
    FROM (
        SELECT t.credit AS account, t.debit AS other, t.amount AS cents
        FROM ledger.whole_transfer AS t
        WHERE t.partition = c.partition AND t.seq = c.seq AND t.credit LIKE 'acquirer:%:payable'
        UNION ALL
        SELECT t.debit, t.credit, -t.amount
        FROM ledger.whole_transfer AS t
        WHERE t.partition = c.partition AND t.seq = c.seq AND t.debit LIKE 'acquirer:%:payable'
    ) AS m
    GROUP BY m.account
) AS e

-- name: stretches
-- The windows of seqs, $1 wide, in which something was touched.
SELECT DISTINCT partition, (seq - 1) / $1::bigint * $1 AS after FROM touched ORDER BY partition, after

-- name: move
-- One window of what was touched, with what the journal says of it: only requests of acquirers, and of the days that
-- are wanted ($4), of those that are new ($5 < day <= $6), or written behind the head of the run before ($7). Of two kinds of reversals the ledger makes one; spaces that fill up a field
-- don't count; a wall clock that shows no time is none.
INSERT INTO movement (
    partition, seq, at, kind, acquirer, day, cents, shortfall, merchant, terminal, class, trace, transmitted, local,
    retrieval, product, original, fresh, settled)
SELECT
    t.partition, t.seq, j.at, j.kind, t.acquirer, d.day, t.cents, t.shortfall, rtrim(o.merchant), rtrim(o.terminal),
    CASE left(o.mti, 3) WHEN '042' THEN '040' ELSE left(o.mti, 3) END, o.trace, o.transmitted, w.local,
    rtrim(o.retrieval_reference), t.product, left(o.original, 20),
    d.day > $5 OR t.seq > $7,
    t.settled
FROM touched AS t
JOIN ledger.whole_journal AS j ON j.partition = $1 AND j.seq > $2 AND j.seq <= $3 AND j.seq = t.seq
CROSS JOIN LATERAL json_to_record(j.request #> '{command,origin}') AS o (
    mti text, trace text, transmitted text, local text, terminal text, merchant text, retrieval_reference text,
    original text
)
CROSS JOIN LATERAL (SELECT left(o.local, 8) || 'T' || right(o.local, 6) AS clock) AS c
CROSS JOIN LATERAL (
    SELECT CASE WHEN pg_input_is_valid(c.clock, 'timestamp') THEN c.clock::timestamp END AS local
) AS w
LEFT JOIN LATERAL (
    SELECT b.seq, b.day FROM opening AS b
    WHERE b.partition = t.partition AND b.acquirer = t.acquirer AND b.seq < t.seq
    ORDER BY b.seq DESC
    LIMIT 1
) AS b ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN b.seq > 0 THEN b.day ELSE least((j.at AT TIME ZONE $8)::date, b.day) END AS day
) AS d
WHERE t.partition = $1 AND t.seq > $2 AND t.seq <= $3 AND o.trace IS NOT NULL
    AND (t.carried OR d.day = ANY ($4) OR (d.day > $5 AND d.day <= $6) OR (d.day <= $6 AND t.seq > $7))

-- name: adjustments
-- All that ever resolved a break, in a partition, found by its passbooks. `;` follows `:`. $2: those that some run took
-- up already, as partition:seq.
INSERT INTO adjustment (partition, seq, kind, cents, of_partition, of_seq, file, line, fresh)
SELECT j.partition, j.seq, p.kind, p.cents, r.partition, r.seq, f.id, l.line,
    NOT j.partition || ':' || j.seq = ANY ($2)
FROM ledger.whole_journal AS j
CROSS JOIN LATERAL json_to_record(j.request -> 'command' -> 'proposal') AS p (
    kind text, cents bigint, record json, line json
)
LEFT JOIN LATERAL json_to_record(p.record) AS r (partition int, seq bigint) ON true
LEFT JOIN LATERAL json_to_record(p.line) AS l (file text, line int) ON true
LEFT JOIN reconciliation.file AS f ON f.kind = 'clearing' AND encode(f.sha256, 'hex') = l.file
WHERE j.partition = $1 AND j.holder >= 'adjustment:' AND j.holder < 'adjustment;' AND j.kind = 'adjustment'
    AND p.kind IN ('correction', 'write-off') AND (r.seq IS NOT NULL OR f.id IS NOT NULL)
ORDER BY j.seq

-- name: strangers
-- An acquirer that is owed money, and with whom nothing is agreed.
SELECT m.acquirer, m.partition, m.seq FROM movement AS m
WHERE NOT EXISTS (SELECT FROM agreed AS a WHERE a.acquirer = m.acquirer)
ORDER BY m.acquirer, m.partition, m.seq
LIMIT 1

-- name: take_lines
-- The lines of new files ($1), and what earlier files left open: named by the run before, or of days still waited for
-- ($2). `several`: a line for more than one payment, or one that has none of the fields that name one.
INSERT INTO line (
    file, line, acquirer, day, kind, class, merchant, terminal, trace, transmitted, local, retrieval, product, cents,
    payments, original, several)
SELECT
    l.file, l.line, l.acquirer, l.day, l.kind, CASE l.class WHEN '042' THEN '040' ELSE l.class END,
    rtrim(l.merchant), rtrim(l.terminal), l.trace, l.transmitted, l.local, rtrim(l.retrieval), l.product, l.cents,
    l.payments, left(l.original, 20),
    l.payments > 1 OR (l.trace IS NULL AND l.retrieval IS NULL AND l.local IS NULL)
FROM (
    SELECT l.* FROM reconciliation.clearing_line AS l WHERE l.file = ANY ($1)
    UNION ALL
    SELECT l.* FROM reconciliation.clearing_line AS l
    WHERE l.day = ANY ($2) AND l.file = ANY ($3)
        AND NOT EXISTS (
            SELECT FROM reconciliation.matched_line AS x
            WHERE x.file = ANY ($3) AND x.file = l.file AND x.line = l.line)
    UNION ALL
    SELECT l.* FROM reconciliation.clearing_line AS l
    JOIN (SELECT DISTINCT file, line FROM carried WHERE line IS NOT NULL) AS c ON c.file = l.file AND c.line = l.line
    WHERE NOT (l.day = ANY ($2) AND l.file = ANY ($3))
        AND NOT EXISTS (SELECT FROM reconciliation.matched_line AS x WHERE x.file = l.file AND x.line = l.line)
) AS l

-- name: measure
-- The planner knows nothing of a temporary table until it is told.
ANALYZE movement (partition, seq, acquirer, merchant, trace, retrieval);
ANALYZE line (file, line, acquirer, merchant, trace, retrieval, several)
