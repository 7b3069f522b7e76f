-- Stripe's events, and the objects they hint at as they were last read.

-- An event is done in the same transaction as its effects.
CREATE TABLE inbox (
    event_id text PRIMARY KEY,
    type text NOT NULL,
    livemode boolean NOT NULL,
    occurred_at timestamptz NOT NULL,
    -- By the database's clock, as are the reads it is compared with.
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL CHECK (state IN ('pending', 'done', 'ignored', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    next_attempt_at timestamptz,
    done_at timestamptz,
    -- The body as Stripe sent it, byte for byte.
    payload json NOT NULL
);
CREATE INDEX inbox_next_attempt_at_idx ON inbox (next_attempt_at) WHERE state = 'pending';
CREATE INDEX inbox_dead_idx ON inbox (seen_at) WHERE state = 'dead';

CREATE TABLE stripe_customers (
    id text PRIMARY KEY,
    member_id uuid REFERENCES members (id),
    linked_at timestamptz
);
CREATE INDEX stripe_customers_member_id_idx ON stripe_customers (member_id);

CREATE TABLE subscriptions (
    id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES stripe_customers (id),
    member_id uuid REFERENCES members (id),
    plan_slug text REFERENCES plans (slug),
    price_ids text[] NOT NULL,
    quantity bigint NOT NULL,
    status text NOT NULL,
    collection_paused boolean NOT NULL,
    current_period_end timestamptz,
    cancel_at_period_end boolean NOT NULL,
    cancel_at timestamptz,
    ended_at timestamptz,
    trial_end timestamptz,
    owed_since timestamptz,
    owed_invoice_url text,
    -- Derived by the last convergence.
    standing text NOT NULL,
    grace_until timestamptz,
    had_access boolean NOT NULL,
    livemode boolean NOT NULL,
    -- A write replaces exactly the version that its read began after.
    version bigint NOT NULL,
    read_started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX subscriptions_member_id_idx ON subscriptions (member_id);
CREATE INDEX subscriptions_customer_id_idx ON subscriptions (customer_id);

-- Stripe's time of an invoice's first failed attempt: known from its event alone.
CREATE TABLE invoice_failures (
    invoice_id text PRIMARY KEY,
    first_failed_at timestamptz NOT NULL
);

CREATE TABLE checkout_sessions (
    id text PRIMARY KEY,
    member_id uuid NOT NULL REFERENCES members (id),
    plan_slug text NOT NULL REFERENCES plans (slug),
    state text NOT NULL CHECK (state IN ('open', 'complete', 'expired')),
    subscription_id text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX checkout_sessions_open_idx ON checkout_sessions (created_at) WHERE state = 'open';

CREATE TABLE grants (
    id uuid PRIMARY KEY,
    member_id uuid NOT NULL REFERENCES members (id),
    plan_slug text NOT NULL REFERENCES plans (slug),
    reason text NOT NULL,
    granted_by text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX grants_member_id_idx ON grants (member_id);
