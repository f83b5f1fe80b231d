-- How files are taken in: the register (table `file`), and the lines behind it.

-- name: may_import
-- Whether the role can add to the reconciliation.
SELECT has_table_privilege('reconciliation.file', 'INSERT');

-- name: found
-- The file of these bytes, and what its lines ask for and give back, or its entries brought and took.
SELECT f.id, f.name, f.kind, f.format, f.source, f.day, f.lines, f.quarantined,
       coalesce(sums.debits, 0)::bigint AS debits, coalesce(sums.credits, 0)::bigint AS credits
  FROM reconciliation.file AS f
 CROSS JOIN LATERAL (
       SELECT sum(cents) FILTER (WHERE cents > 0) AS debits, -sum(cents) FILTER (WHERE cents < 0) AS credits
         FROM (
              SELECT cents FROM reconciliation.clearing_line WHERE file = f.id
               UNION ALL
              SELECT cents FROM reconciliation.bank_entry WHERE file = f.id
         ) AS amount
  ) AS sums
 WHERE f.sha256 = $1;

-- name: quarantined
-- The lines of a file that were left out.
SELECT line, reason FROM reconciliation.quarantined WHERE file = $1 ORDER BY line;

-- name: locked
-- One file at a time is entered: until the transaction ends.
SELECT pg_advisory_xact_lock(x'696d706f7274'::bigint);

-- name: same_name
-- Another file of the acquirer's that bears the name which this format gives a file for good.
SELECT encode(sha256, 'hex') FROM reconciliation.file
 WHERE kind = 'clearing' AND format = $1 AND source = $2 AND name = $3 AND sha256 <> $4
 LIMIT 1;

-- name: same_days
-- The first day of these that another statement has.
SELECT b.account, b.day, f.name
  FROM reconciliation.bank_balance AS b
  JOIN reconciliation.file AS f ON f.id = b.file
  JOIN unnest($1::text[], $2::date[]) AS said (account, day) ON said.account = b.account AND said.day = b.day
 ORDER BY b.day, b.account
 LIMIT 1;

-- name: entered
-- Enter a file under the next number.
INSERT INTO reconciliation.file (sha256, kind, format, name, source, day, lines, quarantined, totals)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING id;

-- name: entered_as
-- Enter a file under a number that it was given before.
INSERT INTO reconciliation.file (sha256, kind, format, name, source, day, lines, quarantined, totals, id)
OVERRIDING SYSTEM VALUE
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: incoming
-- Where a file's lines wait until all of it is known to agree.
CREATE TEMP TABLE incoming AS
SELECT line, acquirer, day, kind, merchant, cents, class, terminal, trace, transmitted, local, retrieval, approval,
       card, product, payments, original
  FROM reconciliation.clearing_line
  WITH NO DATA;
CREATE UNIQUE INDEX ON pg_temp.incoming (line);

-- name: copied
-- Copy some of the lines that wait, in their order.
INSERT INTO reconciliation.clearing_line (
    file, line, acquirer, day, kind, merchant, cents, class, terminal, trace, transmitted, local, retrieval, approval,
    card, product, payments, original
)
SELECT $1, line, acquirer, day, kind, merchant, cents, class, terminal, trace, transmitted, local, retrieval, approval,
       card, product, payments, original
  FROM incoming
 WHERE line > $2 AND line <= $3
 ORDER BY line;
