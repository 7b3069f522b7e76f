//! What a run found, object by object: `reconcile_findings`. Their JSON is a contract: the command line and the
//! API print it.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    catalog::GuildRole,
    ids::MemberId,
    reconcile::{
        difference::{FindingKind, Terms},
        effect::Effect,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use crate::{
    Connection, DbError,
    convert::{from_json, parse},
};

/// How far a finding has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// It is still so, as far as we know.
    Open,
    /// It was mended.
    Applied,
    /// Only the owner can mend it.
    Noted,
    /// It could not be mended.
    Failed,
}

impl FindingState {
    /// The word for it in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Applied => "applied",
            Self::Noted => "noted",
            Self::Failed => "failed",
        }
    }

    fn from_sql(word: &str) -> Result<Self, DbError> {
        let all = [Self::Open, Self::Applied, Self::Noted, Self::Failed];
        all.into_iter()
            .find(|state| state.as_str() == word)
            .ok_or_else(|| DbError::Corrupt {
                table: "reconcile_findings",
                column: "state",
                detail: word.to_owned(),
            })
    }
}

/// A finding as it is made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFinding {
    /// Stripe's id of it.
    pub object_id: String,
    /// What is wrong; of several things the gravest.
    pub kind: FindingKind,
    /// All that is wrong, in plain words.
    pub reason: String,
    /// Whose it is here.
    pub member_id: Option<MemberId>,
    /// Whose it is by Stripe, where that is somebody else.
    pub other_member_id: Option<MemberId>,
    /// What we have.
    pub ours: Option<Value>,
    /// What Stripe has.
    pub theirs: Option<Value>,
    /// Whether it is due or only noted.
    pub state: FindingState,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Stripe's id of it.
    #[serde(rename = "object")]
    pub object_id: String,
    /// What is wrong; of several things the gravest.
    pub kind: FindingKind,
    /// All that is wrong, in plain words.
    pub reason: String,
    /// Whose it is here.
    pub member_id: Option<MemberId>,
    /// Whose it is by Stripe, where that is somebody else.
    pub other_member_id: Option<MemberId>,
    /// What we have.
    pub ours: Option<Value>,
    /// What Stripe has.
    pub theirs: Option<Value>,
    /// The roles that the people concerned would get.
    pub gains: Vec<GuildRole>,
    /// The roles that the people concerned would lose.
    pub losses: Vec<GuildRole>,
    /// Whether a room would be closed to somebody.
    pub removes_access: bool,
    /// How far it has come.
    pub state: FindingState,
    /// Why it could not be mended.
    pub error: Option<String>,
    /// How often that was tried in vain.
    pub attempts: i32,
    /// When it was found, by the database's clock.
    pub seen_at: DateTime<Utc>,
}

impl Finding {
    /// A subscription's terms as Stripe has them.
    pub fn their_terms(&self) -> Result<Option<Terms>, DbError> {
        let read = |value: Value| from_json("reconcile_findings", "theirs", value);
        self.theirs.clone().map(read).transpose()
    }
}

macro_rules! finding {
    ($row:expr) => {{
        let row = $row;
        Ok(Finding {
            kind: parse("reconcile_findings", "kind", &row.kind)?,
            object_id: row.object_id,
            reason: row.reason,
            member_id: row.member_id.map(MemberId::from_uuid),
            other_member_id: row.other_member_id.map(MemberId::from_uuid),
            ours: row.ours,
            theirs: row.theirs,
            gains: row.gains.0,
            losses: row.losses.0,
            removes_access: row.removes_access,
            state: FindingState::from_sql(&row.state)?,
            error: row.error,
            attempts: row.attempts,
            seen_at: row.seen_at,
        })
    }};
}

