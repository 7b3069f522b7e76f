//! What was seen in Discord, in any order and however late, against what should be.

use std::sync::Arc;

use chrono::TimeDelta;
use rolecall_db::{breakers::list_breakers, member_guilds::GuildState};
use rolecall_domain::{ids::DiscordUserId, trigger::Trigger};
use rolecall_queue::{
    Attempt,
    jobs::{GuildObserved, MemberLeft, MemberRolesChanged, ObservedRole, RoleOutcome, RoleResult},
};
use rolecall_worker::handlers;

use crate::support::{
    World,
    bot::outcome,
    plans::{COUNCIL, PATRON, guild, member_role, patron_role, role},
};

/// The bits of Manage Roles and Create Invite.
const ENOUGH: &str = "268435457";

fn applied(roles: &[rolecall_domain::ids::RoleId]) -> RoleResult {
    RoleResult::Applied {
        roles: roles.to_vec(),
        already: Vec::new(),
        joined: false,
        pending: false,
    }
}

/// The server, with the plans' roles below the bot's or above it.
fn server(bot_top_position: i64, identified: bool, permissions: &str) -> GuildObserved {
    let roles = [member_role(), patron_role(), crate::support::plans::debtor_role()];
    GuildObserved {
        guild_id: guild(),
        name: "Council".to_owned(),
        identified,
        bot_user_id: DiscordUserId::new(1).unwrap(),
        bot_permissions: permissions.to_owned(),
        bot_top_position,
        roles: (5..)
            .zip(roles)
            .map(|(position, id)| ObservedRole {
                id,
                name: id.to_string(),
                position,
                managed: false,
                permissions: "0".to_owned(),
            })
            .collect(),
    }
}

impl World {
    async fn observe(&self, server: GuildObserved) {
        let ctx = Arc::clone(&self.worker);
        handlers::discord_events::guild_observed(ctx, server, self.attempt())
            .await
            .unwrap();
    }

    /// The same, told when `before` was and heard only now.
    async fn observe_late(&self, server: GuildObserved, before: &Attempt) {
        let late = Attempt {
            enqueued_at: before.enqueued_at,
            ..self.attempt()
        };
        let ctx = Arc::clone(&self.worker);
        handlers::discord_events::guild_observed(ctx, server, late)
            .await
            .unwrap();
    }

    async fn breakers(&self) -> usize {
        let mut tx = self.worker.db.begin().await.unwrap();
        list_breakers(&mut tx, guild()).await.unwrap().len()
    }
}

#[tokio::test]
async fn a_role_that_staff_removed_is_given_again() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    world.bot().roles_mut(person.key()).clear();
    world.tell_roles(&person).await;
    let command = world.commands().await.pop().unwrap();
    assert_eq!(
        (command.reason.as_str(), &command.add),
        ("roles_changed", &vec![member_role()])
    );
    world.carry_out(&command).await;
    assert_eq!(world.roles(&person), [member_role()].into());
    world.tell_roles(&person).await;
    assert!(world.commands().await.is_empty(), "the echo of our own writing");
}

#[tokio::test]
async fn a_role_of_ours_that_came_back_after_its_end_is_not_ours_any_more() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    world.bot().roles_mut(person.key()).insert(member_role());
    world.tell_roles(&person).await;
    world.settle().await;
    assert_eq!(
        world.roles(&person),
        [member_role()].into(),
        "staff may give it to whom they like"
    );
}

#[tokio::test]
async fn an_older_outcome_never_settles_a_newer_revision() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let old = world.commands().await.pop().unwrap();
    world.buy(&person, PATRON);
    world.deliver_new().await;
    for result in [
        applied(&[member_role(), patron_role()]),
        applied(&[member_role()]),
        RoleResult::NotInGuild { kicked: false },
    ] {
        world.tell(outcome(&old, world.now(), result.clone())).await;
        let row = world.row(&person).await.unwrap();
        assert_eq!(
            (row.state, row.applied_revision),
            (GuildState::Due, 0),
            "{result:?}"
        );
        assert!(row.send_at.is_some(), "it would never be sent again");
    }
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role(), patron_role()].into());
}

#[tokio::test]
async fn an_outcome_that_was_overtaken_by_a_newer_sighting_does_not_hide_it() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    let seen_at = world.now();
    let outcomes = world.bot().carry_out(&command, seen_at);
    // Staff takes the role, and that is told first.
    world.advance(TimeDelta::seconds(1));
    world.bot().roles_mut(person.key()).clear();
    world.tell_roles(&person).await;
    for outcome in outcomes {
        world.tell(outcome).await;
    }
    assert_ne!(world.state(&person).await, Some(GuildState::InSync));
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
}

