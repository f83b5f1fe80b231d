-- The stages, in the order in which they are run. Each claims movements and lines, and `adopt` makes matches of it.

-- name: candidates
-- A line names a movement by the fields that it has: merchant and trace number always, and a time. Without a message
-- type the same side is asked for: a reversal may bear the trace number of what it takes back.
INSERT INTO candidate (partition, seq, file, line, expected, found)
SELECT m.partition, m.seq, l.file, l.line, m.cents, l.cents
FROM line AS l
JOIN movement AS m ON m.acquirer = l.acquirer AND m.merchant = l.merchant AND m.trace = l.trace
WHERE NOT m.settled AND NOT l.several
    AND (l.terminal IS NULL OR l.terminal = m.terminal)
    AND (l.transmitted IS NULL OR l.transmitted = m.transmitted)
    AND (l.local IS NULL OR l.local = m.local)
    AND (l.transmitted IS NOT NULL OR l.local IS NOT NULL)
    AND CASE WHEN l.class IS NULL THEN sign(l.cents) = sign(m.cents) ELSE l.class = m.class END;
ANALYZE candidate

-- name: exact
-- The same message, the same cents. A line that could be two movements is neither's; of lines that could only be one
-- movement the first is its.
INSERT INTO claim (lead_file, lead_line, partition, seq, file, line, cents)
SELECT p.file, p.line, p.partition, p.seq, p.file, p.line, p.found
FROM (
    SELECT s.*, row_number() OVER (PARTITION BY s.partition, s.seq ORDER BY s.file, s.line) AS place
    FROM (
        SELECT c.*, count(*) OVER (PARTITION BY c.file, c.line) AS movements
        FROM candidate AS c
        WHERE c.found = c.expected
    ) AS s
    WHERE s.movements = 1
) AS p
WHERE p.place = 1

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
-- their trace number or retrieval reference they are alike whatever their cents; without, the cents count too.
WITH named AS MATERIALIZED (
    SELECT l.*, coalesce(l.trace, l.retrieval, '') AS name,
        CASE WHEN l.trace IS NULL AND l.retrieval IS NULL THEN l.cents END AS amount,
        CASE WHEN l.several THEN l.day END AS of_day
    FROM open_line AS l
    WHERE l.payments > 1 OR NOT l.several
)
INSERT INTO again (file, line)
SELECT n.file, n.line
FROM named AS n
JOIN line AS l
    ON l.acquirer = n.acquirer AND l.merchant = n.merchant AND coalesce(l.trace, l.retrieval, '') = n.name
WHERE (l.file, l.line) <> (n.file, n.line)
    AND l.kind = n.kind AND l.payments = n.payments
    AND l.terminal IS NOT DISTINCT FROM n.terminal AND l.class IS NOT DISTINCT FROM n.class
    AND l.trace IS NOT DISTINCT FROM n.trace AND l.retrieval IS NOT DISTINCT FROM n.retrieval
    AND l.transmitted IS NOT DISTINCT FROM n.transmitted AND l.local IS NOT DISTINCT FROM n.local
    AND (n.amount IS NULL OR l.cents = n.amount) AND (n.of_day IS NULL OR l.day = n.of_day)
    AND ((l.file, l.line) < (n.file, n.line)
        OR EXISTS (SELECT FROM joined_line AS j WHERE j.file = l.file AND j.line = l.line))
UNION
SELECT n.file, n.line
FROM named AS n
JOIN reconciliation.clearing_line AS l
    ON l.acquirer = n.acquirer AND l.merchant = n.merchant AND coalesce(l.trace, l.retrieval, '') = n.name
WHERE l.day >= $1 AND l.kind = n.kind AND l.payments = n.payments
    AND l.terminal IS NOT DISTINCT FROM n.terminal
    AND (CASE l.class WHEN '042' THEN '040' ELSE l.class END) IS NOT DISTINCT FROM n.class
    AND l.trace IS NOT DISTINCT FROM n.trace AND l.retrieval IS NOT DISTINCT FROM n.retrieval
    AND l.transmitted IS NOT DISTINCT FROM n.transmitted AND l.local IS NOT DISTINCT FROM n.local
    AND (n.amount IS NULL OR l.cents = n.amount) AND (n.of_day IS NULL OR l.day = n.of_day)
    AND EXISTS (SELECT FROM reconciliation.matched_line AS x WHERE x.file = l.file AND x.line = l.line)

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

-- name: adopt_pairs
-- Number what a stage ($1) claimed behind the matches so far, where it claims one line for one movement, both open.
WITH numbered AS MATERIALIZED (
    SELECT c.*, (SELECT coalesce(max(j.number), 0) FROM joined AS j)
        + row_number() OVER (ORDER BY c.file, c.line) AS number
    FROM claim AS c
),
side AS (
    INSERT INTO joined_movement (number, partition, seq) SELECT n.number, n.partition, n.seq FROM numbered AS n
),
other AS (
    INSERT INTO joined_line (number, file, line) SELECT n.number, n.file, n.line FROM numbered AS n
)
INSERT INTO joined (number, stage, cents) SELECT n.number, $1, n.cents FROM numbered AS n

-- name: adopt
-- Number what a stage ($1) claimed behind the matches so far. A match comes to what its lines say: to 0 without any.
WITH numbered AS (
    SELECT c.*, (SELECT coalesce(max(j.number), 0) FROM joined AS j)
        + dense_rank() OVER (ORDER BY c.lead_file, c.lead_line) AS number
    FROM claim AS c
),
side AS (
    INSERT INTO joined_movement (number, partition, seq)
    SELECT n.number, n.partition, n.seq FROM numbered AS n WHERE n.seq IS NOT NULL
    ON CONFLICT DO NOTHING
),
other AS (
    INSERT INTO joined_line (number, file, line)
    SELECT n.number, n.file, n.line FROM numbered AS n WHERE n.line IS NOT NULL
    ON CONFLICT DO NOTHING
)
INSERT INTO joined (number, stage, cents)
SELECT o.number, $1, coalesce(sum(o.cents), 0)
FROM (SELECT DISTINCT n.number, n.file, n.line, n.cents FROM numbered AS n) AS o
GROUP BY o.number
ORDER BY o.number

-- name: next
TRUNCATE claim;
ANALYZE joined_movement;
ANALYZE joined_line
