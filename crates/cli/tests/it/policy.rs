//! B13, B12: a policy and a plans file are weighed over everybody before they are put in force.

use std::time::Duration;

use rolecall_db::{
    members::{lock_member, set_converged},
    subscriptions::set_standing,
};
use rolecall_domain::standing::Standing;
use rolecall_queue::Queue;
use serde_json::json;

use crate::support::Installation;

/// Plan `council` with a role, sold by a price. One pays, and two failed to a moment ago.
const COMMUNITY: &str = "
    INSERT INTO plans (slug, name, kind, position, paused_keeps_access, trial_days, end_policy, seat_policy,
                       proration, archived)
    VALUES ('council', 'Council', 'individual', 0, false, 0, 'remove', 'grace', 'always', false);
    INSERT INTO plan_roles (plan_slug, guild_id, role_id) VALUES ('council', 11, 21);
    INSERT INTO plan_prices (price_id, plan_slug, lifetime, position) VALUES ('price_1', 'council', false, 1);
    INSERT INTO guilds (guild_id, debtor_role) VALUES (11, 22);
    INSERT INTO members (id, display_name, created_at)
    SELECT ('0191e3a0-0000-7000-8000-00000000000' || n)::uuid, 'Person ' || n, '2026-11-01T08:00:00Z'
    FROM generate_series(1, 3) AS n;
    INSERT INTO discord_accounts (user_id, member_id, username, linked_at)
    SELECT 4000 + n, ('0191e3a0-0000-7000-8000-00000000000' || n)::uuid, 'p' || n, '2026-11-01T08:00:00Z'
    FROM generate_series(1, 3) AS n;
    INSERT INTO stripe_customers (id) VALUES ('cus_1');
    INSERT INTO subscriptions (id, customer_id, member_id, plan_slug, price_ids, quantity, status, collection_paused,
                               cancel_at_period_end, owed_since, standing, had_access, livemode, version,
                               read_started_at, updated_at)
    SELECT 'sub_' || n, 'cus_1', ('0191e3a0-0000-7000-8000-00000000000' || n)::uuid, 'council',
           ARRAY['price_1'], 1, CASE WHEN n = 1 THEN 'active' ELSE 'past_due' END, false, false,
           CASE WHEN n = 1 THEN NULL ELSE clock_timestamp() END, 'active', true, false, 1,
           '2026-11-01T08:00:00Z', '2026-11-01T08:00:00Z'
    FROM generate_series(1, 3) AS n";

/// The community as its plans file would say.
const PLANS: &str = "[[plan]]\nslug = \"council\"\nname = \"Council\"\nkind = \"individual\"\nprices = [\"price_1\"]\n\
    [[plan.role]]\nguild = \"11\"\nrole = \"21\"\n[[guild]]\nid = \"11\"\ndebtor_role = \"22\"\n";

const STRICT: &str = "[standings.grace]\naccess = false\n";

async fn installation() -> Installation {
    let installation = Installation::new().await;
    installation.tamper(COMMUNITY).await;
    installation
}

/// A file with this text, which goes with the value.
fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[tokio::test]
async fn a_policy_is_shown_weighed_and_put_in_force() {
    let mut installation = installation().await;
    let builtin = installation.run(&["policy", "show"]).await;
    assert!(builtin.out.contains("if_version = 0"), "{builtin:?}");
    let strict = file(STRICT);
    let path = strict.path().to_str().unwrap();
    let dry = installation.run(&["policy", "set", path, "--dry-run"]).await;
    assert_eq!(dry.code, 0, "{dry:?}");
    assert_eq!(
        dry.out.trim(),
        "Impact: 2 of 3 members change: 2 lose role 21 in server 11.\n\
         Nothing was saved: this is a dry run."
    );
    assert_eq!(installation.ask(&["policy", "history"]).await, json!([]));

    let saved = installation
        .ask(&["policy", "set", path, "--reason", "stricter", "--if-version", "0"])
        .await;
    assert_eq!((&saved["saved"], &saved["version"]), (&json!(true), &json!(1)));
    assert_eq!(
        (&saved["impact"]["changed"], &saved["impact"]["members"]),
        (&json!(2), &json!(3))
    );
    let jobs = installation.jobs(Queue::Jobs).await;
    assert_eq!(jobs[0]["kind"], json!("sync_plans"));
    let owed = installation
        .rows("SELECT to_jsonb(count(*)) FROM members WHERE converge_trigger = 'catalog'")
        .await;
    assert_eq!(owed, [json!(3)]);

    // What is shown can be set again, and changes nothing.
    let shown = file(&installation.run(&["policy", "show"]).await.out);
    let shown = shown.path().to_str().unwrap();
    let same = installation
        .ask(&["policy", "set", shown, "--reason", "again"])
        .await;
    assert_eq!((&same["saved"], &same["version"]), (&json!(false), &json!(1)));
    let overtaken = installation
        .run(&["policy", "set", path, "--reason", "x", "--if-version", "0"])
        .await;
    assert_eq!(overtaken.code, 1);
    assert!(
        overtaken.err.contains("version 1 is in force by now"),
        "{overtaken:?}"
    );
    let history = installation.run(&["policy", "history"]).await.out;
    assert!(
        history.starts_with("Version 1, saved by cli") && history.contains("stricter"),
        "{history}"
    );
}

