-- What is sold, for which servers, and what each server looks like to the bot.

-- One row: every change of the catalog raises the version, so that readers can keep a copy.
CREATE TABLE catalog_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version bigint NOT NULL
);
INSERT INTO catalog_version (version) VALUES (0);

CREATE TABLE plans (
    slug text PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('individual', 'company')),
    position integer NOT NULL,
    grace_seconds bigint CHECK (grace_seconds >= 0),
    paused_keeps_access boolean NOT NULL,
    trial_days integer NOT NULL CHECK (trial_days >= 0),
    end_policy text NOT NULL CHECK (end_policy IN ('remove', 'alumni')),
    seat_policy text NOT NULL CHECK (seat_policy IN ('grace', 'reject')),
    seat_grace_seconds bigint CHECK (seat_grace_seconds >= 0),
    proration text NOT NULL CHECK (proration IN ('always', 'none')),
    archived boolean NOT NULL
);

-- A price sells one plan. What it costs is read from Stripe after the plans file was applied.
CREATE TABLE plan_prices (
    price_id text PRIMARY KEY,
    plan_slug text NOT NULL REFERENCES plans (slug),
    lifetime boolean NOT NULL,
    position integer NOT NULL,
    active boolean,
    unit_amount bigint,
    currency text,
    billing_interval text,
    billing_interval_count integer,
    read_at timestamptz
);
CREATE INDEX plan_prices_plan_slug_idx ON plan_prices (plan_slug);

CREATE TABLE plan_roles (
    plan_slug text NOT NULL REFERENCES plans (slug),
    guild_id bigint NOT NULL,
    role_id bigint NOT NULL,
    PRIMARY KEY (plan_slug, guild_id, role_id)
);

CREATE TABLE guilds (
    guild_id bigint PRIMARY KEY,
    debtor_role bigint,
    introduced_role bigint,
    introductions_channel bigint,
    alumni_role bigint
);

-- The server as the bot last saw it: names for people, order and permissions for the setup check.
CREATE TABLE guild_snapshots (
    guild_id bigint PRIMARY KEY,
    observed_at timestamptz NOT NULL,
    snapshot jsonb NOT NULL
);
