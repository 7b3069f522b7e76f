-- Buying: codes and tax by plan, clicks that mean the same, trials that are used once, and changes of plan
-- as they were shown.

ALTER TABLE plans
    -- Whether Checkout takes promotion codes.
    ADD COLUMN promotion_codes boolean NOT NULL DEFAULT true,
    -- Whether Stripe Tax adds the tax.
    ADD COLUMN tax boolean NOT NULL DEFAULT false;

-- When we learnt that Stripe does not know the customer any more: nothing is bought with it again.
ALTER TABLE stripe_customers ADD COLUMN gone_at timestamptz;

-- The free days that the session gives; zero for none.
ALTER TABLE checkout_sessions
    ADD COLUMN trial_days integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT checkout_sessions_trial_days_check CHECK (trial_days >= 0);

-- The first of several clicks that mean the same purchase.
CREATE TABLE checkout_clicks (
    member_id uuid NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    -- Of everything that the purchase consists of.
    order_hash bytea NOT NULL,
    clicked_at timestamptz NOT NULL,
    PRIMARY KEY (member_id, order_hash)
);

-- Trials that our Checkout gave. What is due: looking whether the card or the account had one before, and
-- ending the trial if so.
CREATE TABLE trials (
    subscription_id text PRIMARY KEY,
    plan_slug text NOT NULL REFERENCES plans (slug),
    member_id uuid NOT NULL REFERENCES members (id) ON DELETE CASCADE,
    discord_user_id bigint,
    -- `refused`: Stripe has still to be told that the trial ends.
    state text NOT NULL CHECK (state IN ('unchecked', 'refused', 'kept', 'ended')),
    due_at timestamptz,
    attempts integer NOT NULL,
    last_error text,
    created_at timestamptz NOT NULL,
    settled_at timestamptz,
    CONSTRAINT trials_due_check CHECK ((state IN ('unchecked', 'refused')) = (due_at IS NOT NULL))
);
CREATE INDEX trials_due_at_idx ON trials (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX trials_member_id_idx ON trials (member_id);

-- Who has used the trial of a plan, whatever became of them: a person, a Discord account, a card.
CREATE TABLE used_trials (
    plan_slug text NOT NULL REFERENCES plans (slug),
    holder_kind text NOT NULL CHECK (holder_kind IN ('member', 'discord', 'card')),
    -- An id; of a card the SHA-256 of Stripe's fingerprint.
    holder text NOT NULL,
    subscription_id text NOT NULL,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (plan_slug, holder_kind, holder)
);

-- What a person was told that a change of their subscription costs.
CREATE TABLE change_previews (
    subscription_id text PRIMARY KEY REFERENCES subscriptions (id) ON DELETE CASCADE,
    price_id text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    -- The moment that the settlement is reckoned from, in the preview and in the change.
    prorated_at timestamptz NOT NULL,
    -- What the invoice of the preview comes to, in the smallest unit of the currency.
    total bigint NOT NULL,
    currency text NOT NULL,
    previewed_at timestamptz NOT NULL
);
