-- The stages, in the order in which they are run. Each claims movements and lines, and `adopt` makes matches of it.

-- name: exact
-- A line names a movement by the fields that it has: merchant and trace number always, and a time. Without a message
-- type the same side is asked for: a reversal may bear the trace number of what it takes back. The same cents make a
-- match: a line that could be two movements is neither's; of lines that could only be one movement the first is its.
-- Whatever else is named is a candidate.
WITH named AS (
    SELECT m.partition, m.seq, l.file, l.line, m.cents AS expected, l.cents AS found, m.day, m.day <> l.day AS strayed,
        count(*) FILTER (WHERE l.cents = m.cents) OVER (PARTITION BY l.file, l.line) AS movements
    FROM line AS l
    JOIN movement AS m ON m.acquirer = l.acquirer AND m.merchant = l.merchant AND m.trace = l.trace
    WHERE NOT m.settled AND NOT l.several
        AND (l.terminal IS NULL OR l.terminal = m.terminal)
        AND (l.transmitted IS NULL OR l.transmitted = m.transmitted)
        AND (l.local IS NULL OR l.local = m.local)
        AND (l.transmitted IS NOT NULL OR l.local IS NOT NULL)
        AND CASE WHEN l.class IS NULL THEN sign(l.cents) = sign(m.cents) ELSE l.class = m.class END
),
placed AS MATERIALIZED (
    SELECT s.*,
        s.fits AND row_number() OVER (PARTITION BY s.partition, s.seq, s.fits ORDER BY s.file, s.line) = 1 AS matched
    FROM (SELECT n.*, n.found = n.expected AND n.movements = 1 AS fits FROM named AS n) AS s
),
other AS (
    INSERT INTO candidate (partition, seq, file, line, expected, found)
    SELECT p.partition, p.seq, p.file, p.line, p.expected, p.found FROM placed AS p WHERE NOT p.matched
),
elsewhere AS (
    INSERT INTO strayed (partition, seq, file, line, expected, day)
    SELECT p.partition, p.seq, p.file, p.line, p.expected, p.day FROM placed AS p WHERE p.matched AND p.strayed
)
INSERT INTO joined (step, stage, lead_file, lead_line, partition, seq, file, line, cents)
SELECT 0, $1, p.file, p.line, p.partition, p.seq, p.file, p.line, p.found FROM placed AS p WHERE p.matched

-- name: open_movements
INSERT INTO open_movement
SELECT m.* FROM movement AS m
WHERE NOT m.settled AND NOT EXISTS (SELECT FROM joined AS j WHERE j.partition = m.partition AND j.seq = m.seq)

-- name: open_lines
INSERT INTO open_line
SELECT l.*, EXISTS (
    SELECT FROM movement AS m
    WHERE m.acquirer = l.acquirer AND m.merchant = l.merchant AND (l.terminal IS NULL OR m.terminal = l.terminal))
FROM line AS l
WHERE NOT EXISTS (SELECT FROM joined AS j WHERE j.file = l.file AND j.line = l.line)

-- name: short
INSERT INTO short SELECT m.* FROM movement AS m WHERE m.shortfall <> 0

-- name: sides
INSERT INTO side (acquirer, ledger, clearing, lines)
SELECT m.acquirer, sum(m.cents), 0, 0 FROM movement AS m WHERE m.day = $1 AND NOT m.settled GROUP BY m.acquirer
UNION ALL
SELECT l.acquirer, 0, coalesce(sum(l.cents) FILTER (WHERE l.day = $1), 0), sum(l.cents)
FROM line AS l
GROUP BY l.acquirer

-- name: measure
-- The planner knows nothing of a temporary table until it is told.
ANALYZE open_movement;
ANALYZE open_line;
ANALYZE candidate

-- name: tolerated
-- The same message, and cents that differ by no more than the acquirer's terms say.
INSERT INTO claim (lead_file, lead_line, partition, seq, file, line, cents)
SELECT p.file, p.line, p.partition, p.seq, p.file, p.line, p.found
FROM (
    SELECT s.*, row_number() OVER (PARTITION BY s.partition, s.seq ORDER BY s.file, s.line) AS place
    FROM (
        SELECT c.*, count(*) OVER (PARTITION BY c.file, c.line) AS movements
        FROM candidate AS c
        JOIN open_movement AS m ON m.partition = c.partition AND m.seq = c.seq
        JOIN open_line AS l ON l.file = c.file AND l.line = c.line
        JOIN agreed AS a ON a.acquirer = l.acquirer
        WHERE c.found <> c.expected AND abs(c.found - c.expected) <= a.tolerance AND sign(c.found) = sign(c.expected)
    ) AS s
    WHERE s.movements = 1
) AS p
WHERE p.place = 1

