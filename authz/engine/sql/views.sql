-- Reference data as people read it. It has no tables of its own: a merchant, an employer, a programme and a holder's
-- cards are the newest lines of their passbooks in the journal, and these views show them. A view can't be stale and
-- needs no rebuilding. They are thrown away and made again whenever the schema is brought up to date.

DROP VIEW IF EXISTS authz.merchant, authz.employer, authz.programme, authz.card;

-- The newest line of every passbook whose name begins with `prefix`, straight from the index (partition, holder, seq).
CREATE OR REPLACE FUNCTION authz.newest(prefix text)
RETURNS TABLE (partition integer, id text, seq bigint, state json)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT ON (partition, holder)
           partition, substr(holder, length(prefix) + 1), seq, position
      FROM ledger.journal
     WHERE holder >= prefix COLLATE "C" AND holder < (prefix || chr(127)) COLLATE "C"
     ORDER BY partition, holder, seq DESC
$$;

CREATE VIEW authz.merchant AS
    SELECT DISTINCT ON (id) id, seq,
           state ->> 'name' AS name, state ->> 'mcc' AS mcc, state ->> 'territory' AS territory,
           state ->> 'time_zone' AS time_zone, state -> 'accepts' AS accepts
      FROM authz.newest('merchant:')
     ORDER BY id, partition;

CREATE VIEW authz.employer AS
    SELECT DISTINCT ON (id) id, seq,
           state ->> 'name' AS name, state ->> 'programme' AS programme,
           (state ->> 'sundays_holidays')::boolean AS sundays_holidays
      FROM authz.newest('employer:')
     ORDER BY id, partition;

CREATE VIEW authz.programme AS
    SELECT DISTINCT ON (id) id, seq, state AS rules
      FROM authz.newest('programme:')
     ORDER BY id, partition;

CREATE VIEW authz.card AS
    SELECT vault.card, vault.holder, vault.first6, vault.last4,
           state ->> 1 AS programme, (state ->> 2)::integer AS generation, state ->> 3 AS expiry,
           state ->> 4 AS status, (state ->> 5)::integer AS pin_wrong, (state ->> 6)::integer AS cvv2_wrong
      FROM authz.vault
     CROSS JOIN LATERAL (
           SELECT position FROM ledger.journal
            WHERE journal.partition = vault.partition AND journal.holder = vault.holder
            ORDER BY seq DESC LIMIT 1) AS line
     CROSS JOIN LATERAL json_array_elements(line.position -> 1) AS card (state)
     WHERE state ->> 0 = vault.card;

GRANT SELECT ON authz.merchant, authz.employer, authz.programme, authz.card TO authz, finance;
