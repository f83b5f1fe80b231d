-- Matching the bank's entries: behind the stages of clearing, into the same work tables.

-- name: create
-- Entries, clients' payments (`lead`: an order's first record; it bears the order's `cents`) and payouts. `open`: nothing
-- of this run accounts for it. Names are compared by letters and digits only, in capitals.
CREATE TEMP TABLE bank_entry_here (
    file bigint, entry int, account text COLLATE "C", booked date, cents bigint, reference text, end_to_end text,
    purpose text, named text, counterparty text, key text, open boolean DEFAULT true, PRIMARY KEY (file, entry)
);
CREATE TEMP TABLE bank_payment (
    partition int, seq bigint, day date, client text, orders text, key text, total bigint, face bigint, cents bigint,
    lead boolean, open boolean DEFAULT true, PRIMARY KEY (partition, seq)
);
CREATE TEMP TABLE bank_payout (
    end_to_end text COLLATE "C" PRIMARY KEY, acquirer text COLLATE "C", day date, net bigint, settled_days int,
    open boolean DEFAULT true
)

-- name: take_entries
-- Booked up to a day ($1): behind the run before's ($2), or in a file that it didn't know ($4), or left open by it.
INSERT INTO bank_entry_here (
    file, entry, account, booked, cents, reference, end_to_end, purpose, named, counterparty)
SELECT
    e.file, e.entry, e.account, e.booked, e.cents,
    nullif(upper(regexp_replace(e.reference, '[^A-Za-z0-9]', '', 'g')), ''), e.end_to_end,
    nullif(upper(regexp_replace(e.purpose, '[^A-Za-z0-9]', '', 'g')), ''),
    nullif(upper(regexp_replace(e.end_to_end, '[^A-Za-z0-9]', '', 'g')), ''), e.counterparty
FROM reconciliation.bank_entry AS e
WHERE e.file = ANY ($3) AND e.booked <= $1
    AND (
        $2::date IS NULL OR e.booked > $2 OR e.file = ANY ($4)
        OR EXISTS (SELECT FROM carried AS c WHERE c.file = e.file AND c.entry = e.entry)
    )
    AND NOT EXISTS (SELECT FROM reconciliation.matched_entry AS x WHERE x.file = e.file AND x.entry = e.entry)

-- name: payments_of_window
-- Before `take_payments`: what clients were recorded to have paid in, in a window of seqs ($3 < seq <= $4), found by the
-- orders' passbooks (`;` follows `:`).
WITH recorded AS (
    SELECT j.partition, j.seq, j.at, j.request FROM ledger.whole_journal AS j
    WHERE j.partition = $2 AND j.seq > $3 AND j.seq <= $4 AND j.holder >= 'order:' AND j.holder < 'order;'
        AND j.kind = 'payment'
)

-- name: payments_of_carried
-- Before `take_payments`: those that the run before left open for one of the causes $4, up to a head ($3).
WITH recorded AS (
    SELECT c.partition, c.seq, j.at, j.request
    FROM (
        SELECT DISTINCT partition, seq FROM carried WHERE partition = $2 AND seq <= $3 AND cause = ANY ($4)
    ) AS c
    CROSS JOIN LATERAL (
        SELECT j.at, j.request FROM ledger.whole_journal AS j
        WHERE j.partition = c.partition AND j.seq = c.seq
            AND j.holder >= 'order:' AND j.holder < 'order;' AND j.kind = 'payment'
        LIMIT 1
    ) AS j
)

-- name: take_payments
-- What is recorded, and no earlier run matched. `face` is the part that becomes vouchers. Days are those of zone $1.
INSERT INTO bank_payment (partition, seq, day, client, orders, key, total, face)
SELECT j.partition, j.seq, (j.at AT TIME ZONE $1)::date, c.client, c."order",
    nullif(upper(regexp_replace(c.reference, '[^A-Za-z0-9]', '', 'g')), ''), c.amount, t.face
FROM recorded AS j
CROSS JOIN LATERAL json_to_record(j.request -> 'command') AS c (
    client text, "order" text, reference text, amount bigint)
CROSS JOIN LATERAL (
    SELECT coalesce(sum(t.amount) FILTER (WHERE t.debit LIKE 'issuer:float:%'), 0)::bigint AS face, count(*) AS transfers
    FROM ledger.whole_transfer AS t
    WHERE t.partition = j.partition AND t.seq = j.seq
) AS t
WHERE t.transfers > 0
    AND (
        SELECT true FROM reconciliation.matched_movement AS x
        WHERE x.partition = j.partition AND x.seq = j.seq
        LIMIT 1
    ) IS NULL
ON CONFLICT DO NOTHING