-- name: retrieval
-- The same retrieval reference, the same cents.
INSERT INTO claim (lead_file, lead_line, partition, seq, file, line, cents)
SELECT p.file, p.line, p.partition, p.seq, p.file, p.line, p.cents
FROM (
    SELECT s.*, row_number() OVER (PARTITION BY s.partition, s.seq ORDER BY s.file, s.line) AS place
    FROM (
        SELECT m.partition, m.seq, l.file, l.line, l.cents, count(*) OVER (PARTITION BY l.file, l.line) AS movements
        FROM open_line AS l
        JOIN open_movement AS m ON m.acquirer = l.acquirer AND m.retrieval = l.retrieval AND m.cents = l.cents
        WHERE NOT l.several AND (l.class IS NULL OR l.class = m.class)
    ) AS s
    WHERE s.movements = 1
) AS p
WHERE p.place = 1

-- name: repeated
-- Lines like one that is matched, in this run or in one of the last days ($1 on), or like an open one before them. By
-- their trace number or retrieval reference they are alike whatever their cents; without, the cents count too. LATERAL
-- and LIMIT keep the lines that ever came read by their names, whatever the planner believes of their number.
INSERT INTO again (file, line)
SELECT n.file, n.line
FROM open_line AS n
CROSS JOIN LATERAL (
    SELECT FROM reconciliation.clearing_line AS l
    WHERE l.acquirer = n.acquirer AND l.merchant = n.merchant
        AND coalesce(l.trace, l.retrieval, '') = coalesce(n.trace, n.retrieval, '')
        AND l.kind = n.kind AND l.payments = n.payments
        AND l.terminal IS NOT DISTINCT FROM n.terminal
        AND (CASE l.class WHEN '042' THEN '040' ELSE l.class END) IS NOT DISTINCT FROM n.class
        AND l.trace IS NOT DISTINCT FROM n.trace AND l.retrieval IS NOT DISTINCT FROM n.retrieval
        AND l.transmitted IS NOT DISTINCT FROM n.transmitted AND l.local IS NOT DISTINCT FROM n.local
        AND (n.trace IS NOT NULL OR n.retrieval IS NOT NULL OR l.cents = n.cents)
        AND (NOT n.several OR l.day = n.day)
        AND (
            ((l.file, l.line) < (n.file, n.line)
                AND EXISTS (SELECT FROM open_line AS o WHERE o.file = l.file AND o.line = l.line))
            OR EXISTS (SELECT FROM joined AS j WHERE j.file = l.file AND j.line = l.line)
            OR (l.day >= $1
                AND EXISTS (SELECT FROM reconciliation.matched_line AS x WHERE x.file = l.file AND x.line = l.line))
        )
    LIMIT 1
) AS l
WHERE n.payments > 1 OR NOT n.several

-- name: differ
-- A line and the movement that it names, by any of its names, with other cents: they belong together, and no later
-- stage may give them to others.
INSERT INTO differing (partition, seq, file, line, expected, found)
SELECT p.partition, p.seq, p.file, p.line, p.expected, p.found
FROM (
    SELECT s.*, row_number() OVER (PARTITION BY s.partition, s.seq ORDER BY s.file, s.line) AS place
    FROM (
        SELECT c.*, count(*) OVER (PARTITION BY c.file, c.line) AS movements
        FROM (
            SELECT c.partition, c.seq, c.file, c.line, c.expected, c.found FROM candidate AS c
            UNION
            SELECT m.partition, m.seq, l.file, l.line, m.cents, l.cents
            FROM open_line AS l
            JOIN open_movement AS m
                ON m.acquirer = l.acquirer AND m.merchant = l.merchant AND m.retrieval = l.retrieval
            WHERE NOT l.several AND (l.class IS NULL OR l.class = m.class) AND sign(l.cents) = sign(m.cents)
        ) AS c
        JOIN open_movement AS m ON m.partition = c.partition AND m.seq = c.seq
        JOIN open_line AS l ON l.file = c.file AND l.line = c.line
        WHERE c.found <> c.expected
            AND NOT EXISTS (SELECT FROM again AS a WHERE a.file = c.file AND a.line = c.line)
    ) AS s
    WHERE s.movements = 1
) AS p
WHERE p.place = 1

