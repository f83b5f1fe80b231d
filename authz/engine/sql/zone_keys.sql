-- The keys that links have changed. Applied once (docs/upgrading.md), and so that it changes nothing
-- that is there.

-- The newest key of each use of each link (`zone`, its acquirer's id): P0 for PIN blocks, M3 for MACs. It prevails over
-- the configuration's. It is sealed under a vault's key, and so is worth no more than a number in authz.vault to
-- whoever reads it here. To go back to the configuration's key, its row is deleted by hand; no role of the product may.
CREATE TABLE IF NOT EXISTS authz.zone_key (
    zone        text        COLLATE "C" NOT NULL,
    usage       text        COLLATE "C" NOT NULL CHECK (usage IN ('P0', 'M3')),
    sealed      bytea       NOT NULL,
    check_value text        NOT NULL,
    -- When it was put here, by the database's clock: for people.
    since       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (zone, usage)
);

GRANT SELECT, INSERT, UPDATE ON authz.zone_key TO authz;
GRANT SELECT (zone, usage, check_value, since) ON authz.zone_key TO finance;
