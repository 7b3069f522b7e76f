-- no-transaction

-- Hosts that offer the tables over HTTP let anybody in who bears a public key, as `anon` or `authenticated` (Supabase's
-- Data API), and give those roles every right on what is made in `public`. They see and change no row of ours, whatever
-- they were granted. Who owns the tables is not asked; other roles have what they were granted, as before.
--
-- Table by table, so that nobody waits for more than one of them; what is done already is left alone, so that it may
-- be begun again.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        '_sqlx_migrations', 'members', 'discord_accounts', 'discord_tokens', 'sessions', 'refresh_tokens', 'staff',
        'audit_log', 'catalog_version', 'plans', 'plan_prices', 'plan_roles', 'guilds', 'guild_snapshots', 'inbox',
        'stripe_customers', 'subscriptions', 'invoice_failures', 'checkout_sessions', 'grants', 'member_guilds',
        'member_roles', 'role_breakers', 'notifications', 'cron_runs', 'event_sweeps', 'policies', 'purchases',
        'payments', 'checkout_clicks', 'trials', 'used_trials', 'change_previews', 'reconcile_runs',
        'reconcile_findings', 'alarms'
    ] LOOP
        -- Who applies migrations by hand has no table in which they are noted.
        CONTINUE WHEN to_regclass(format('%I', name)) IS NULL;
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = name::regclass AND polname = 'services') THEN
            EXECUTE format(
                'CREATE POLICY services ON %I USING (current_user NOT IN (''anon'', ''authenticated''))', name);
        END IF;
        COMMIT;
    END LOOP;
END
$$;
