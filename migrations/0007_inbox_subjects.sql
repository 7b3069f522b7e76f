-- Keeping an event is one thing, its effect another: a kept event waits here for whoever has room for it.

ALTER TABLE inbox
    -- What it concerns. Null where nobody has looked into it yet.
    ADD COLUMN subject jsonb,
    -- Somebody may be waiting for it, to get something that they lack.
    ADD COLUMN urgent boolean NOT NULL DEFAULT false;

-- For taking up what nobody holds: what is urgent first, and of that the newest.
CREATE INDEX inbox_urgent_idx ON inbox (urgent, seen_at) WHERE state = 'pending';