#[tokio::test]
async fn a_departure_is_not_hidden_by_an_outcome_that_was_overtaken() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    let outcomes = world.bot().carry_out(&command, world.now());
    world.advance(TimeDelta::seconds(1));
    world.leave(&person).await;
    for outcome in outcomes {
        world.tell(outcome).await;
    }
    world.sweep().await;
    assert_eq!(world.state(&person).await, Some(GuildState::WaitingForMember));
}

#[tokio::test]
async fn a_stale_sighting_does_not_overwrite_a_newer_one() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    let before = world.attempt();
    world.advance(TimeDelta::seconds(1));
    world.tell_roles(&person).await;
    let args = MemberRolesChanged {
        guild_id: guild(),
        user_id: person.user,
        roles: Vec::new(),
        pending: false,
    };
    let ctx = Arc::clone(&world.worker);
    let late = Attempt {
        enqueued_at: before.enqueued_at,
        ..world.attempt()
    };
    handlers::discord_events::roles_changed(ctx, args, late)
        .await
        .unwrap();
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
    assert!(world.commands().await.is_empty());
}

#[tokio::test]
async fn a_sighting_that_only_the_clock_of_another_bot_makes_old_leads_to_another_look() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    // The bot that takes over has a clock that is behind.
    let behind = Attempt {
        enqueued_at: world.now() - TimeDelta::minutes(10),
        ..world.attempt()
    };
    world.bot().roles_mut(person.key()).clear();
    let args = MemberRolesChanged {
        guild_id: guild(),
        user_id: person.user,
        roles: Vec::new(),
        pending: false,
    };
    handlers::discord_events::roles_changed(Arc::clone(&world.worker), args, behind)
        .await
        .unwrap();
    let command = world.commands().await.pop().expect("it is looked at");
    let outcomes = world
        .bot()
        .carry_out(&command, world.now() - TimeDelta::minutes(10));
    for outcome in outcomes {
        world.tell(RoleOutcome { fence: 9, ..outcome }).await;
    }
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
    let row = world.row(&person).await.unwrap();
    assert_eq!(row.observed_at, Some(world.now() - TimeDelta::minutes(10)));
}

#[tokio::test]
async fn a_departure_that_only_the_clock_of_another_bot_makes_old_leads_to_another_look() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    let behind = Attempt {
        enqueued_at: world.now() - TimeDelta::minutes(10),
        ..world.attempt()
    };
    world.bot().remove(person.key());
    let args = MemberLeft {
        guild_id: guild(),
        user_id: person.user,
    };
    handlers::discord_events::left(Arc::clone(&world.worker), args, behind)
        .await
        .unwrap();
    world.sweep().await;
    assert_eq!(world.state(&person).await, Some(GuildState::WaitingForMember));
}

#[tokio::test]
async fn a_bot_whose_clock_is_ahead_hides_nothing_that_comes_after() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    let ahead = Attempt {
        enqueued_at: world.now() + TimeDelta::hours(1),
        ..world.attempt()
    };
    let args = MemberRolesChanged {
        guild_id: guild(),
        user_id: person.user,
        roles: vec![member_role()],
        pending: false,
    };
    handlers::discord_events::roles_changed(Arc::clone(&world.worker), args, ahead)
        .await
        .unwrap();
    assert_eq!(
        world.row(&person).await.unwrap().observed_at,
        Some(world.now()),
        "nothing was seen later than now"
    );
    world.advance(TimeDelta::seconds(1));
    world.bot().roles_mut(person.key()).clear();
    world.tell_roles(&person).await;
    world.settle().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
}

#[tokio::test]
async fn the_word_of_a_bot_that_lost_its_lease_counts_for_nothing() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    let newer = RoleOutcome {
        fence: 5,
        ..outcome(&command, world.now(), applied(&[]))
    };
    world.tell(newer).await;
    assert_eq!(world.state(&person).await, Some(GuildState::Due));
    let former = RoleOutcome {
        fence: 4,
        ..outcome(&command, world.now(), applied(&[member_role()]))
    };
    world.tell(former).await;
    assert_eq!(world.state(&person).await, Some(GuildState::Due));
    world
        .tell(RoleOutcome {
            fence: 5,
            ..outcome(&command, world.now(), applied(&[member_role()]))
        })
        .await;
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
}

#[tokio::test]
async fn what_was_lost_unheard_is_given_again_when_a_session_begins_anew() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    world.bot().roles_mut(person.key()).clear();
    world.observe(server(9, false, ENOUGH)).await;
    assert!(world.commands().await.is_empty(), "nothing was missed");
    world.observe(server(9, true, ENOUGH)).await;
    let command = world.commands().await.pop().unwrap();
    assert_eq!(command.add, [member_role()]);
    world.carry_out(&command).await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
}

