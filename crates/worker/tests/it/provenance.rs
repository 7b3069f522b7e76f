//! Only what we gave is ever taken away. Where it is not sure who gave a role, it counts as ours.

use chrono::TimeDelta;
use rolecall_db::{member_guilds::GuildState, member_roles::Provenance};
use rolecall_domain::trigger::Trigger;
use rolecall_queue::jobs::RoleResult;

use crate::support::{
    Person, World,
    bot::outcome,
    plans::{COUNCIL, PATRON, member_role, patron_role, role},
};

impl World {
    async fn provenance(&self, person: &Person) -> Option<Provenance> {
        self.role_row(person, member_role())
            .await
            .and_then(|row| row.provenance)
    }
}

#[tokio::test]
async fn a_role_that_was_there_before_our_first_command_is_never_removed() {
    let world = World::start().await;
    let person = world.person().await;
    world.bot().put(person.key(), &[member_role(), role(7)]);
    let subscription = world.buy(&person, PATRON);
    world.follow().await;
    assert_eq!(world.provenance(&person).await, Some(Provenance::Foreign));
    assert_eq!(
        world.roles(&person),
        [member_role(), patron_role(), role(7)].into()
    );
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    assert_eq!(
        world.roles(&person),
        [member_role(), role(7)].into(),
        "ours goes, theirs stay"
    );
    for _ in 0..2 {
        world.converge(&person, Trigger::Staff).await;
        world.sweep().await;
    }
    assert_eq!(world.roles(&person), [member_role(), role(7)].into());
}

#[tokio::test]
async fn a_role_that_staff_gave_stays_foreign_through_a_sighting_before_the_answer() {
    let world = World::start().await;
    let person = world.person().await;
    world.bot().put(person.key(), &[member_role()]);
    let subscription = world.buy(&person, COUNCIL);
    world.deliver_new().await;
    // The bot tells how they are before it has carried the command out.
    world.tell_roles(&person).await;
    world.settle().await;
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn a_foreign_role_that_went_and_that_we_then_gave_is_ours() {
    let world = World::start().await;
    let person = world.person().await;
    world.bot().put(person.key(), &[member_role()]);
    let subscription = world.buy(&person, COUNCIL);
    world.follow().await;
    assert_eq!(world.provenance(&person).await, Some(Provenance::Foreign));
    world.bot().roles_mut(person.key()).clear();
    world.tell_roles(&person).await;
    world.settle().await;
    assert_eq!(world.roles(&person), [member_role()].into(), "given anew");
    assert_eq!(world.provenance(&person).await, Some(Provenance::Ours));
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    assert_eq!(world.roles(&person), [].into());
}

#[tokio::test]
async fn a_command_that_was_sent_twice_counts_as_ours() {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    // The role is given, and the bot dies before it can say so.
    world.bot().roles_mut(person.key()).insert(member_role());
    world.advance(TimeDelta::hours(1));
    world.cron("due_sweep").await;
    let again = world.commands().await.pop().unwrap();
    assert_eq!(again, command);
    // Another bot finds the role there already.
    world.carry_out(&again).await;
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
    assert_eq!(world.provenance(&person).await, Some(Provenance::Ours));
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    assert_eq!(world.roles(&person), [].into());
}

#[tokio::test]
async fn a_role_that_comes_back_with_a_person_before_our_command_is_still_ours() {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    world.follow().await;
    assert_eq!(world.provenance(&person).await, Some(Provenance::Ours));
    // They leave and return, and somebody is quicker than we are: a bot that restores what people had,
    // or a command of ours that was on its way all the time.
    world.leave(&person).await;
    world.settle().await;
    world.join(&person).await;
    world.bot().put(person.key(), &[member_role()]);
    world.follow().await;
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
    assert_eq!(world.provenance(&person).await, Some(Provenance::Ours));
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    assert_eq!(world.roles(&person), [].into(), "a role of ours stays for ever");
}

#[tokio::test]
async fn a_late_answer_to_a_command_that_was_sent_twice_does_not_make_our_role_foreign() {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    world.deliver_new().await;
    world.commands().await.pop().unwrap();
    world.bot().roles_mut(person.key()).insert(member_role());
    world.advance(TimeDelta::hours(1));
    world.cron("due_sweep").await;
    let again = world.commands().await.pop().unwrap();
    let found = RoleResult::Applied {
        roles: vec![member_role()],
        already: vec![member_role()],
        joined: false,
        pending: false,
    };
    let answer = outcome(&again, world.now(), found);
    // Before it arrives there is a newer revision, which was sent once.
    let patron = world.buy(&person, PATRON);
    world.deliver_new().await;
    assert!(world.row(&person).await.unwrap().revision > again.revision);
    world.tell(answer).await;
    world.settle().await;
    for subscription in [subscription, patron] {
        world.stripe.cancel(&subscription).unwrap();
    }
    world.follow().await;
    world.sweep().await;
    assert_eq!(world.roles(&person), [].into(), "a role of ours stays for ever");
}

#[tokio::test]
async fn what_a_lost_command_gave_is_taken_back() {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    world.deliver_new().await;
    world.commands().await.pop().unwrap();
    world.bot().roles_mut(person.key()).insert(member_role());
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    world.sweep().await;
    assert_eq!(world.roles(&person), [].into());
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
}
