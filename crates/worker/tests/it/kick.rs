//! Plans whose owner chose that their end removes people: once for each end, and nobody who still has something.

use chrono::TimeDelta;
use rolecall_db::{
    catalog::raise_catalog_version,
    member_guilds::GuildState,
    staff::{StaffName, insert_staff},
};
use rolecall_domain::{ids::uuid_v7, trigger::Trigger};

use crate::support::{
    Person, World,
    plans::{COUNCIL, PATRON, member_role, patron_role},
};

impl World {
    /// The owner decides that the end of `council` removes people, and everybody is looked at for it.
    pub(crate) async fn remove_at_the_end(&self, people: &[&Person]) {
        self.postgres
            .tamper("UPDATE plans SET end_policy = 'kick' WHERE slug = 'council'")
            .await
            .unwrap();
        let mut tx = self.worker.db.begin().await.unwrap();
        raise_catalog_version(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        for person in people {
            self.converge(person, Trigger::Catalog).await;
        }
        self.settle().await;
    }

    /// Somebody who pays for a plan whose end removes them.
    async fn doomed(&self) -> (Person, String) {
        let (person, subscription) = self.council_member().await;
        self.remove_at_the_end(&[&person]).await;
        self.advance(TimeDelta::days(1));
        (person, subscription)
    }

    async fn end(&self, subscription: &str) {
        self.stripe.cancel(subscription).unwrap();
        self.follow().await;
        self.advance(TimeDelta::minutes(5));
    }

    /// Commands that told the bot to remove them.
    fn told_to_remove(&self, person: &Person) -> usize {
        let bot = self.bot();
        let told = bot
            .log
            .iter()
            .filter(|command| command.user_id == person.user && command.kick.is_some());
        told.count()
    }

    pub(crate) async fn removals_noted(&self) -> usize {
        self.rows("SELECT to_jsonb(a) FROM audit_log a WHERE action = 'member.kick'")
            .await
            .len()
    }
}

#[tokio::test]
async fn whose_membership_ends_is_removed_once_and_comes_back_in_peace() {
    let world = World::start().await;
    let (person, subscription) = world.doomed().await;
    world.end(&subscription).await;
    assert!(!world.bot().is_in(person.key()));
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
    assert_eq!(world.removals_noted().await, 1);

    world.join(&person).await;
    world.settle().await;
    world.converge(&person, Trigger::Staff).await;
    world.sweep().await;
    assert!(world.bot().is_in(person.key()), "who comes back is left in peace");

    let again = world.buy(&person, COUNCIL);
    world.follow().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    world.advance(TimeDelta::days(1));
    world.end(&again).await;
    assert!(!world.bot().is_in(person.key()), "each end removes once");
    assert_eq!(
        (world.told_to_remove(&person), world.removals_noted().await),
        (2, 2)
    );
}

#[tokio::test]
async fn an_outcome_that_comes_twice_is_noted_once() {
    let world = World::start().await;
    let (person, subscription) = world.doomed().await;
    world.stripe.cancel(&subscription).unwrap();
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    let outcome = world.bot().carry_out(&command, world.now()).pop().unwrap();
    world.tell(outcome.clone()).await;
    world.tell(outcome).await;
    assert_eq!(world.removals_noted().await, 1);
    assert_eq!(world.row(&person).await.unwrap().kick_due_at, None);
}

#[tokio::test]
async fn a_removal_that_redis_lost_is_told_again() {
    let world = World::start().await;
    let (person, subscription) = world.doomed().await;
    world.stripe.cancel(&subscription).unwrap();
    world.deliver_new().await;
    world.redis.flush().await;
    assert!(world.row(&person).await.unwrap().kick_due_at.is_some());
    world.sweep().await;
    assert!(!world.bot().is_in(person.key()));
    assert_eq!(world.told_to_remove(&person), 1);
}

#[tokio::test]
async fn who_pays_again_before_they_were_removed_stays() {
    let world = World::start().await;
    let (person, subscription) = world.doomed().await;
    world.stripe.cancel(&subscription).unwrap();
    world.deliver_new().await;
    let late = world.commands().await.pop().unwrap();
    assert!(late.kick.is_some() && late.add.is_empty());

    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let newer = world.commands().await.pop().unwrap();
    assert_eq!((newer.kick, &newer.add), (None, &vec![member_role()]));
    world.carry_out(&newer).await;
    world.carry_out(&late).await;
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.removals_noted().await, 0);
}

#[tokio::test]
async fn who_leaves_before_they_were_removed_and_comes_back_is_not_owed_it_any_more() {
    let world = World::start().await;
    let (person, subscription) = world.doomed().await;
    world.stripe.cancel(&subscription).unwrap();
    world.deliver_new().await;
    world.redis.flush().await;
    world.leave(&person).await;
    assert_eq!(world.row(&person).await.unwrap().kick_due_at, None);
    world.join(&person).await;
    world.sweep().await;
    assert!(world.bot().is_in(person.key()));
}

#[tokio::test]
async fn who_has_something_else_there_stays_until_that_has_ended_too() {
    let world = World::start().await;
    let (person, council) = world.doomed().await;
    let patron = world.buy(&person, PATRON);
    world.follow().await;
    world.end(&council).await;
    assert_eq!(world.roles(&person), [member_role(), patron_role()].into());
    assert_eq!(world.told_to_remove(&person), 0);
    world.end(&patron).await;
    assert!(!world.bot().is_in(person.key()), "the last of it has ended");
}

#[tokio::test]
async fn a_server_that_does_not_let_us_is_not_asked_again_and_the_roles_go_all_the_same() {
    let world = World::start().await;
    let (person, subscription) = world.doomed().await;
    world.bot().keeps_everybody = true;
    world.end(&subscription).await;
    let row = world.row(&person).await.unwrap();
    assert_eq!((row.state, row.kick_due_at), (GuildState::Blocked, None));
    assert!(row.blocked_reason.unwrap().contains("Kick Members"));
    assert!(world.roles(&person).is_empty());
    for _ in 0..3 {
        world.sweep().await;
        world.converge(&person, Trigger::Staff).await;
        world.settle().await;
    }
    assert_eq!(world.told_to_remove(&person), 1);
}

#[tokio::test]
async fn staff_is_not_removed() {
    let world = World::start().await;
    let (person, subscription) = world.doomed().await;
    let mut tx = world.worker.db.begin().await.unwrap();
    let id = uuid_v7(world.now(), &*world.rng);
    insert_staff(&mut tx, id, &StaffName::Discord(person.user), "cli", world.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.end(&subscription).await;
    assert!(world.bot().is_in(person.key()));
    assert!(world.roles(&person).is_empty());
}

#[tokio::test]
async fn a_decision_of_the_owner_removes_nobody_whose_membership_had_ended_before() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.end(&subscription).await;
    world.remove_at_the_end(&[&person]).await;
    world.converge(&person, Trigger::Staff).await;
    world.sweep().await;
    assert!(world.bot().is_in(person.key()));
    assert_eq!(world.told_to_remove(&person), 0);
}
