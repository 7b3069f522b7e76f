//! Everything known about a person becomes one command: complete, and only where something differs.

use chrono::TimeDelta;
use rolecall_db::{
    grants::{NewGrant, insert_grant},
    member_guilds::GuildState,
};
use rolecall_domain::{ids::GrantId, trigger::Trigger};
use rolecall_queue::jobs::Lane;

use crate::support::{
    Person, World,
    plans::{COUNCIL, PATRON, member_role, patron_role},
};

impl World {
    /// Staff gives somebody the plan `patron` for ten days.
    async fn grant(&self, person: &Person) {
        let grant = NewGrant {
            id: GrantId::generate(self.now(), &*self.rng),
            member_id: person.id,
            plan: &"patron".parse().unwrap(),
            reason: "a friend",
            granted_by: "staff",
            starts_at: self.now(),
            ends_at: Some(self.now() + TimeDelta::days(10)),
        };
        let mut tx = self.worker.db.begin().await.unwrap();
        insert_grant(&mut tx, &grant, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        self.converge(person, Trigger::Grant).await;
    }
}

#[tokio::test]
async fn nothing_is_owed_to_somebody_without_discord_until_they_link_it() {
    let world = World::start().await;
    let person = world.unlinked().await;
    world.buy(&person, COUNCIL);
    world.follow().await;
    assert_eq!(world.row(&person).await, None);
    assert_eq!(world.mail.messages().len(), 1, "the welcome needs no Discord");

    world.link(&person).await;
    world.give_token(&person).await;
    world.converge(&person, Trigger::Linked).await;
    let commands = world.commands().await;
    let [command] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!((&command.add, &command.remove), (&vec![member_role()], &vec![]));
    assert_eq!(
        (command.revision, command.lane, command.reason.as_str()),
        (1, Lane::Now, "linked")
    );
    assert_eq!(
        command.join.as_deref(),
        Some(format!("sealed-{}", person.user).as_str())
    );
    world.carry_out(command).await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
}

#[tokio::test]
async fn who_links_without_owning_anything_gets_no_command() {
    let world = World::start().await;
    let person = world.outsider().await;
    world.give_token(&person).await;
    world.converge(&person, Trigger::Linked).await;
    assert!(world.commands().await.is_empty());
    assert!(!world.bot().is_in(person.key()));
}

#[tokio::test]
async fn a_token_that_has_run_out_is_not_sent() {
    let world = World::start().await;
    let person = world.outsider().await;
    world.give_token(&person).await;
    world.buy(&person, COUNCIL);
    world.advance(TimeDelta::hours(1));
    world.deliver_new().await;
    world.converge(&person, Trigger::FixRoles).await;
    let command = world.commands().await.pop().unwrap();
    assert_eq!((command.add, command.join), (vec![member_role()], None));
}

#[tokio::test]
async fn first_access_brings_a_linked_person_into_the_server() {
    let world = World::start().await;
    let person = world.outsider().await;
    world.give_token(&person).await;
    world.buy(&person, COUNCIL);
    world.follow().await;
    assert!(world.bot().is_in(person.key()));
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn who_asks_to_be_added_is_although_a_command_that_cannot_add_them_is_under_way() {
    let world = World::start().await;
    let person = world.outsider().await;
    world.give_token(&person).await;
    world.grant(&person).await;
    let first = world.commands().await.pop().unwrap();
    assert_eq!(first.join, None, "nobody asked");
    world.converge(&person, Trigger::Linked).await;
    world.carry_out(&first).await;
    world.settle().await;
    assert!(world.bot().is_in(person.key()));
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
}

#[tokio::test]
async fn the_same_cause_twice_is_one_command() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    assert_eq!(world.commands().await.len(), 1);
    world.converge(&person, Trigger::Subscription).await;
    world.converge(&person, Trigger::Clock).await;
    assert!(world.commands().await.is_empty(), "the first is still under way");
    world.sweep().await;
    let revision = world.row(&person).await.unwrap().revision;
    world.converge(&person, Trigger::Subscription).await;
    assert!(world.commands().await.is_empty(), "all is as it should be");
    assert_eq!(world.row(&person).await.unwrap().revision, revision);
}

#[tokio::test]
async fn two_subscriptions_and_a_grant_give_their_union_and_each_end_takes_only_its_own() {
    let world = World::start().await;
    let person = world.person().await;
    let council = world.buy(&person, COUNCIL);
    let patron = world.buy(&person, PATRON);
    world.follow().await;
    let both = [member_role(), patron_role()];
    assert_eq!(world.roles(&person), both.into());
    world.stripe.cancel(&council).unwrap();
    world.follow().await;
    assert_eq!(
        world.roles(&person),
        both.into(),
        "the other subscription gives both"
    );
    world.grant(&person).await;
    world.stripe.cancel(&patron).unwrap();
    world.follow().await;
    assert_eq!(world.roles(&person), both.into(), "the grant gives both");
    world.advance(TimeDelta::days(10));
    world.cron("grace_expiry").await;
    world.settle().await;
    assert_eq!(world.roles(&person), [].into(), "the grant has ended");
}

#[tokio::test]
async fn revisions_only_grow_and_only_with_a_change() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let mut last = world.row(&person).await.unwrap().revision;
    for action in ["fail", "pay", "cancel"] {
        match action {
            "fail" => world.stripe.fail_payment(&subscription).unwrap(),
            "pay" => world.stripe.pay_open_invoice(&subscription).unwrap(),
            _ => world.stripe.cancel(&subscription).unwrap(),
        }
        world.follow().await;
        let row = world.row(&person).await.unwrap();
        assert_eq!(
            (row.revision, row.applied_revision),
            (last + 1, last + 1),
            "{action}"
        );
        last = row.revision;
    }
}

