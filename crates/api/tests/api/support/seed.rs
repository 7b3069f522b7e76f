//! What is on sale in tests, and people who hold it.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use rolecall_db::{
    Connection,
    catalog::{PlanRow, replace_plan_roles, upsert_plan, upsert_plan_prices},
    customers::upsert_customer,
    guild_snapshots::upsert_guild_snapshot,
    member_guilds::{GuildState, Observation, insert_member_guild, set_observed},
    member_roles::{Desired, MemberRole, Provenance, set_desired, set_role_observed},
    prices::{PriceRead, set_price_read},
    subscriptions::{SubscriptionRead, insert_subscription, set_standing},
};
use rolecall_domain::{
    catalog::{EndPolicy, GuildRole, Plan, PlanKind},
    ids::{DiscordUserId, GuildId, MemberId, RoleId, StripePriceId},
    roles::Reason,
    standing::Standing,
};
use rolecall_queue::jobs::{GuildObserved, ObservedRole};

use crate::support::TestApp;

pub(crate) const GUILD: u64 = 1001;
pub(crate) const ROLE: u64 = 2001;

impl TestApp {
    /// "council" by month and year, a lifetime price of it, "inner" by month, and "team" for companies.
    pub(crate) async fn seed_plans(&self) {
        let mut tx = self.database.begin().await.unwrap();
        plan(
            &mut tx,
            "council",
            "Council member",
            PlanKind::Individual,
            &["price_month", "price_year"],
        )
        .await;
        plan(
            &mut tx,
            "inner",
            "Inner circle",
            PlanKind::Individual,
            &["price_inner"],
        )
        .await;
        plan(&mut tx, "team", "Team", PlanKind::Company, &["price_seat"]).await;
        let slug = "council".parse().unwrap();
        upsert_plan_prices(&mut tx, &slug, &[StripePriceId::new("price_ever")], true)
            .await
            .unwrap();
        for (price, amount, interval) in [
            ("price_month", 4900, Some("month")),
            ("price_year", 49_000, Some("year")),
            ("price_inner", 19_900, Some("month")),
            ("price_ever", 49_900, None),
        ] {
            let id = StripePriceId::new(price);
            let read = PriceRead {
                id: &id,
                active: true,
                unit_amount: Some(amount),
                currency: "usd",
                interval,
                interval_count: interval.map(|_| 1),
            };
            set_price_read(&mut tx, &read, self.now()).await.unwrap();
        }
        upsert_guild_snapshot(&mut tx, &snapshot(), self.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Gives a person a subscription for "council" at `standing`, and its role as observed or not.
    pub(crate) async fn seed_membership(
        &self,
        member_id: MemberId,
        user: u64,
        standing: Standing,
        has_role: bool,
    ) {
        let mut tx = self.database.begin().await.unwrap();
        let customer = "cus_1".parse().unwrap();
        upsert_customer(&mut tx, &customer, Some(member_id), self.now())
            .await
            .unwrap();
        let read = SubscriptionRead {
            id: "sub_1".parse().unwrap(),
            customer,
            member_id: Some(member_id),
            plan: Some("council".parse().unwrap()),
            prices: vec![StripePriceId::new("price_month")],
            quantity: 1,
            status: if standing.owes() { "past_due" } else { "active" }
                .parse()
                .unwrap(),
            collection_paused: false,
            current_period_end: Some("2026-12-21T12:00:00Z".parse().unwrap()),
            cancel_at_period_end: false,
            cancel_at: None,
            ended_at: None,
            trial_end: None,
            owed_since: standing.owes().then(|| self.now()),
            owed_invoice_url: standing
                .owes()
                .then(|| "https://invoice.example/pay/1".to_owned()),
            livemode: false,
            read_started_at: self.now(),
        };
        insert_subscription(&mut tx, &read, self.now()).await.unwrap();
        set_standing(&mut tx, &read.id, standing, None, true)
            .await
            .unwrap();
        give_role(&mut tx, member_id, user, has_role, self.now() + TimeDelta::zero()).await;
        tx.commit().await.unwrap();
    }
}

async fn give_role(
    conn: &mut Connection,
    member_id: MemberId,
    user: u64,
    has_role: bool,
    observed_at: chrono::DateTime<chrono::Utc>,
) {
    let (guild, user, role) = (
        GuildId::new(GUILD).unwrap(),
        DiscordUserId::new(user).unwrap(),
        RoleId::new(ROLE).unwrap(),
    );
    insert_member_guild(conn, guild, user, member_id).await.unwrap();
    let reason = Reason::Subscription {
        id: "sub_1".parse().unwrap(),
        plan: "council".parse().unwrap(),
        detail: "active".to_owned(),
    };
    set_desired(
        conn,
        &[Desired {
            guild_id: guild,
            user_id: user,
            roles: &[(role, BTreeSet::from([reason]))].into(),
            asked_in: None,
        }],
    )
    .await
    .unwrap();
    let seen = MemberRole {
        role_id: role,
        desired: true,
        reasons: BTreeSet::new(),
        observed: Some(has_role),
        provenance: Some(Provenance::Ours),
        first_revision: Some(1),
    };
    set_role_observed(conn, guild, user, &seen).await.unwrap();
    let observation = Observation {
        state: if has_role {
            GuildState::InSync
        } else {
            GuildState::WaitingForMember
        },
        blocked_reason: None,
        applied_revision: 1,
        join_wanted: false,
        screening_pending: false,
        observed_at,
        fence: 0,
        send_at: None,
    };
    set_observed(conn, guild, user, &observation).await.unwrap();
}

async fn plan(conn: &mut Connection, slug: &str, name: &str, kind: PlanKind, prices: &[&str]) {
    let prices: Vec<_> = prices.iter().map(|price| StripePriceId::new(*price)).collect();
    let roles = BTreeSet::from([GuildRole {
        guild: GuildId::new(GUILD).unwrap(),
        role: RoleId::new(ROLE).unwrap(),
    }]);
    let row = PlanRow {
        plan: Plan {
            slug: slug.parse().unwrap(),
            name: name.to_owned(),
            kind,
            prices: BTreeSet::new(),
            grace: None,
            paused_keeps_access: false,
            trial_days: if slug == "council" { 7 } else { 0 },
            end: EndPolicy::Remove,
            roles: BTreeSet::new(),
            archived: false,
        },
        lifetime_prices: BTreeSet::new(),
        position: 1,
        seat_policy: "grace".to_owned(),
        seat_grace_seconds: None,
        proration: "always".to_owned(),
        promotion_codes: true,
        tax: false,
    };
    upsert_plan(conn, &row).await.unwrap();
    upsert_plan_prices(conn, &row.plan.slug, &prices, false)
        .await
        .unwrap();
    replace_plan_roles(conn, &row.plan.slug, &roles).await.unwrap();
}

fn snapshot() -> GuildObserved {
    GuildObserved {
        guild_id: GuildId::new(GUILD).unwrap(),
        name: "The Revenue Council".to_owned(),
        identified: true,
        bot_user_id: DiscordUserId::new(9).unwrap(),
        bot_permissions: "0".to_owned(),
        bot_top_position: 9,
        roles: vec![ObservedRole {
            id: RoleId::new(ROLE).unwrap(),
            name: "Council & Co".to_owned(),
            position: 1,
            managed: false,
            permissions: "0".to_owned(),
        }],
    }
}
