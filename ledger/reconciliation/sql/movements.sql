-- Reading what a run may match: the ledger's movements, and the acquirers' lines.

-- name: cutovers
-- An acquirer's passbook of business days, a line a cutover: in one partition, up to a head.
SELECT j.seq, j.at, (j."position" ->> 'open')::date AS day
FROM ledger.whole_journal AS j
WHERE j.partition = $1 AND j.holder = 'acquirer:' || $2 AND j.seq <= $3
ORDER BY j.seq

-- name: strangers
-- The first request in a window of seqs ($3 < seq <= $4) that moves an acquirer's account which is none of $1.
SELECT m.acquirer, m.seq
FROM (
    SELECT t.seq, split_part(t.credit, ':', 2) AS acquirer FROM ledger.whole_transfer AS t
    WHERE t.partition = $2 AND t.seq > $3 AND t.seq <= $4
        AND t.credit LIKE 'acquirer:%:payable' AND t.credit <> ALL ($1)
    UNION ALL
    SELECT t.seq, split_part(t.debit, ':', 2) FROM ledger.whole_transfer AS t
    WHERE t.partition = $2 AND t.seq > $3 AND t.seq <= $4
        AND t.debit LIKE 'acquirer:%:payable' AND t.debit <> ALL ($1)
) AS m
CROSS JOIN LATERAL (
    SELECT FROM ledger.whole_journal AS j
    WHERE j.partition = $2 AND j.seq = m.seq AND j.request #>> '{command,origin,trace}' IS NOT NULL
    LIMIT 1
) AS j
ORDER BY m.acquirer, m.seq
LIMIT 1

-- name: effect_of_window
-- Before `move`: what the records of a window of seqs ($3 < seq <= $4) do to an acquirer's account in a wanted day.
-- What no balance covered comes out of the exceptions account. The vouchers' product stands in their account's name.
-- OFFSET keeps requests from being read before it is known which ones are wanted.
WITH effect AS (
    SELECT
        m.seq, m.acquirer, m.day, sum(m.cents)::bigint AS cents,
        coalesce(sum(m.cents) FILTER (WHERE m.other LIKE 'acquirer:%:exceptions'), 0)::bigint AS shortfall,
        max(split_part(m.other, ':', 3)) FILTER (WHERE m.other LIKE 'hold%') AS product,
        true AS fresh, false AS settled
    FROM (
        SELECT t.seq, s.acquirer, s.day, t.debit AS other, t.amount AS cents
        FROM ledger.whole_transfer AS t
        JOIN span AS s ON s.partition = $2 AND s.account = t.credit AND t.seq > s."after" AND t.seq <= s.through
        WHERE t.partition = $2 AND t.seq > $3 AND t.seq <= $4
        UNION ALL
        SELECT t.seq, s.acquirer, s.day, t.credit, -t.amount
        FROM ledger.whole_transfer AS t
        JOIN span AS s ON s.partition = $2 AND s.account = t.debit AND t.seq > s."after" AND t.seq <= s.through
        WHERE t.partition = $2 AND t.seq > $3 AND t.seq <= $4
    ) AS m
    GROUP BY m.seq, m.acquirer, m.day
    HAVING sum(m.cents) <> 0
),
effective AS (
    SELECT j.partition, j.at, j.kind, j.request, e.*
    FROM effect AS e
    JOIN ledger.whole_journal AS j ON j.partition = $2 AND j.seq > $3 AND j.seq <= $4 AND j.seq = e.seq
    OFFSET 0
)

-- name: effect_of_carried
-- Before `move`: the records that the run before left open, from $2:$3 on, so many ($4) at a time; of the acquirers $5,
-- or ($6 false) of all others. LATERAL and LIMIT keep them read by key, whatever the planner believes of sizes.
WITH effective AS (
    SELECT
        c.partition, j.at, j.kind, j.request, c.seq, split_part(e.account, ':', 2) AS acquirer, NULL::date AS day,
        e.cents, e.shortfall, e.product, false AS fresh,
        (
            SELECT true FROM reconciliation.matched_movement AS x
            WHERE x.partition = c.partition AND x.seq = c.seq
            LIMIT 1
        ) IS NOT NULL AS settled
    FROM (
        SELECT DISTINCT partition, seq FROM carried
        WHERE seq IS NOT NULL AND (partition, seq) >= ($2, $3)
        ORDER BY partition, seq
        LIMIT $4
    ) AS c
    CROSS JOIN LATERAL (
        SELECT
            m.account, sum(m.cents)::bigint AS cents,
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
        WHERE (split_part(m.account, ':', 2) = ANY ($5)) = $6
        GROUP BY m.account
    ) AS e
    CROSS JOIN LATERAL (
        SELECT j.at, j.kind, j.request FROM ledger.whole_journal AS j
        WHERE j.partition = c.partition AND j.seq = c.seq
        LIMIT 1
    ) AS j
    WHERE e.cents <> 0
    OFFSET 0
)