#[tokio::test]
async fn a_command_is_complete_so_that_the_newest_alone_is_enough() {
    let world = World::start().await;
    let person = world.person().await;
    let council = world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let first = world.commands().await.pop().unwrap();
    world.stripe.fail_payment(&council).unwrap();
    world.buy(&person, PATRON);
    world.deliver_new().await;
    let newest = world.commands().await.pop().unwrap();
    assert!(newest.revision > first.revision);
    world.carry_out(&newest).await;
    let roles = world.roles(&person);
    assert_eq!(
        roles,
        [member_role(), patron_role(), crate::support::plans::debtor_role()].into()
    );
    // The older one comes late, and the bot drops it.
    world.carry_out(&first).await;
    assert_eq!(
        (world.roles(&person), world.state(&person).await),
        (roles, Some(GuildState::InSync))
    );
}

#[tokio::test]
async fn forced_triggers_ask_discord_although_nothing_seems_to_differ() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    world.bot().roles_mut(person.key()).clear();
    for trigger in [Trigger::Subscription, Trigger::Clock, Trigger::Grant] {
        world.converge(&person, trigger).await;
        assert!(world.commands().await.is_empty(), "{trigger}");
    }
    for trigger in [Trigger::FixRoles, Trigger::Staff, Trigger::GuildMended] {
        world.bot().roles_mut(person.key()).clear();
        world.converge(&person, trigger).await;
        world.settle().await;
        assert_eq!(world.roles(&person), [member_role()].into(), "{trigger}");
    }
}

#[tokio::test]
async fn a_person_who_waits_goes_before_a_sweep() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    assert_eq!(world.commands().await.pop().unwrap().lane, Lane::Now);
    let (other, _) = world.council_member().await;
    world.converge(&other, Trigger::GuildMended).await;
    let command = world
        .commands()
        .await
        .into_iter()
        .find(|command| command.user_id == other.user);
    assert_eq!(command.unwrap().lane, Lane::Bulk);
}

#[tokio::test]
async fn a_reason_that_nobody_knows_is_given_up() {
    let world = World::start().await;
    let person = world.person().await;
    let args = rolecall_queue::jobs::ConvergeMember {
        member_id: person.id,
        reason: "whim".to_owned(),
    };
    let ctx = std::sync::Arc::clone(&world.worker);
    let result = rolecall_worker::handlers::converge_member::run(ctx, args, world.attempt()).await;
    assert!(
        matches!(result, Err(rolecall_queue::JobError::Cancel(_))),
        "{result:?}"
    );
}
