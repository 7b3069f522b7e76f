-- People, how they sign in, and who is staff.

CREATE TABLE members (
    id uuid PRIMARY KEY,
    display_name text NOT NULL,
    -- Lower-cased, and only ever an address that its provider says is verified.
    email text,
    created_at timestamptz NOT NULL,
    -- Set by whatever changes a fact about the member, cleared by the convergence that saw it.
    converge_due_at timestamptz,
    -- Why, by the newest cause; and what any cause since then asked for.
    converge_trigger text,
    converge_join boolean NOT NULL DEFAULT false,
    converge_forced boolean NOT NULL DEFAULT false,
    -- The next moment at which time alone changes their roles.
    next_change_at timestamptz
);
CREATE INDEX members_email_idx ON members (email) WHERE email IS NOT NULL;
CREATE INDEX members_converge_due_at_idx ON members (converge_due_at) WHERE converge_due_at IS NOT NULL;
CREATE INDEX members_next_change_at_idx ON members (next_change_at) WHERE next_change_at IS NOT NULL;

-- One Discord account belongs to one person, and one person has one Discord account.
CREATE TABLE discord_accounts (
    user_id bigint PRIMARY KEY,
    member_id uuid NOT NULL CONSTRAINT discord_accounts_member_id_key UNIQUE REFERENCES members (id),
    username text NOT NULL,
    linked_at timestamptz NOT NULL
);

-- OAuth tokens, sealed: only `api` and `bot` ever open them.
CREATE TABLE discord_tokens (
    member_id uuid PRIMARY KEY REFERENCES members (id),
    access_sealed text NOT NULL,
    refresh_sealed text NOT NULL,
    expires_at timestamptz NOT NULL,
    scopes text NOT NULL
);

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    member_id uuid NOT NULL REFERENCES members (id),
    user_agent text NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX sessions_member_id_idx ON sessions (member_id);

-- Refresh tokens rotate: one that is used again after its successor was made ends the session.
CREATE TABLE refresh_tokens (
    id uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions (id),
    hash bytea NOT NULL CONSTRAINT refresh_tokens_hash_key UNIQUE,
    created_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id);

-- Staff, named before or after they first sign in.
CREATE TABLE staff (
    id uuid PRIMARY KEY,
    discord_user_id bigint CONSTRAINT staff_discord_user_id_key UNIQUE,
    email text CONSTRAINT staff_email_key UNIQUE,
    granted_at timestamptz NOT NULL,
    granted_by text NOT NULL,
    CONSTRAINT staff_one_name_check CHECK (num_nonnulls(discord_user_id, email) = 1)
);

-- What was done, by whom. `detail` holds ids, never names, addresses or tokens.
CREATE TABLE audit_log (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    member_id uuid,
    subject text NOT NULL,
    detail jsonb NOT NULL
);
CREATE INDEX audit_log_member_id_at_idx ON audit_log (member_id, at);