-- name: whole_payments
-- An order's payment is one, in however many partitions it was recorded. What is paid into an account ($1) whose
-- statements nobody takes in is asked of nobody: then only the face value counts.
UPDATE bank_payment AS p SET cents = o.cents, lead = o.nth = 1
FROM (
    SELECT
        r.partition, r.seq, row_number() OVER (PARTITION BY r.client, r.orders ORDER BY r.partition, r.seq) AS nth,
        CASE WHEN EXISTS (SELECT FROM reconciliation.bank_balance AS b WHERE b.account = $1 AND b.file = ANY ($2))
            THEN r.total ELSE sum(r.face) OVER (PARTITION BY r.client, r.orders) END AS cents
    FROM bank_payment AS r
) AS o
WHERE o.partition = p.partition AND o.seq = p.seq

-- name: payouts
-- Payouts of days up to $1 that no entry was matched with: a payout's entry bears its name, and its cents.
INSERT INTO bank_payout (end_to_end, acquirer, day, net, settled_days)
SELECT p.end_to_end, p.acquirer, p.day, p.net, a.settled_days
FROM reconciliation.payout AS p
JOIN unnest($2::text[], $3::int[]) AS a (acquirer, settled_days) ON a.acquirer = p.acquirer
WHERE p.day <= $1
    AND NOT EXISTS (
        SELECT FROM reconciliation.bank_entry AS e
        JOIN reconciliation.matched_entry AS x ON x.file = e.file AND x.entry = e.entry
        WHERE e.end_to_end = p.end_to_end AND e.cents = -p.net AND e.booked >= p.day
    )

-- name: claim_payouts
INSERT INTO claim (lead_file, lead_line, file, line)
SELECT DISTINCT ON (p.end_to_end) e.file, e.entry, e.file, e.entry
FROM bank_payout AS p
JOIN bank_entry_here AS e ON e.end_to_end = p.end_to_end AND e.cents = -p.net
ORDER BY p.end_to_end, e.booked, e.file, e.entry

-- name: differing_payouts
-- An entry that bears a payout's name, on the same side, and other cents.
INSERT INTO finding (cause, source, expected, found, file, entry, detail)
SELECT DISTINCT ON (p.end_to_end) $1, p.acquirer, -p.net, e.cents, e.file, e.entry, 'payout ' || p.end_to_end
FROM bank_payout AS p
JOIN bank_entry_here AS e ON e.end_to_end = p.end_to_end AND e.cents < 0
WHERE p.open AND e.open
ORDER BY p.end_to_end, e.booked, e.file, e.entry

-- name: counterparties
-- The other sides of open entries.
SELECT DISTINCT e.counterparty FROM bank_entry_here AS e
WHERE e.open AND e.counterparty IS NOT NULL
ORDER BY e.counterparty

-- name: runs_between
-- The runs of the days $1 to $2 that were published, with those of their acquirers that were paid out since.
SELECT r.id, r.key, r.day, coalesce(array_agg(p.acquirer) FILTER (WHERE p.acquirer IS NOT NULL), '{}') AS paid
FROM reconciliation.run AS r
LEFT JOIN LATERAL (
    SELECT DISTINCT p.acquirer
    FROM reconciliation.payout AS p
    JOIN reconciliation.payment_file AS f ON f.id = p.payment_file
    JOIN reconciliation.run AS of ON f.key = sha256('payouts'::bytea || of.key)
    WHERE of.id >= r.id
) AS p ON true
WHERE r.day BETWEEN $1 AND $2
GROUP BY r.id, r.key, r.day
ORDER BY r.id

-- name: claim_positions
-- An entry from or to an acquirer ($1 and $2: the other side, and who that is) that comes to one of the positions ($3 to
-- $6: whose, day, net, days in which it is settled), where each has just one; a position that an earlier run found the
-- entry of has it.
WITH named AS (SELECT * FROM unnest($1::text[], $2::text[]) AS n (counterparty, acquirer)),
owed AS (SELECT * FROM unnest($3::text[], $4::date[], $5::bigint[], $6::int[]) AS p (acquirer, day, net, settled_days))
INSERT INTO claim (lead_file, lead_line, file, line)
SELECT s.file, s.entry, s.file, s.entry
FROM (
    SELECT e.file, e.entry, count(*) OVER (PARTITION BY p.acquirer, p.day) AS entries,
        count(*) OVER (PARTITION BY e.file, e.entry) AS positions
    FROM owed AS p
    JOIN named AS n ON n.acquirer = p.acquirer
    JOIN bank_entry_here AS e
        ON e.open AND e.counterparty = n.counterparty AND e.cents = -p.net
        AND e.booked BETWEEN p.day AND p.day + p.settled_days
    WHERE NOT EXISTS (
        SELECT FROM reconciliation.bank_entry AS b
        JOIN reconciliation.matched_entry AS x ON x.file = b.file AND x.entry = b.entry
        WHERE x.stage = 'net-position' AND b.counterparty = n.counterparty AND b.cents = -p.net
            AND b.booked BETWEEN p.day AND p.day + p.settled_days
    )
) AS s
WHERE s.entries = 1 AND s.positions = 1

