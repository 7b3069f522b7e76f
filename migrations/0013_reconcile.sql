-- Runs that compare what is kept with what Stripe says, what they found, and what is wrong with the set-up.

CREATE TABLE reconcile_runs (
    id uuid PRIMARY KEY,
    scope text NOT NULL CHECK (scope IN ('stripe', 'discord', 'all')),
    -- Findings only.
    dry_run boolean NOT NULL,
    -- Who asked: cli, cron, staff:<id>.
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    state text NOT NULL
        CHECK (state IN ('requested', 'reading', 'held', 'applying', 'done', 'failed')),
    -- Who said yes to whatever it takes away.
    approved_by text,
    approved_at timestamptz,
    -- Whoever works on it, and until when: a worker that died is missed after that.
    worker text,
    claimed_until timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    figures jsonb NOT NULL,
    -- Why it is, or was, held; in words.
    hold_reasons text[] NOT NULL,
    error text,
    CONSTRAINT reconcile_runs_approved_check CHECK ((approved_by IS NULL) = (approved_at IS NULL))
);
CREATE INDEX reconcile_runs_open_idx ON reconcile_runs (requested_at)
    WHERE state IN ('requested', 'reading', 'applying');

-- One object that is not as it should be.
CREATE TABLE reconcile_findings (
    run_id uuid NOT NULL REFERENCES reconcile_runs (id) ON DELETE CASCADE,
    -- A subscription, a Checkout Session or a charge, by Stripe's id.
    object_id text NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    -- Whose it is here.
    member_id uuid REFERENCES members (id) ON DELETE SET NULL,
    -- Whose it is by Stripe, where that is somebody else.
    other_member_id uuid REFERENCES members (id) ON DELETE SET NULL,
    ours jsonb,
    theirs jsonb,
    -- What would change for the people concerned.
    gains jsonb NOT NULL DEFAULT '[]',
    losses jsonb NOT NULL DEFAULT '[]',
    removes_access boolean NOT NULL DEFAULT false,
    -- By the database's clock, after Stripe had answered: a read that began later covers it.
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Open ones are due once the run may apply them.
    state text NOT NULL CHECK (state IN ('open', 'applied', 'noted', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    error text,
    settled_at timestamptz,
    PRIMARY KEY (run_id, object_id)
);
CREATE INDEX reconcile_findings_open_idx ON reconcile_findings (run_id, object_id) WHERE state = 'open';
CREATE INDEX reconcile_findings_member_id_idx ON reconcile_findings (member_id) WHERE member_id IS NOT NULL;
CREATE INDEX reconcile_findings_other_member_id_idx ON reconcile_findings (other_member_id)
    WHERE other_member_id IS NOT NULL;

-- What is wrong with the set-up, from when it was found until it is mended.
CREATE TABLE alarms (
    name text PRIMARY KEY,
    -- A notice is told once and makes nobody ill.
    severity text NOT NULL CHECK (severity IN ('alarm', 'notice')),
    problem text NOT NULL,
    fix text NOT NULL,
    began_at timestamptz NOT NULL,
    checked_at timestamptz NOT NULL
);
