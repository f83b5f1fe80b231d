-- The work tables of one run: temporary, so that a run that ends in the middle leaves nothing.

-- name: create
-- One row each acquirer: what its terms allow, and `overdue`, the last business day that nothing may still come for.
CREATE TEMP TABLE agreed (
    acquirer text COLLATE "C" PRIMARY KEY, tolerance bigint, window_s int, overdue date
);
-- Where each business day of an acquirer begins. The first row of a partition, of seq 0, is the day before the first
-- cutover's: until then days are the calendar's.
CREATE TEMP TABLE opening (
    partition int, acquirer text COLLATE "C", seq bigint, day date, PRIMARY KEY (partition, acquirer, seq)
);
-- What was open in the run before.
CREATE TEMP TABLE carried AS
SELECT cause, since, source, merchant, terminal, expected, found, partition, seq, file, line, entry
FROM reconciliation.break WITH NO DATA;
-- Records that move an acquirer's account, before the journal says what they are.
CREATE TEMP TABLE touched (
    partition int, seq bigint, acquirer text COLLATE "C", cents bigint, shortfall bigint, product text, carried boolean,
    settled boolean, PRIMARY KEY (partition, seq)
);
-- The movements that may be matched. `fresh`: no run has read it yet. `settled`: an earlier one matched it, and
-- something about it is open all the same.
CREATE TEMP TABLE movement (
    partition int, seq bigint, at timestamptz, kind text, acquirer text COLLATE "C", day date, cents bigint,
    shortfall bigint, merchant text COLLATE "C", terminal text COLLATE "C", class text COLLATE "C",
    trace text COLLATE "C", transmitted text COLLATE "C", local timestamp, retrieval text COLLATE "C",
    product text, original text COLLATE "C", fresh boolean,
    settled boolean, PRIMARY KEY (partition, seq)
);
-- The lines that may be matched. `several`: it names no payment, but sums some up.
CREATE TEMP TABLE line (
    file bigint, line int, acquirer text COLLATE "C", day date, kind text, class text COLLATE "C",
    merchant text COLLATE "C", terminal text COLLATE "C", trace text COLLATE "C", transmitted text COLLATE "C",
    local timestamp, retrieval text COLLATE "C", product text, cents bigint, payments int,
    original text COLLATE "C", several boolean
);
-- A line and a movement that it may name, whatever their cents.
CREATE TEMP TABLE candidate (partition int, seq bigint, file bigint, line int, expected bigint, found bigint);
-- What a stage found: every movement and every line of a match beside each other, under the match's first line;
-- `cents` are the line's.
CREATE TEMP TABLE claim (
    lead_file bigint, lead_line int, partition int, seq bigint, file bigint, line int, cents bigint
);
-- The matches so far. Bank stages add to `joined` and `joined_entry` alike.
CREATE TEMP TABLE joined (number int PRIMARY KEY, stage text, cents bigint);
CREATE TEMP TABLE joined_movement (number int, partition int, seq bigint, PRIMARY KEY (partition, seq));
CREATE TEMP TABLE joined_line (number int, file bigint, line int, PRIMARY KEY (file, line));
CREATE TEMP TABLE joined_entry (number int, file bigint, entry int, PRIMARY KEY (file, entry));
-- Lines like one that is matched, or that stands before them.
CREATE TEMP TABLE again (file bigint, line int, PRIMARY KEY (file, line));
-- What was approved to resolve a break: of a record, of a line, or of both. `fresh`: no run has taken it up yet.
CREATE TEMP TABLE adjustment (
    partition int, seq bigint, kind text, cents bigint, of_partition int, of_seq bigint, file bigint, line int,
    fresh boolean
);
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

CREATE TEMP VIEW open_movement AS
SELECT * FROM movement AS m
WHERE NOT m.settled
    AND NOT EXISTS (SELECT FROM joined_movement AS j WHERE j.partition = m.partition AND j.seq = m.seq);

CREATE TEMP VIEW open_line AS
SELECT * FROM line AS l
WHERE NOT EXISTS (SELECT FROM joined_line AS j WHERE j.file = l.file AND j.line = l.line);