-- name: name_payments
-- Whose reference an entry that came in bears, where it can only be one: as its own, its payer's, or in what it says
-- that it is for; within a longer text only beside the same cents, and where it is long enough to be no chance.
UPDATE bank_entry_here AS h SET key = n.key
FROM (
    SELECT b.file, b.entry, min(b.key) AS key
    FROM (
        SELECT e.file, e.entry, p.key
        FROM bank_entry_here AS e
        CROSS JOIN LATERAL (VALUES (e.reference), (e.named), (e.purpose)) AS said (text)
        JOIN bank_payment AS p ON p.key = said.text AND p.lead
        WHERE e.open AND e.cents > 0
        UNION
        SELECT e.file, e.entry, p.key
        FROM bank_entry_here AS e
        JOIN bank_payment AS p ON p.cents = e.cents AND p.lead
        WHERE e.open AND length(p.key) >= 6 AND strpos(e.purpose, p.key) > 0
    ) AS b
    GROUP BY b.file, b.entry
    HAVING count(*) = 1
) AS n
WHERE n.file = h.file AND n.entry = h.entry

-- name: claim_adjusted
-- Entries that approved settlements and fees of a partition ($1), up to a head ($2), name and come to: they are what has
-- happened at the bank. Adjustments are found by their passbooks; `;` follows `:`.
INSERT INTO claim (lead_file, lead_line, partition, seq, file, line)
SELECT s.file, s.entry, s.partition, s.seq, s.file, s.entry
FROM (
    SELECT e.file, e.entry, e.cents, j.partition, j.seq, sum(p.cents) OVER (PARTITION BY e.file, e.entry) AS together
    FROM ledger.whole_journal AS j
    CROSS JOIN LATERAL json_to_record(j.request -> 'command' -> 'proposal') AS p (kind text, cents bigint, line json)
    CROSS JOIN LATERAL json_to_record(p.line) AS l (file text, line int)
    JOIN reconciliation.file AS f ON f.kind = 'statement' AND encode(f.sha256, 'hex') = l.file
    JOIN bank_entry_here AS e ON e.open AND e.file = f.id AND e.entry = l.line
    WHERE j.partition = $1 AND j.holder >= 'adjustment:' AND j.holder < 'adjustment;' AND j.seq <= $2
        AND j.kind = 'adjustment' AND p.kind IN ('settlement', 'fee')
) AS s
WHERE s.together = -s.cents

-- name: claim_payments
-- The same reference and the same cents, in their order: two that are alike in both are as good as each other.
INSERT INTO claim (lead_file, lead_line, partition, seq, file, line)
SELECT e.file, e.entry, r.partition, r.seq, e.file, e.entry
FROM (
    SELECT e.*, row_number() OVER (PARTITION BY e.key, e.cents ORDER BY e.booked, e.file, e.entry) AS nth
    FROM bank_entry_here AS e
    WHERE e.open AND e.key IS NOT NULL
) AS e
JOIN (
    SELECT p.*, row_number() OVER (PARTITION BY p.key, p.cents ORDER BY p.day, p.partition, p.seq) AS nth
    FROM bank_payment AS p
    WHERE p.lead AND p.cents > 0
) AS p ON p.key = e.key AND p.cents = e.cents AND p.nth = e.nth
JOIN bank_payment AS r ON r.client = p.client AND r.orders = p.orders

-- name: claim_groups
-- All that is left of one reference, where it comes to the same on both sides: an order paid in parts, or orders at once.
INSERT INTO claim (lead_file, lead_line, partition, seq, file, line)
SELECT g.lead_file, g.lead_entry, r.partition, r.seq, g.file, g.entry
FROM (
    SELECT e.file, e.entry, e.key, sum(e.cents) OVER (PARTITION BY e.key) AS cents,
        first_value(e.file) OVER (PARTITION BY e.key ORDER BY e.file, e.entry) AS lead_file,
        first_value(e.entry) OVER (PARTITION BY e.key ORDER BY e.file, e.entry) AS lead_entry
    FROM bank_entry_here AS e
    WHERE e.open AND e.key IS NOT NULL
) AS g
JOIN (
    SELECT p.*, sum(p.cents) OVER (PARTITION BY p.key) AS together
    FROM bank_payment AS p
    WHERE p.open AND p.lead AND p.cents > 0
) AS p ON p.key = g.key AND p.together = g.cents
JOIN bank_payment AS r ON r.client = p.client AND r.orders = p.orders

