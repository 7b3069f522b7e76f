-- People who are removed from a server when what they held there has ended, because the plan's owner chose so.

ALTER TABLE member_guilds
    -- Something that gave them access has not ended yet: once it has, they go.
    ADD COLUMN kick_ahead boolean NOT NULL DEFAULT false,
    -- It had ended by then, and the bot has still to remove them. Part of what the row owes while it is due: an
    -- outcome that settles the row settles this, so that one end removes somebody once.
    ADD COLUMN kick_due_at timestamptz,
    ADD CONSTRAINT member_guilds_kick_check CHECK (NOT kick_ahead OR kick_due_at IS NULL);
