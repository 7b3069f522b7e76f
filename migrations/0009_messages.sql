-- Messages by mail and by Discord, and those that came to nothing.

ALTER TABLE notifications
    ADD COLUMN channel text NOT NULL DEFAULT 'mail' CHECK (channel IN ('mail', 'discord')),
    DROP CONSTRAINT notifications_state_check,
    ADD CONSTRAINT notifications_state_check
        CHECK (state IN ('due', 'sending', 'sent', 'undeliverable', 'cancelled'));
CREATE INDEX notifications_created_at_idx ON notifications (created_at);

-- Whether the person wants messages by Discord, too.
ALTER TABLE members ADD COLUMN direct_messages boolean NOT NULL DEFAULT true;