-- name: adopt
-- Make matches of what a stage ($1) claimed. What came in is the match's cents, and of what went out what was paid.
WITH this AS MATERIALIZED (SELECT nextval('step') AS step),
told AS (
    SELECT c.*, CASE WHEN $1 = 'funding' THEN e.cents ELSE -e.cents END AS comes_to,
        row_number() OVER (PARTITION BY c.lead_file, c.lead_line ORDER BY c.file, c.line, c.partition, c.seq) AS place,
        row_number() OVER (PARTITION BY c.file, c.line ORDER BY c.lead_file, c.lead_line, c.partition, c.seq) = 1
            AS of_entry,
        row_number() OVER (PARTITION BY c.partition, c.seq ORDER BY c.lead_file, c.lead_line, c.file, c.line) = 1
            AS of_record
    FROM claim AS c
    JOIN bank_entry_here AS e ON e.file = c.file AND e.entry = c.line
)
INSERT INTO joined (step, stage, lead_file, lead_line, partition, seq, file, entry, cents)
SELECT this.step, $1, t.lead_file, t.lead_line, CASE WHEN t.of_record THEN t.partition END,
    CASE WHEN t.of_record THEN t.seq END, CASE WHEN t.of_entry THEN t.file END, CASE WHEN t.of_entry THEN t.line END,
    CASE WHEN t.place = 1 THEN
        sum(t.comes_to) FILTER (WHERE t.of_entry) OVER (PARTITION BY t.lead_file, t.lead_line)
    END
FROM told AS t
CROSS JOIN this

-- name: settle
-- What is claimed, or found to differ, isn't open any more.
UPDATE bank_payout AS p SET open = false
FROM bank_entry_here AS e
WHERE e.end_to_end = p.end_to_end AND p.open AND (
    (e.cents = -p.net AND EXISTS (SELECT FROM claim AS c WHERE c.file = e.file AND c.line = e.entry))
    OR EXISTS (SELECT FROM finding AS f WHERE f.file = e.file AND f.entry = e.entry)
);
UPDATE bank_entry_here AS e SET open = false
WHERE e.open AND (
    EXISTS (SELECT FROM claim AS c WHERE c.file = e.file AND c.line = e.entry)
    OR EXISTS (SELECT FROM finding AS f WHERE f.file = e.file AND f.entry = e.entry)
);
UPDATE bank_payment AS p SET open = false
WHERE p.open AND (
    EXISTS (SELECT FROM claim AS c WHERE c.partition = p.partition AND c.seq = p.seq)
    OR EXISTS (SELECT FROM finding AS f WHERE f.partition = p.partition AND f.seq = p.seq AND f.entry IS NOT NULL)
);
DELETE FROM claim

-- name: differing_payments
-- One payment and one entry of its reference, left with other cents.
INSERT INTO finding (cause, source, expected, found, partition, seq, file, entry, detail)
SELECT $1, $2, p.cents, e.cents, p.partition, p.seq, e.file, e.entry, 'payment of client ' || p.client
FROM (
    SELECT p.*, count(*) OVER (PARTITION BY p.key) AS alike
    FROM bank_payment AS p
    WHERE p.open AND p.lead AND p.cents > 0
) AS p
JOIN (
    SELECT e.*, count(*) OVER (PARTITION BY e.key) AS alike
    FROM bank_entry_here AS e
    WHERE e.open AND e.key IS NOT NULL
) AS e ON e.key = p.key
WHERE p.alike = 1 AND e.alike = 1

-- name: covered
-- The last day, up to $3, that the account's statements ($2) close.
SELECT max(b.day) FROM reconciliation.bank_balance AS b WHERE b.account = $1 AND b.file = ANY ($2) AND b.day <= $3

-- name: first_covered
-- The first day that any statement tells of: what was paid in before, none can show.
SELECT min(b.day) FROM reconciliation.bank_balance AS b WHERE b.file = ANY ($1)

-- name: missing_payouts
INSERT INTO finding (cause, source, expected, detail)
SELECT $1, p.acquirer, -p.net, 'payout ' || p.end_to_end
FROM bank_payout AS p
WHERE p.open AND p.day + p.settled_days < $2

-- name: missing_payments
INSERT INTO finding (cause, source, expected, partition, seq, detail)
SELECT $1, $3, p.cents, p.partition, p.seq, 'payment of client ' || p.client
FROM bank_payment AS p
WHERE p.open AND p.lead AND p.cents > 0 AND p.day <= $2

-- name: unexplained
-- What moved the vouchers' money, and nothing accounts for. The issuer's other account has a life of its own.
INSERT INTO finding (cause, source, found, file, entry, detail)
SELECT $1, e.account, e.cents, e.file, e.entry, 'entry of ' || e.booked
FROM bank_entry_here AS e
WHERE e.open AND e.account = $2
