-- How far the events that Stripe keeps have been compared with the inbox.

-- One row a mode: what was swept in test mode says nothing about live mode.
CREATE TABLE event_sweeps (
    livemode boolean PRIMARY KEY,
    -- By Stripe's clock. Everything that Stripe made before was in the inbox, or is nothing to us.
    swept_to timestamptz NOT NULL
);

-- For lists, the newest first, and for forgetting the oldest.
CREATE INDEX inbox_seen_at_idx ON inbox (seen_at, event_id);