#[tokio::test]
async fn who_is_not_there_waits_and_gets_everything_when_they_join() {
    let world = World::start().await;
    let person = world.outsider().await;
    world.buy(&person, COUNCIL);
    world.follow().await;
    assert_eq!(world.state(&person).await, Some(GuildState::WaitingForMember));
    let log = world.bot().log.len();
    world.sweep().await;
    assert_eq!(
        world.bot().log.len(),
        log,
        "nothing is sent to somebody who is not there"
    );
    world.join(&person).await;
    let command = world.commands().await.pop().unwrap();
    assert_eq!(
        (command.reason.as_str(), &command.add),
        ("joined", &vec![member_role()])
    );
    world.carry_out(&command).await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
}

#[tokio::test]
async fn who_left_is_not_pulled_back_but_may_ask_to_be() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.leave(&person).await;
    assert_eq!(world.state(&person).await, Some(GuildState::WaitingForMember));
    world.stripe.renew(&subscription).unwrap();
    world.follow().await;
    world.stripe.fail_payment(&subscription).unwrap();
    world.follow().await;
    world.sweep().await;
    assert!(!world.bot().is_in(person.key()), "pulled back");
    world.give_token(&person).await;
    world.converge(&person, Trigger::FixRoles).await;
    world.settle().await;
    assert!(world.bot().is_in(person.key()), "they asked for it");
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
}

#[tokio::test]
async fn who_left_while_their_command_was_under_way_is_not_pulled_back() {
    let world = World::start().await;
    let person = world.outsider().await;
    world.give_token(&person).await;
    let subscription = world.buy(&person, COUNCIL);
    world.deliver_new().await;
    // The command with the token is lost; they come by themselves and leave again.
    assert!(world.commands().await.pop().unwrap().join.is_some());
    world.advance(TimeDelta::seconds(1));
    world.join(&person).await;
    world.commands().await;
    world.advance(TimeDelta::seconds(1));
    world.leave(&person).await;
    world.cron("due_sweep").await;
    world.settle().await;
    assert!(!world.bot().is_in(person.key()), "pulled back");
    world.stripe.fail_payment(&subscription).unwrap();
    world.follow().await;
    assert!(!world.bot().is_in(person.key()), "pulled back by a new command");
}

#[tokio::test]
async fn a_refused_role_opens_one_breaker_and_the_others_still_converge() {
    let world = World::start().await;
    world.bot().refused.insert(patron_role());
    let person = world.person().await;
    world.buy(&person, PATRON);
    world.follow().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    let row = world.row(&person).await.unwrap();
    assert_eq!((row.state, world.breakers().await), (GuildState::Blocked, 1));
    assert!(row.blocked_reason.unwrap().contains("not below"));
    // The next one is not even tried with the refused role.
    let other = world.person().await;
    world.buy(&other, PATRON);
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    assert_eq!(command.add, [member_role()]);
    world.carry_out(&command).await;
    assert_eq!(world.state(&other).await, Some(GuildState::Blocked));
    let sent = world.bot().log.len();
    world.sweep().await;
    assert_eq!(world.bot().log.len(), sent, "a hopeless retry");

    // The order of roles is changed, but not enough.
    world.observe(server(6, false, ENOUGH)).await;
    assert_eq!((world.breakers().await, world.commands().await.len()), (1, 0));
    world.bot().refused.clear();
    world.advance(TimeDelta::seconds(1));
    world.observe(server(9, false, ENOUGH)).await;
    assert_eq!(world.breakers().await, 0);
    world.settle().await;
    for person in [&person, &other] {
        assert_eq!(world.roles(person), [member_role(), patron_role()].into());
        assert_eq!(world.state(person).await, Some(GuildState::InSync));
    }
}

#[tokio::test]
async fn the_two_outcomes_of_a_partly_refused_command_may_come_in_any_order() {
    for swapped in [false, true] {
        let world = World::start().await;
        world.bot().refused.insert(patron_role());
        let person = world.person().await;
        world.buy(&person, PATRON);
        world.deliver_new().await;
        let command = world.commands().await.pop().unwrap();
        let mut outcomes = world.bot().carry_out(&command, world.now());
        assert_eq!(outcomes.len(), 2);
        if swapped {
            outcomes.reverse();
        }
        for outcome in outcomes {
            world.tell(outcome).await;
        }
        assert_eq!(
            world.state(&person).await,
            Some(GuildState::Blocked),
            "swapped: {swapped}"
        );
        let member = world.role_row(&person, member_role()).await.unwrap();
        assert_eq!(member.observed, Some(true), "swapped: {swapped}");
    }
}

#[tokio::test]
async fn a_refusal_alone_leaves_the_other_roles_due() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, PATRON);
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    let refused = RoleResult::Blocked {
        code: 50_013,
        roles: vec![patron_role()],
        message: "no".to_owned(),
    };
    world.tell(outcome(&command, world.now(), refused)).await;
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.state(&person).await, Some(GuildState::Blocked));
}

