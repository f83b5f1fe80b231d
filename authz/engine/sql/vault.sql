-- Schema authz and the card vault. Applied once (docs/upgrading.md), and so that it changes nothing
-- that is there.

CREATE SCHEMA IF NOT EXISTS authz;
GRANT USAGE ON SCHEMA authz TO authz, finance;

-- Which card a number is. Nothing in an immutable record could ever be encrypted again or erased: so the number is
-- here, and the journal knows a card by its random id. `token` is the number's keyed hash: its key is never changed, for
-- no card would be found under another. What is sealed names its key in its first bytes, so that `authz vault reencrypt`
-- can seal it again under a newer one while engines run.
CREATE TABLE IF NOT EXISTS authz.vault (
    card         text     COLLATE "C" PRIMARY KEY,
    holder       text     COLLATE "C" NOT NULL,
    partition    integer  NOT NULL,
    token        bytea    NOT NULL UNIQUE,
    first6       text     NOT NULL,
    last4        text     NOT NULL,
    sealed_pan   bytea    NOT NULL,
    sealed_check bytea    NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON authz.vault TO authz;
