//! Who gets at the rows where the tables are offered to others than the services.

use crate::support::TestDb;

#[tokio::test]
async fn no_table_is_without_row_security() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (tables, open): (i64, Vec<String>) = sqlx::query_as(
        "SELECT count(*), coalesce(array_agg(c.relname::text) FILTER (
                WHERE NOT c.relrowsecurity
                   OR NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'services')), '{}')
         FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    assert!(tables > 30, "{tables}");
    assert_eq!(
        open,
        Vec::<String>::new(),
        "a migration that makes a table ends with what 0015_row_security.sql does"
    );
}

/// What is true for a role that was granted everything, in a transaction that is never committed.
async fn as_role(db: &TestDb, role: &str) -> (i64, Result<(), String>) {
    let mut tx = db.begin().await;
    let become_it = format!(
        "INSERT INTO members (id, display_name, created_at) VALUES (gen_random_uuid(), 'Ada', clock_timestamp());
         DO $$ BEGIN CREATE ROLE {role}; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
         SET LOCAL ROLE {role}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(become_it))
        .execute(&mut *tx)
        .await
        .unwrap();
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM members")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let written = sqlx::query("INSERT INTO catalog_version (version) VALUES (7) ON CONFLICT DO NOTHING")
        .execute(&mut *tx)
        .await;
    (seen, written.map(|_| ()).map_err(|error| error.to_string()))
}

#[tokio::test]
async fn the_roles_of_a_data_api_see_and_write_nothing_whatever_they_were_granted() {
    let db = TestDb::new().await;
    for role in ["anon", "authenticated"] {
        let (seen, written) = as_role(&db, role).await;
        assert_eq!(seen, 0, "{role}");
        let error = written.unwrap_err();
        assert!(error.contains("row-level security"), "{role}: {error}");
    }
}

#[tokio::test]
async fn a_role_of_the_operators_own_has_what_it_was_granted() {
    let db = TestDb::new().await;
    assert_eq!(as_role(&db, "rolecall_services").await, (1, Ok(())));
}