-- name: window
-- The same terminal, the same cents, and two clocks that are no further apart than the terms say, where each side has
-- just one. The trace number doesn't count: an acquirer may number anew.
INSERT INTO claim (lead_file, lead_line, partition, seq, file, line, cents)
SELECT s.file, s.line, s.partition, s.seq, s.file, s.line, s.cents
FROM (
    SELECT
        m.partition, m.seq, l.file, l.line, l.cents,
        count(*) OVER (PARTITION BY l.file, l.line) AS movements,
        count(*) OVER (PARTITION BY m.partition, m.seq) AS lines
    FROM open_line AS l
    JOIN agreed AS a ON a.acquirer = l.acquirer AND a.window_s > 0
    JOIN open_movement AS m
        ON m.acquirer = l.acquirer AND m.merchant = l.merchant AND m.terminal = l.terminal AND m.cents = l.cents
    WHERE NOT l.several
        AND m.local BETWEEN l.local - make_interval(secs => a.window_s)
            AND l.local + make_interval(secs => a.window_s)
        AND (l.class IS NULL OR l.class = m.class)
        AND NOT EXISTS (SELECT FROM again AS x WHERE x.file = l.file AND x.line = l.line)
        AND NOT EXISTS (SELECT FROM differing AS x WHERE x.partition = m.partition AND x.seq = m.seq)
        AND NOT EXISTS (SELECT FROM differing AS x WHERE x.file = l.file AND x.line = l.line)
) AS s
WHERE s.movements = 1 AND s.lines = 1

-- name: several_payments
-- A line that sums up payments of a terminal's day ($1), or of a merchant's: all of them, or only those on its own side,
-- or of its own message type too ($2: 'day', 'side', 'class'). They are its where they are as many and come to its cents, and no line before it has one of them.
WITH member AS (
    SELECT l.file, l.line, l.cents, l.payments, m.partition, m.seq, m.cents AS part
    FROM open_line AS l
    JOIN open_movement AS m ON m.acquirer = l.acquirer AND m.merchant = l.merchant AND m.day = l.day
    WHERE l.several AND (l.terminal IS NOT NULL) = $1
        AND (l.terminal IS NULL OR l.terminal = m.terminal)
        AND (l.product IS NULL OR l.product = '00' OR l.product = m.product)
        AND ($2 = 'day' OR sign(m.cents) = sign(l.cents))
        AND ($2 <> 'class' OR l.class = m.class)
        AND NOT EXISTS (SELECT FROM again AS x WHERE x.file = l.file AND x.line = l.line)
        AND NOT EXISTS (SELECT FROM differing AS x WHERE x.partition = m.partition AND x.seq = m.seq)
),
fitting AS (
    SELECT t.file, t.line, t.cents, t.partition, t.seq,
        row_number() OVER (PARTITION BY t.partition, t.seq ORDER BY t.file, t.line) AS nth
    FROM (
        SELECT e.*, count(*) OVER (PARTITION BY e.file, e.line) AS members,
            sum(e.part) OVER (PARTITION BY e.file, e.line) AS total
        FROM member AS e
    ) AS t
    WHERE t.members = t.payments AND t.total = t.cents
)
INSERT INTO claim (lead_file, lead_line, partition, seq, file, line, cents)
SELECT f.file, f.line, f.partition, f.seq, f.file, f.line, f.cents
FROM (SELECT f.*, max(f.nth) OVER (PARTITION BY f.file, f.line) AS latest FROM fitting AS f) AS f
WHERE f.latest = 1

-- name: several_lines
-- Lines that all name one movement, and come to its cents together. Those that bear the same cents may be copies of
-- one another: it is the sum that tells.
WITH part AS (
    SELECT c.*, count(*) OVER (PARTITION BY c.file, c.line) AS movements
    FROM candidate AS c
    JOIN open_movement AS m ON m.partition = c.partition AND m.seq = c.seq
    JOIN open_line AS l ON l.file = c.file AND l.line = c.line
),
whole AS (
    SELECT p.partition, p.seq, min(p.file) AS lead_file
    FROM part AS p
    WHERE p.movements = 1
    GROUP BY p.partition, p.seq, p.expected
    HAVING count(*) > 1 AND sum(p.found) = p.expected
)
INSERT INTO claim (lead_file, lead_line, partition, seq, file, line, cents)
SELECT
    w.lead_file, min(p.line) FILTER (WHERE p.file = w.lead_file) OVER (PARTITION BY p.partition, p.seq),
    p.partition, p.seq, p.file, p.line, p.found
FROM whole AS w
JOIN part AS p ON p.partition = w.partition AND p.seq = w.seq AND p.movements = 1

