-- Who people are. Applied once (docs/upgrading.md), and so that it changes nothing that is there.

-- The name, e-mail address and language of holders and of clients' people, sealed as the numbers in authz.vault are.
-- `id` is a keyed hash: a row that is deleted leaves records behind which nobody can tell whom they were about (GDPR,
-- article 17).
CREATE TABLE IF NOT EXISTS authz.contact (
    id     text  COLLATE "C" PRIMARY KEY,
    sealed bytea NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON authz.contact TO authz;