#[tokio::test]
async fn a_refused_invitation_is_tried_again_when_the_server_was_mended() {
    let world = World::start().await;
    let person = world.outsider().await;
    world.give_token(&person).await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    let refused = RoleResult::Blocked {
        code: 50_013,
        roles: Vec::new(),
        message: "the bot lacks the permission Create Invite".to_owned(),
    };
    world.tell(outcome(&command, world.now(), refused)).await;
    assert_eq!(
        (world.state(&person).await, world.breakers().await),
        (Some(GuildState::Blocked), 0)
    );
    world.advance(TimeDelta::seconds(1));
    world.observe(server(9, false, ENOUGH)).await;
    world.settle().await;
    assert!(world.bot().is_in(person.key()));
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn a_new_session_asks_anew_for_everybody_who_waits() {
    let world = World::start().await;
    let person = world.outsider().await;
    world.buy(&person, COUNCIL);
    world.follow().await;
    // They joined while the bot was away.
    world.bot().put(person.key(), &[]);
    world.advance(TimeDelta::seconds(1));
    world.observe(server(9, true, ENOUGH)).await;
    world.settle().await;
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn a_refusal_from_before_the_server_was_mended_holds_nobody_up() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, PATRON);
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    let refused = RoleResult::Blocked {
        code: 50_013,
        roles: vec![patron_role()],
        message: "no".to_owned(),
    };
    let refused = outcome(&command, world.now(), refused);
    world.advance(TimeDelta::seconds(1));
    world.observe(server(9, false, ENOUGH)).await;
    world.tell(refused).await;
    assert_eq!(world.breakers().await, 0);
    assert_eq!(world.state(&person).await, Some(GuildState::Due));
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role(), patron_role()].into());
}

#[tokio::test]
async fn that_a_session_began_anew_counts_even_if_a_newer_look_was_quicker() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    // They lost the role while the bot had no session.
    world.bot().roles_mut(person.key()).clear();
    let before = world.attempt();
    world.advance(TimeDelta::seconds(1));
    world.observe(server(9, false, ENOUGH)).await;
    world.observe_late(server(9, true, ENOUGH), &before).await;
    world.settle().await;
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn an_older_look_at_a_server_closes_nothing() {
    let world = World::start().await;
    world.bot().refused.insert(patron_role());
    let person = world.person().await;
    world.buy(&person, PATRON);
    world.follow().await;
    let before = world.attempt();
    world.advance(TimeDelta::seconds(1));
    world.observe(server(6, false, ENOUGH)).await;
    world.observe_late(server(9, false, ENOUGH), &before).await;
    assert_eq!(world.breakers().await, 1);
}

#[tokio::test]
async fn a_success_that_changed_nothing_stays_due_and_is_sent_again() {
    let world = World::start().await;
    world.bot().lies = true;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    world.follow().await;
    assert_eq!(
        (world.roles(&person), world.state(&person).await),
        ([].into(), Some(GuildState::Due))
    );
    world.sweep().await;
    assert_eq!(world.state(&person).await, Some(GuildState::Due), "still lying");
    world.bot().lies = false;
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    // The same for a revocation.
    world.bot().lies = true;
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    assert_eq!(world.state(&person).await, Some(GuildState::Due));
    world.bot().lies = false;
    world.sweep().await;
    assert_eq!(
        (world.roles(&person), world.state(&person).await),
        ([].into(), Some(GuildState::InSync))
    );
}

#[tokio::test]
async fn a_command_that_the_bot_gave_up_stays_due() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    let failed = RoleResult::Failed {
        message: "Discord was away for a day".to_owned(),
    };
    world.tell(outcome(&command, world.now(), failed)).await;
    assert_eq!(world.state(&person).await, Some(GuildState::Due));
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn strangers_in_the_server_are_nobody_s_business() {
    let world = World::start().await;
    let stranger = world.unlinked().await;
    world.join(&stranger).await;
    world.bot().roles_mut(stranger.key()).insert(role(7));
    world.tell_roles(&stranger).await;
    world.leave(&stranger).await;
    assert!(world.commands().await.is_empty());
    assert_eq!(world.row(&stranger).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn sightings_and_convergences_at_once_do_not_wait_for_each_other_in_a_circle() {
    let world = Arc::new(World::start().await);
    let (person, _) = world.council_member().await;
    let mut set = tokio::task::JoinSet::new();
    for n in 0..40 {
        let (world, person) = (Arc::clone(&world), person.clone());
        set.spawn(async move {
            match n % 4 {
                0 => world.tell_roles(&person).await,
                1 => world.converge(&person, Trigger::Staff).await,
                2 => world.converge(&person, Trigger::FixRoles).await,
                _ => world.join(&person).await,
            }
        });
    }
    crate::support::soon(set.join_all()).await;
    world.settle().await;
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role()].into());
}
