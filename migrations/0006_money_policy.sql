-- What each standing means is the owner's to decide, and since when a standing is counts.

ALTER TABLE plans
    DROP CONSTRAINT plans_end_policy_check,
    ADD CONSTRAINT plans_end_policy_check CHECK (end_policy IN ('remove', 'alumni', 'kick'));

-- Every policy that ever was in force, the newest last. None: the built-in rules.
CREATE TABLE policies (
    version bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    policy jsonb NOT NULL,
    saved_at timestamptz NOT NULL,
    saved_by text NOT NULL,
    reason text NOT NULL
);

-- Null where the last convergence was before this column.
ALTER TABLE subscriptions ADD COLUMN standing_since timestamptz;
