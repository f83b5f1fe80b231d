-- The work tables of one run: temporary, so that a run that ends in the middle leaves nothing.

-- name: inputs
-- What a run is made from, as far as it is asked about before the run begins.
-- One row each acquirer: what its terms allow, and `overdue`, the last business day that nothing may still come for.
CREATE TEMP TABLE agreed (
    acquirer text COLLATE "C" PRIMARY KEY, tolerance bigint, window_s int, overdue date
);
-- Where each business day of an acquirer begins. The first row of a partition, of seq 0, is the day before the first
-- cutover's: until then days are the calendar's.
CREATE TEMP TABLE opening (
    partition int, acquirer text COLLATE "C", seq bigint, day date
);
-- What was approved to resolve a break: of a record, of a line, or of both. `fresh`: no run has taken it up yet.
CREATE TEMP TABLE adjustment (
    partition int, seq bigint, kind text, cents bigint, of_partition int, of_seq bigint, file bigint, line int,
    fresh boolean
);

-- name: reading
-- What each session reads, matches exactly, and leaves.
-- What a terminal's request says of itself in the journal, as far as it is matched by.
CREATE TYPE pg_temp.origin AS (
    mti text, trace text, transmitted text, local text, terminal text, merchant text, retrieval_reference text,
    original text
);
-- Where each wanted business day lies in a partition's journal: `after` < seq <= `through`.
CREATE TEMP TABLE span (
    partition int, acquirer text COLLATE "C", account text COLLATE "C", "after" bigint, through bigint, day date
);
-- What the run before left open. Without a cause it was no break: it may still come, or a line's break stands for it.
CREATE TEMP TABLE carried AS
SELECT cause, since, source, merchant, terminal, expected, found, partition, seq, file, line, entry
FROM reconciliation.break WITH NO DATA;
-- The movements that are read. `fresh`: no run has read it yet. `settled`: an earlier one matched it, and something
-- about it is open all the same.
CREATE TEMP TABLE movement (
    partition int, seq bigint, at timestamptz, kind text, acquirer text COLLATE "C", day date, cents bigint,
    shortfall bigint, merchant text COLLATE "C", terminal text COLLATE "C", class text COLLATE "C",
    trace text COLLATE "C", transmitted text COLLATE "C", local timestamp, retrieval text COLLATE "C",
    product text, original text COLLATE "C", fresh boolean, settled boolean
);
-- The lines that are read. `several`: it names no payment, but sums some up.
CREATE TEMP TABLE line (
    file bigint, line int, acquirer text COLLATE "C", day date, kind text, class text COLLATE "C",
    merchant text COLLATE "C", terminal text COLLATE "C", trace text COLLATE "C", transmitted text COLLATE "C",
    local timestamp, retrieval text COLLATE "C", product text, cents bigint, payments int,
    original text COLLATE "C", several boolean
);
-- What is left of both, when the exact stage is through, and then stage by stage. `heard`: the ledger has a movement of
-- the line's terminal, or of its merchant where it names none.
CREATE TEMP TABLE open_movement (LIKE movement);
CREATE TEMP TABLE open_line (LIKE line);
ALTER TABLE open_line ADD COLUMN heard boolean;
-- The movements, matched or not, of which no balance covered all, or that give such a part back.
CREATE TEMP TABLE short (LIKE movement);
-- What the day's movements and lines come to, and all lines that were read; several rows each acquirer.
CREATE TEMP TABLE side (acquirer text COLLATE "C", ledger bigint, clearing bigint, lines bigint);
-- A line and a movement that it may name, whatever their cents, where they aren't an exact match.
CREATE TEMP TABLE candidate (partition int, seq bigint, file bigint, line int, expected bigint, found bigint);
-- The matches so far: each movement, and each line or entry, on one row only. `step` is when it was found, and `cents`
-- what the match comes to, on one of its rows. Matches are numbered by step and first line.
CREATE TEMP TABLE joined (
    step bigint, stage text, lead_file bigint, lead_line int, partition int, seq bigint, file bigint, line int,
    entry int, cents bigint
);
-- One movement and one line that are matched, though of different business days. `day` is the movement's.
CREATE TEMP TABLE strayed (partition int, seq bigint, file bigint, line int, expected bigint, day date);

-- name: matching
-- What is left, matched stage by stage and explained.
-- What a stage found: every movement and every line of a match beside each other, under the match's first line;
-- `cents` are the line's.
CREATE TEMP TABLE claim (
    lead_file bigint, lead_line int, partition int, seq bigint, file bigint, line int, cents bigint
);
CREATE TEMP SEQUENCE step;
-- Lines like one that is matched, or that stands before them.
CREATE TEMP TABLE again (file bigint, line int, PRIMARY KEY (file, line));
-- A line and the movement that it names, with other cents.
CREATE TEMP TABLE differing (
    partition int, seq bigint, file bigint, line int, expected bigint, found bigint, PRIMARY KEY (partition, seq)
);
-- The movements that a line sums up, though to other cents.
CREATE TEMP TABLE summed (partition int, seq bigint, file bigint, line int, cents bigint, PRIMARY KEY (partition, seq));
-- What doesn't agree, without number and age. Bank stages add to it alike.
CREATE TEMP TABLE finding (
    cause text, source text COLLATE "C", merchant text COLLATE "C", terminal text COLLATE "C", expected bigint,
    found bigint, partition int, seq bigint, file bigint, line int, entry int, detail text
);

-- What is open, and no break names.
CREATE TEMP VIEW unnamed_movement AS
SELECT * FROM open_movement AS m
WHERE NOT EXISTS (SELECT FROM finding AS f WHERE f.partition = m.partition AND f.seq = m.seq);

CREATE TEMP VIEW unexplained_line AS
SELECT * FROM open_line AS l
WHERE NOT EXISTS (SELECT FROM finding AS f WHERE f.file = l.file AND f.line = l.line);

CREATE TEMP VIEW unexplained_movement AS
SELECT * FROM unnamed_movement AS m
WHERE NOT EXISTS (SELECT FROM summed AS s WHERE s.partition = m.partition AND s.seq = m.seq)
