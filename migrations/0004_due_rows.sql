-- What is owed to the outside, written with its cause: roles and messages. And the cron's claims.

-- A person in a server: one row is one convergence to be carried out by the bot.
CREATE TABLE member_guilds (
    guild_id bigint NOT NULL,
    user_id bigint NOT NULL,
    member_id uuid NOT NULL REFERENCES members (id),
    -- Only grows. The bot drops what is older than the newest it has seen.
    revision bigint NOT NULL,
    applied_revision bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('in_sync', 'due', 'waiting_for_member', 'blocked', 'held')),
    blocked_reason text,
    -- Somebody is waiting for it, or it belongs to a sweep.
    lane text NOT NULL CHECK (lane IN ('now', 'bulk')),
    reason text NOT NULL,
    -- The person asked for this, so they may be added to the server.
    join_wanted boolean NOT NULL,
    -- When the command is sent (again) unless an outcome comes first.
    send_at timestamptz,
    sends integer NOT NULL,
    screening_pending boolean NOT NULL,
    observed_at timestamptz,
    -- The lease holder whose outcome was kept last: one that lost its lease before is not believed.
    fence bigint NOT NULL,
    PRIMARY KEY (guild_id, user_id)
);
CREATE INDEX member_guilds_member_id_idx ON member_guilds (member_id);
CREATE INDEX member_guilds_send_at_idx ON member_guilds (send_at) WHERE state = 'due';
CREATE INDEX member_guilds_state_idx ON member_guilds (guild_id, state) WHERE state <> 'in_sync';

CREATE TABLE member_roles (
    guild_id bigint NOT NULL,
    user_id bigint NOT NULL,
    role_id bigint NOT NULL,
    desired boolean NOT NULL,
    reasons jsonb NOT NULL,
    -- What the bot last saw; unknown before it looked.
    observed boolean,
    -- Who gave it: only a role that is ours is ever taken away.
    provenance text CHECK (provenance IN ('ours', 'foreign')),
    -- The revision of the first command that asked for it.
    first_revision bigint,
    PRIMARY KEY (guild_id, user_id, role_id),
    FOREIGN KEY (guild_id, user_id) REFERENCES member_guilds (guild_id, user_id) ON DELETE CASCADE
);

-- A role that cannot be written until the owner mends the server.
CREATE TABLE role_breakers (
    guild_id bigint NOT NULL,
    role_id bigint NOT NULL,
    code bigint NOT NULL,
    message text NOT NULL,
    opened_at timestamptz NOT NULL,
    PRIMARY KEY (guild_id, role_id)
);

CREATE TABLE notifications (
    id uuid PRIMARY KEY,
    member_id uuid NOT NULL REFERENCES members (id),
    kind text NOT NULL,
    -- Each message once, however often its cause is seen.
    dedup_key text NOT NULL CONSTRAINT notifications_dedup_key_key UNIQUE,
    args jsonb NOT NULL,
    state text NOT NULL CHECK (state IN ('due', 'sending', 'sent', 'undeliverable')),
    attempts integer NOT NULL,
    send_at timestamptz,
    last_error text,
    created_at timestamptz NOT NULL,
    sent_at timestamptz
);
CREATE INDEX notifications_send_at_idx ON notifications (send_at) WHERE state IN ('due', 'sending');
CREATE INDEX notifications_member_id_idx ON notifications (member_id);

-- A tick is run by whoever inserts its row.
CREATE TABLE cron_runs (
    id uuid PRIMARY KEY,
    job text NOT NULL,
    scheduled_for timestamptz NOT NULL,
    -- Made by hand: does not stand in the way of the tick of the same moment.
    manual boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('requested', 'running', 'succeeded', 'failed')),
    worker text,
    started_at timestamptz,
    finished_at timestamptz,
    outcome text
);
CREATE UNIQUE INDEX cron_runs_job_scheduled_for_key ON cron_runs (job, scheduled_for) WHERE NOT manual;
CREATE INDEX cron_runs_job_idx ON cron_runs (job, scheduled_for DESC);
