-- An authorizer as one function with a row lock: what PostgreSQL does for a payment when all of it is left to
-- PostgreSQL. No PIN, no calendar, no hash chain, no double entry, no links: a balance, a day's cap, an entry, and the
-- same answer to the same reference.
CREATE SCHEMA rowlock;

CREATE TABLE rowlock.merchant (
    merchant bigint  PRIMARY KEY,
    accepts  boolean NOT NULL
);

CREATE TABLE rowlock.card (
    card    bigint   PRIMARY KEY,
    holder  bigint   NOT NULL,
    product smallint NOT NULL,
    active  boolean  NOT NULL
);

-- Room in every page for the next version of its rows: with no index on `cents`, an update stays in the page (HOT).
CREATE TABLE rowlock.balance (
    holder  bigint   NOT NULL,
    product smallint NOT NULL,
    cents   bigint   NOT NULL CHECK (cents >= 0),
    PRIMARY KEY (holder, product)
) WITH (fillfactor = 50);

CREATE TABLE rowlock.spend (
    holder  bigint   NOT NULL,
    product smallint NOT NULL,
    day     date     NOT NULL,
    cents   bigint   NOT NULL CHECK (cents BETWEEN 0 AND 1900),
    PRIMARY KEY (holder, product, day)
) WITH (fillfactor = 50);

-- Append-only. `code` is the answer (ISO 8583, DE 39), which a reference that comes again gets again.
CREATE TABLE rowlock.entry (
    reference bigint      PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    card      bigint      NOT NULL,
    holder    bigint,
    product   smallint,
    merchant  bigint      NOT NULL,
    day       date        NOT NULL,
    cents     bigint      NOT NULL CHECK (cents > 0),
    code      text        NOT NULL,
    balance   bigint
);

-- The lock comes first: whoever holds the balance sees every entry of its holder, so a reference needs one look.
CREATE FUNCTION rowlock.authorize(card bigint, merchant bigint, cents bigint, reference bigint, day date)
RETURNS text
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    cap CONSTANT bigint := 1900;
    held rowlock.card;
    left_ bigint;
    spent bigint;
    answer text;
BEGIN
    SELECT * INTO held FROM rowlock.card AS c WHERE c.card = authorize.card;
    SELECT b.cents INTO left_ FROM rowlock.balance AS b
     WHERE b.holder = held.holder AND b.product = held.product FOR UPDATE;

    SELECT e.code INTO answer FROM rowlock.entry AS e WHERE e.reference = authorize.reference;
    IF answer IS NOT NULL THEN
        RETURN answer;
    END IF;

    SELECT s.cents INTO spent FROM rowlock.spend AS s
     WHERE s.holder = held.holder AND s.product = held.product AND s.day = authorize.day;
    answer := CASE
        WHEN left_ IS NULL THEN '14'
        WHEN NOT held.active THEN '62'
        WHEN NOT EXISTS (SELECT FROM rowlock.merchant AS m WHERE m.merchant = authorize.merchant AND m.accepts) THEN '03'
        WHEN coalesce(spent, 0) + authorize.cents > cap THEN '61'
        WHEN left_ < authorize.cents THEN '51'
        ELSE '00'
    END;

    IF answer = '00' THEN
        left_ := left_ - authorize.cents;
        UPDATE rowlock.balance AS b SET cents = left_ WHERE b.holder = held.holder AND b.product = held.product;
        IF spent IS NULL THEN
            INSERT INTO rowlock.spend VALUES (held.holder, held.product, authorize.day, authorize.cents);
        ELSE
            UPDATE rowlock.spend AS s SET cents = spent + authorize.cents
             WHERE s.holder = held.holder AND s.product = held.product AND s.day = authorize.day;
        END IF;
    END IF;
    INSERT INTO rowlock.entry (reference, card, holder, product, merchant, day, cents, code, balance)
    VALUES (authorize.reference, authorize.card, held.holder, held.product, authorize.merchant, authorize.day,
            authorize.cents, answer, left_);
    RETURN answer;
END
$$;