#[tokio::test]
async fn a_policy_that_locks_everybody_out_or_makes_no_sense_is_refused() {
    let installation = installation().await;
    installation
        .tamper("UPDATE subscriptions SET status = 'past_due', owed_since = clock_timestamp()")
        .await;
    let refuse = async |text: &str, words: &str| {
        let file = file(text);
        let path = file.path().to_str().unwrap();
        for more in [["--reason", "x"].as_slice(), &["--dry-run"]] {
            let ended = installation.run(&[&["policy", "set", path], more].concat()).await;
            assert_eq!(ended.code, 1, "{text}: {ended:?}");
            assert!(ended.err.contains(words), "{text}: {}", ended.err);
        }
    };
    refuse(
        STRICT,
        "it would lock everybody out: of 3 with access now 0 would keep it",
    )
    .await;
    refuse(
        "[standings.active]\naccess = false\n",
        "who has paid must have access",
    )
    .await;
    refuse(
        "[plans.counsel.ended]\nalumni = true\n",
        "plan counsel: there is no such plan",
    )
    .await;
    refuse("[standings.grace]\nacces = false\n", "acces").await;
    assert_eq!(installation.ask(&["policy", "history"]).await, json!([]));
}

#[tokio::test]
async fn plans_are_weighed_and_a_dry_run_changes_nothing() {
    let installation = installation().await;
    let moved = file(
        &PLANS
            .replace("\"21\"", "\"29\"")
            .replace("debtor_role = \"22\"\n", ""),
    );
    let moved = moved.path().to_str().unwrap();
    let before = installation.run(&["plans", "show"]).await.out;
    let dry = installation.ask(&["plans", "apply", moved, "--dry-run"]).await;
    assert_eq!(
        dry["summary"],
        json!(
            "3 of 3 members change: 3 lose role 21 in server 11, 2 lose role 22 in server 11, 3 gain role 29 in server 11"
        )
    );
    assert_eq!((&dry["applied"], &dry["version"]), (&json!(false), &json!(null)));
    assert_eq!(installation.run(&["plans", "show"]).await.out, before);
    let owed = installation
        .rows("SELECT to_jsonb(count(*)) FROM members WHERE converge_due_at IS NOT NULL")
        .await;
    assert_eq!(owed, [json!(0)]);
    let applied = installation.ask(&["plans", "apply", moved]).await;
    assert_eq!(
        (&applied["applied"], &applied["members"]),
        (&json!(true), &json!(3))
    );
    assert_eq!(applied["impact"], dry["impact"]);
    let again = installation.run(&["plans", "apply", moved]).await;
    assert!(again.out.ends_with("Nothing to change.\n"), "{again:?}");
}

#[tokio::test]
async fn a_plan_that_removes_people_is_taken_with_a_warning_that_counts_them() {
    let installation = installation().await;
    let kicking = file(&PLANS.replace("kind = ", "end = \"kick\"\nkind = "));
    let kicking = kicking.path().to_str().unwrap();
    let applied = installation.run(&["plans", "apply", kicking]).await;
    assert_eq!(applied.code, 0, "{applied:?}");
    assert!(
        applied
            .out
            .contains("3 are removed from a server once their membership ends")
            && applied
                .out
                .contains("! plan council: end = \"kick\" removes people from the server"),
        "{applied:?}"
    );
    let stored = installation.rows("SELECT to_jsonb(end_policy) FROM plans").await;
    assert_eq!(stored, [json!("kick")]);
    let shown = installation.run(&["plans", "show"]).await.out;
    assert!(shown.contains("end = \"kick\""), "{shown}");
    let again = installation.ask(&["plans", "apply", kicking]).await;
    assert!(
        !again["warnings"].to_string().contains("removes people"),
        "{again}"
    );
}

#[tokio::test]
async fn plans_wait_for_who_is_being_converged_and_stand_in_nobody_s_way() {
    let installation = installation().await;
    let moved = file(&PLANS.replace("slug = \"council\"", "slug = \"guest\""));
    let moved = moved.path().to_str().unwrap();
    let database = installation.postgres.open(1).unwrap();
    let mut worker = database.begin().await.unwrap();
    let person = "0191e3a0-0000-7000-8000-000000000001".parse().unwrap();
    lock_member(&mut worker, person).await.unwrap().unwrap();
    let waiting = "SELECT to_jsonb(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let finish_worker = async {
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while installation.rows(waiting).await.is_empty() {
            looks.tick().await;
        }
        // The person before the subscription, as every convergence.
        let subscription = "sub_1".parse().unwrap();
        set_standing(&mut worker, &subscription, Standing::Active, None, true)
            .await
            .unwrap();
        set_converged(&mut worker, person, None).await.unwrap();
        worker.commit().await.unwrap();
    };
    let apply = ["plans", "apply", moved];
    let (applied, ()) = tokio::join!(installation.ask(&apply), finish_worker);
    assert_eq!(applied["members"], json!(3));
    let stored = "SELECT jsonb_build_array(plan_slug, converge_trigger)
                  FROM subscriptions JOIN members ON members.id = member_id";
    let stored = installation.rows(stored).await;
    assert_eq!(stored, vec![json!(["guest", "catalog"]); 3]);
}
