-- Grants by hand are given and taken back by somebody, for a reason.

ALTER TABLE grants
    ADD COLUMN revoked_by text,
    ADD CONSTRAINT grants_reason_check CHECK (btrim(reason) <> ''),
    ADD CONSTRAINT grants_ends_at_check CHECK (ends_at > starts_at),
    ADD CONSTRAINT grants_revoked_check CHECK ((revoked_at IS NULL) = (revoked_by IS NULL));

COMMENT ON COLUMN grants.granted_by IS 'Who gave it: cli, or staff:<member id>.';
COMMENT ON COLUMN grants.revoked_by IS 'Who took it back: cli, or staff:<member id>.';