-- name: sum_up
-- The payments that a line sums up though to other cents: those of its day that nothing else is known of. They are
-- explained by one line: of their terminal first, and of their own side.
INSERT INTO summed (partition, seq, file, line, cents)
SELECT DISTINCT ON (m.partition, m.seq) m.partition, m.seq, l.file, l.line, m.cents
FROM open_line AS l
JOIN open_movement AS m ON m.acquirer = l.acquirer AND m.merchant = l.merchant AND m.day = l.day
WHERE l.several
    AND (l.terminal IS NULL OR l.terminal = m.terminal)
    AND (l.product IS NULL OR l.product = '00' OR l.product = m.product)
    AND NOT EXISTS (SELECT FROM again AS x WHERE x.file = l.file AND x.line = l.line)
    AND NOT EXISTS (SELECT FROM differing AS x WHERE x.partition = m.partition AND x.seq = m.seq)
ORDER BY m.partition, m.seq, l.terminal NULLS LAST, sign(m.cents) = sign(l.cents) DESC, l.file, l.line

-- name: adjusted
-- Open movements and lines that belong together, or stand alone, and corrections that name them and come to what they
-- differ by.
WITH named AS (
    SELECT coalesce(a.of_partition, d.partition) AS partition, coalesce(a.of_seq, d.seq) AS seq,
        coalesce(a.file, e.file) AS file, coalesce(a.line, e.line) AS line, a.cents
    FROM adjustment AS a
    LEFT JOIN differing AS d ON d.file = a.file AND d.line = a.line
    LEFT JOIN differing AS e ON e.partition = a.of_partition AND e.seq = a.of_seq
    WHERE a.kind = 'correction'
),
resolved AS (
    SELECT n.partition, n.seq, n.file, n.line, l.cents
    FROM named AS n
    LEFT JOIN open_movement AS m ON m.partition = n.partition AND m.seq = n.seq
    LEFT JOIN open_line AS l ON l.file = n.file AND l.line = n.line
    WHERE (n.seq IS NULL) = (m.seq IS NULL) AND (n.line IS NULL) = (l.line IS NULL)
    GROUP BY n.partition, n.seq, n.file, n.line, m.cents, l.cents
    HAVING sum(n.cents) = coalesce(l.cents, 0) - coalesce(m.cents, 0)
        - coalesce((SELECT sum(s.cents) FROM summed AS s WHERE s.file = n.file AND s.line = n.line), 0)
),
placed AS (
    SELECT r.*, row_number() OVER (ORDER BY r.partition, r.seq, r.file, r.line) AS place FROM resolved AS r
)
INSERT INTO claim (lead_file, lead_line, partition, seq, file, line, cents)
SELECT 0, p.place, p.partition, p.seq, p.file, p.line, p.cents FROM placed AS p
UNION ALL
SELECT 0, p.place, s.partition, s.seq, p.file, p.line, p.cents
FROM placed AS p
JOIN summed AS s ON s.file = p.file AND s.line = p.line

-- name: adopt
-- Make matches of what a stage ($1) claimed, which is open no more. A match comes to what its lines say: to 0 without
-- any. Of one line and one movement ($2) is noted where their days differ.
WITH this AS MATERIALIZED (SELECT nextval('step') AS step),
told AS (
    SELECT c.*,
        row_number() OVER (PARTITION BY c.lead_file, c.lead_line ORDER BY c.file, c.line, c.partition, c.seq) AS place,
        row_number() OVER (PARTITION BY c.file, c.line ORDER BY c.lead_file, c.lead_line, c.partition, c.seq) = 1
            AS of_line,
        row_number() OVER (PARTITION BY c.partition, c.seq ORDER BY c.lead_file, c.lead_line, c.file, c.line) = 1
            AS of_record
    FROM claim AS c
),
elsewhere AS (
    INSERT INTO strayed (partition, seq, file, line, expected, day)
    SELECT c.partition, c.seq, c.file, c.line, m.cents, m.day
    FROM claim AS c
    JOIN open_movement AS m ON m.partition = c.partition AND m.seq = c.seq
    JOIN open_line AS l ON l.file = c.file AND l.line = c.line
    WHERE $2 AND m.day <> l.day
),
movements AS (
    DELETE FROM open_movement AS m USING claim AS c WHERE c.partition = m.partition AND c.seq = m.seq
),
lines AS (
    DELETE FROM open_line AS l USING claim AS c WHERE c.file = l.file AND c.line = l.line
),
claims AS (
    DELETE FROM claim
)
INSERT INTO joined (step, stage, lead_file, lead_line, partition, seq, file, line, cents)
SELECT this.step, $1, t.lead_file, t.lead_line, CASE WHEN t.of_record THEN t.partition END,
    CASE WHEN t.of_record THEN t.seq END, CASE WHEN t.of_line THEN t.file END, CASE WHEN t.of_line THEN t.line END,
    CASE WHEN t.place = 1 THEN
        coalesce(sum(t.cents) FILTER (WHERE t.of_line) OVER (PARTITION BY t.lead_file, t.lead_line), 0)
    END
FROM told AS t
CROSS JOIN this