-- name: batches
-- The first records of so many ($1) at a time that the run before left open.
SELECT partition, seq
FROM (
    SELECT partition, seq, row_number() OVER (ORDER BY partition, seq) AS place
    FROM (SELECT DISTINCT partition, seq FROM carried WHERE seq IS NOT NULL) AS c
) AS p
WHERE (place - 1) % $1 = 0
ORDER BY partition, seq

-- name: move
-- What is effective, with what the journal says of it: only requests of acquirers. Of two kinds of reversals the ledger
-- makes one; spaces that fill up a field don't count; a wall clock that shows no time is none. A day that isn't known
-- yet is that of the newest opening before the record, and before the first one the calendar's in zone $1.
INSERT INTO movement (
    partition, seq, at, kind, acquirer, day, cents, shortfall, merchant, terminal, class, trace, transmitted, local,
    retrieval, product, original, fresh, settled)
SELECT
    e.partition, e.seq, e.at, e.kind, e.acquirer,
    coalesce(e.day, CASE WHEN b.seq > 0 THEN b.day ELSE least((e.at AT TIME ZONE $1)::date, b.day) END),
    e.cents, e.shortfall, rtrim((o).merchant), rtrim((o).terminal),
    CASE left((o).mti, 3) WHEN '042' THEN '040' ELSE left((o).mti, 3) END, (o).trace, (o).transmitted,
    CASE WHEN pg_input_is_valid(c.clock, 'timestamp') THEN c.clock::timestamp END,
    rtrim((o).retrieval_reference), e.product, left((o).original, 20), e.fresh, e.settled
FROM (
    SELECT e.*, json_populate_record(NULL::pg_temp.origin, e.request #> '{command,origin}') AS o
    FROM effective AS e
    OFFSET 0
) AS e
CROSS JOIN LATERAL (SELECT left((o).local, 8) || 'T' || right((o).local, 6) AS clock) AS c
LEFT JOIN LATERAL (
    SELECT b.seq, b.day FROM opening AS b
    WHERE e.day IS NULL AND b.partition = e.partition AND b.acquirer = e.acquirer AND b.seq < e.seq
    ORDER BY b.seq DESC
    LIMIT 1
) AS b ON true
WHERE (o).trace IS NOT NULL

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

-- name: take_lines
-- The lines of new files ($1), and those that the run before left open: of the acquirers $2, or ($3 false) of all
-- others. `several`: a line for more than one payment, or one that has none of the fields that name one.
INSERT INTO line (
    file, line, acquirer, day, kind, class, merchant, terminal, trace, transmitted, local, retrieval, product, cents,
    payments, original, several)
SELECT
    l.file, l.line, l.acquirer, l.day, l.kind, CASE l.class WHEN '042' THEN '040' ELSE l.class END,
    rtrim(l.merchant), rtrim(l.terminal), l.trace, l.transmitted, l.local, rtrim(l.retrieval), l.product, l.cents,
    l.payments, left(l.original, 20),
    l.payments > 1 OR (l.trace IS NULL AND l.retrieval IS NULL AND l.local IS NULL)
FROM (
    SELECT l.* FROM reconciliation.clearing_line AS l
    WHERE l.file = ANY ($1) AND (l.acquirer = ANY ($2)) = $3
    UNION ALL
    SELECT l.*
    FROM (SELECT DISTINCT file, line FROM carried WHERE line IS NOT NULL) AS c
    CROSS JOIN LATERAL (
        SELECT l.* FROM reconciliation.clearing_line AS l WHERE l.file = c.file AND l.line = c.line LIMIT 1
    ) AS l
    WHERE (l.acquirer = ANY ($2)) = $3
        AND (
            SELECT true FROM reconciliation.matched_line AS x WHERE x.file = c.file AND x.line = c.line LIMIT 1
        ) IS NULL
) AS l
