//! B10: what staff gives by hand begins by itself, survives every sync, and ends by itself.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    giving::{By, give, take_back},
    grants::GrantRow,
};
use rolecall_domain::grant::Gift;
use rolecall_worker::cron;

use crate::support::{
    Person, World,
    plans::{COUNCIL, member_role, patron_role},
};

impl World {
    fn by(&self) -> By<'_> {
        By {
            actor: "cli",
            now: self.now(),
            rng: &*self.rng,
        }
    }

    /// Staff gives somebody the plan `patron`, and the hint is lost.
    async fn give_patron(&self, person: &Person, ends_at: Option<DateTime<Utc>>) -> GrantRow {
        let gift = Gift {
            plan: "patron".parse().unwrap(),
            reason: "a speaker".to_owned(),
            ends_at,
        };
        let mut tx = self.worker.db.begin().await.unwrap();
        let grant = give(&mut tx, person.id, &gift, self.by()).await.unwrap();
        tx.commit().await.unwrap();
        grant
    }
}

#[tokio::test]
async fn a_grant_begins_though_its_hint_is_lost_and_survives_every_sync() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let grant = world.give_patron(&person, None).await;
    world.sweep().await;
    let both = [member_role(), patron_role()];
    assert_eq!(world.roles(&person), both.into());
    for step in ["renewed", "failed", "paid", "cancelled"] {
        match step {
            "renewed" => world.advance(TimeDelta::days(30)),
            "failed" => world.stripe.fail_payment(&subscription).unwrap(),
            "paid" => world.stripe.pay_open_invoice(&subscription).unwrap(),
            _ => world.stripe.cancel(&subscription).unwrap(),
        }
        world.follow().await;
        world.sweep().await;
        assert!(world.roles(&person).contains(&patron_role()), "{step}");
    }
    assert!(
        world.roles(&person).contains(&member_role()),
        "the grant gives it, too"
    );

    let mut tx = world.worker.db.begin().await.unwrap();
    take_back(&mut tx, grant.id, world.by()).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    world.sweep().await;
    assert_eq!(world.roles(&person), [].into(), "nothing else gave them");
}

#[tokio::test]
async fn a_grant_ends_by_itself_within_half_a_minute_and_not_before() {
    let world = World::start().await;
    let person = world.person().await;
    let kept = world.buy(&person, COUNCIL);
    world.follow().await;
    let ends_at = world.now() + TimeDelta::days(10);
    world.give_patron(&person, Some(ends_at)).await;
    world.sweep().await;
    let both = [member_role(), patron_role()];
    assert_eq!(world.roles(&person), both.into());

    let clock = cron::find("grace_expiry").unwrap();
    assert!(clock.every <= TimeDelta::seconds(30));
    let reads = world.reads(&kept);
    world.advance(ends_at - world.now() - TimeDelta::milliseconds(1));
    world.cron(clock.name).await;
    world.settle().await;
    assert_eq!(world.roles(&person), both.into(), "a moment is left");
    world.advance(TimeDelta::milliseconds(1));
    world.cron(clock.name).await;
    world.settle().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.reads(&kept), reads, "nobody asked Stripe");
}
