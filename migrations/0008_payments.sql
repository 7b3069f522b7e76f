-- What was bought once, and payments that were given back, disputed or warned of.

CREATE TABLE purchases (
    -- The Checkout Session that sold it.
    id text PRIMARY KEY,
    customer_id text REFERENCES stripe_customers (id),
    member_id uuid REFERENCES members (id),
    plan_slug text REFERENCES plans (slug),
    -- Null where nothing was to be paid.
    payment_intent text,
    paid boolean NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    bought_at timestamptz NOT NULL,
    livemode boolean NOT NULL,
    -- Derived by the last convergence.
    standing text NOT NULL,
    standing_since timestamptz,
    grace_until timestamptz,
    had_access boolean NOT NULL,
    -- A write replaces exactly the version that its read began after.
    version bigint NOT NULL,
    read_started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX purchases_member_id_idx ON purchases (member_id);
CREATE INDEX purchases_customer_id_idx ON purchases (customer_id);

-- Charges that something happened to after they were made; all others are of no interest.
CREATE TABLE payments (
    -- The charge.
    id text PRIMARY KEY,
    -- What it paid for: a purchase by its payment intent, or a subscription up to the end of a period.
    payment_intent text,
    subscription_id text,
    period_end timestamptz,
    amount bigint NOT NULL,
    amount_refunded bigint NOT NULL,
    currency text NOT NULL,
    created_at timestamptz NOT NULL,
    dispute_stage text CHECK (dispute_stage IN ('inquiry', 'open', 'won', 'lost')),
    disputed_at timestamptz,
    fraud_warning_at timestamptz,
    livemode boolean NOT NULL,
    version bigint NOT NULL,
    read_started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT payments_dispute_check CHECK ((dispute_stage IS NULL) = (disputed_at IS NULL))
);
CREATE INDEX payments_subscription_id_idx ON payments (subscription_id) WHERE subscription_id IS NOT NULL;
CREATE INDEX payments_payment_intent_idx ON payments (payment_intent) WHERE payment_intent IS NOT NULL;