/// Keeps a finding; of one object there is one in a run.
pub async fn insert_finding(
    conn: &mut Connection,
    run_id: Uuid,
    finding: &NewFinding,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO reconcile_findings (
           run_id, object_id, kind, reason, member_id, other_member_id, ours, theirs, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (run_id, object_id) DO NOTHING",
        run_id,
        finding.object_id,
        finding.kind.as_str(),
        finding.reason,
        finding.member_id.map(MemberId::as_uuid),
        finding.other_member_id.map(MemberId::as_uuid),
        finding.ours,
        finding.theirs,
        finding.state.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets what a run found: it begins anew.
pub async fn delete_findings(conn: &mut Connection, run_id: Uuid) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM reconcile_findings WHERE run_id = $1", run_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// The people whom findings that are due concern, in the order of their ids.
pub async fn list_people_concerned(
    conn: &mut Connection,
    run_id: Uuid,
    after: Option<MemberId>,
    limit: i64,
) -> Result<Vec<MemberId>, DbError> {
    let rows = sqlx::query_scalar!(
        r#"SELECT DISTINCT person AS "person!"
           FROM reconcile_findings f CROSS JOIN LATERAL unnest(ARRAY[f.member_id, f.other_member_id]) AS p (person)
           WHERE f.run_id = $1 AND f.state = 'open' AND person IS NOT NULL AND ($2::uuid IS NULL OR person > $2)
           ORDER BY 1 LIMIT $3"#,
        run_id,
        after.map(MemberId::as_uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(MemberId::from_uuid).collect())
}

/// The findings that are due and concern a person.
pub async fn list_findings_of(
    conn: &mut Connection,
    run_id: Uuid,
    member_id: MemberId,
) -> Result<Vec<Finding>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT object_id, kind, reason, member_id, other_member_id, ours, theirs,
                  gains AS "gains: Json<Vec<GuildRole>>", losses AS "losses: Json<Vec<GuildRole>>",
                  removes_access, state, error, attempts, seen_at
           FROM reconcile_findings
           WHERE run_id = $1 AND state = 'open' AND (member_id = $2 OR other_member_id = $2)
           ORDER BY object_id"#,
        run_id,
        member_id.as_uuid(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| finding!(row)).collect()
}

/// Notes at all findings that concern a person what would change for them.
pub async fn add_effect(
    conn: &mut Connection,
    run_id: Uuid,
    member_id: MemberId,
    effect: &Effect,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE reconcile_findings
         SET gains = gains || $3, losses = losses || $4, removes_access = removes_access OR $5
         WHERE run_id = $1 AND state = 'open' AND (member_id = $2 OR other_member_id = $2)",
        run_id,
        member_id.as_uuid(),
        Json(&effect.gains) as _,
        Json(&effect.losses) as _,
        effect.removes_access,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` findings after the object `after`, in the order of their ids.
pub async fn list_findings(
    conn: &mut Connection,
    run_id: Uuid,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Finding>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT object_id, kind, reason, member_id, other_member_id, ours, theirs,
                  gains AS "gains: Json<Vec<GuildRole>>", losses AS "losses: Json<Vec<GuildRole>>",
                  removes_access, state, error, attempts, seen_at
           FROM reconcile_findings
           WHERE run_id = $1 AND ($2::text IS NULL OR object_id > $2)
           ORDER BY object_id LIMIT $3"#,
        run_id,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| finding!(row)).collect()
}

/// Up to `limit` findings that are due.
pub async fn list_due_findings(
    conn: &mut Connection,
    run_id: Uuid,
    limit: i64,
) -> Result<Vec<Finding>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT object_id, kind, reason, member_id, other_member_id, ours, theirs,
                  gains AS "gains: Json<Vec<GuildRole>>", losses AS "losses: Json<Vec<GuildRole>>",
                  removes_access, state, error, attempts, seen_at
           FROM reconcile_findings
           WHERE run_id = $1 AND state = 'open'
           ORDER BY attempts, object_id LIMIT $2"#,
        run_id,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| finding!(row)).collect()
}

/// Notes what became of a finding that was due. Says whether it still was: of two workers one settles it.
pub async fn settle_finding(
    conn: &mut Connection,
    run_id: Uuid,
    object_id: &str,
    state: FindingState,
    error: Option<&str>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE reconcile_findings
         SET state = $3, error = $4, settled_at = CASE WHEN $3 = 'open' THEN NULL ELSE $5::timestamptz END,
             attempts = attempts + CASE WHEN $4::text IS NULL THEN 0 ELSE 1 END
         WHERE run_id = $1 AND object_id = $2 AND state = 'open'",
        run_id,
        object_id,
        state.as_str(),
        error,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How many findings of a run there are, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindingCounts {
    /// All.
    pub all: i64,
    /// Those that are due.
    pub open: i64,
    /// Those that were mended.
    pub applied: i64,
    /// Those that only the owner can mend.
    pub noted: i64,
    /// Those that could not be mended.
    pub failed: i64,
}

/// Counts them.
pub async fn count_findings(conn: &mut Connection, run_id: Uuid) -> Result<FindingCounts, DbError> {
    Ok(sqlx::query_as!(
        FindingCounts,
        r#"SELECT count(*) AS "all!", count(*) FILTER (WHERE state = 'open') AS "open!",
                  count(*) FILTER (WHERE state = 'applied') AS "applied!",
                  count(*) FILTER (WHERE state = 'noted') AS "noted!",
                  count(*) FILTER (WHERE state = 'failed') AS "failed!"
           FROM reconcile_findings WHERE run_id = $1"#,
        run_id
    )
    .fetch_one(conn)
    .await?)
}
