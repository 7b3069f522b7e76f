//! Values equal themselves after they were stored.

use chrono::{DateTime, Utc};
use proptest::{prelude::*, test_runner::TestRunner};
use rolecall_db::{
    breakers::{Breaker, list_breakers, open_breaker},
    members::{Member, find_member, insert_member},
};
use rolecall_domain::{
    clock::truncate_to_micros,
    ids::{GuildId, MemberId, RoleId},
};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::support::{TestDb, at};

/// Tries `work` on many values of `strategy`, all in one database.
fn check<S: Strategy>(strategy: &S, work: &impl AsyncFn(&TestDb, S::Value)) {
    let runtime = Runtime::new().unwrap();
    let db = runtime.block_on(TestDb::new());
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(strategy, |value| {
        runtime.block_on(work(&db, value));
        Ok(())
    });
    outcome.unwrap();
}

fn times() -> impl Strategy<Value = DateTime<Utc>> {
    // From the year 1900 into the year 2199, to the nanosecond.
    (-2_208_988_800..7_258_118_400_i64, 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos).unwrap())
}

#[test]
fn a_time_cut_to_microseconds_and_any_text_equal_themselves_after_a_round_trip() {
    let text = "[^\0]{0,40}";
    check(&(times(), any::<u128>(), text), &async |db,
                                                   (
        time,
        id,
        display_name,
    )| {
        let id = MemberId::from_uuid(Uuid::from_u128(id));
        let member = Member {
            id,
            display_name,
            email: None,
            created_at: truncate_to_micros(time),
        };
        let mut tx = db.begin().await;
        insert_member(&mut tx, &member).await.unwrap();
        assert_eq!(find_member(&mut tx, id).await.unwrap(), Some(member));
    });
}

#[test]
fn a_snowflake_of_any_size_equals_itself_after_a_round_trip() {
    let snowflake = || {
        prop_oneof![
            1..=i64::MAX.unsigned_abs(),
            Just(1),
            Just(i64::MAX.unsigned_abs())
        ]
    };
    check(&(snowflake(), snowflake(), any::<i64>()), &async |db,
                                                             (
        guild,
        role,
        code,
    )| {
        let (guild, role) = (GuildId::new(guild).unwrap(), RoleId::new(role).unwrap());
        let breaker = Breaker {
            code,
            message: String::new(),
            opened_at: at(0),
        };
        let mut tx = db.begin().await;
        open_breaker(&mut tx, guild, role, &breaker).await.unwrap();
        let open = list_breakers(&mut tx, guild).await.unwrap();
        assert_eq!(open.into_iter().collect::<Vec<_>>(), [(role, breaker)]);
    });
}
