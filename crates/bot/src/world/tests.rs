//! What becomes known from which events, and what of it is told.

use std::{sync::Arc, time::Duration};

use rolecall_queue::{
    Documents, Link, LinkOptions,
    catalog::{CatalogDocument, CatalogGuild},
};
use rolecall_runtime::clock::SystemClock;

use super::*;
use crate::gateway::event::Payload;

fn guild() -> GuildId {
    GuildId::new(1).unwrap()
}

fn key() -> Key {
    (guild(), DiscordUserId::new(5).unwrap())
}

fn presence(roles: &[u64]) -> Presence {
    Presence {
        roles: roles.iter().map(|id| RoleId::new(*id).unwrap()).collect(),
        pending: false,
    }
}

/// A world with a session, a server whose role 20 is mapped and whose role 30 is not, and the bot in it.
fn world() -> Arc<World> {
    let link = Link::new("redis://nowhere", "test", LinkOptions::default()).unwrap();
    let catalog = Arc::new(Catalog::new(Documents::new(&link)));
    let mapped = CatalogGuild {
        guild_id: guild(),
        mapped_roles: vec![RoleId::new(20).unwrap()],
        retired_roles: Vec::new(),
        debtor_role: None,
        introduced_role: None,
        introductions_channel: None,
        alumni_role: None,
        removes_people: false,
    };
    catalog.learn(CatalogDocument {
        version: 1,
        guilds: vec![mapped],
    });
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let world = Arc::new(World::new(&catalog, &clock, guild(), true));
    world.session_started(SavedSession {
        id: "s".to_owned(),
        sequence: 1,
        resume_url: "wss://x".to_owned(),
        intents: 3,
        bot_user_id: DiscordUserId::new(9).unwrap(),
    });
    let body = r#""GUILD_CREATE","d":{"id":"1","name":"Council","roles":[
        {"id":"1","name":"@everyone","position":0,"permissions":"1"},
        {"id":"20","name":"Member","position":1,"permissions":"0"},
        {"id":"40","name":"Bot","position":5,"permissions":"268435456"}],
        "members":[{"user":{"id":"9"},"roles":["40"]}]}"#;
    hear(&world, 2, body);
    world
}

fn hear(world: &World, sequence: u64, rest: &str) {
    let text = format!(r#"{{"op":0,"s":{sequence},"t":{rest}}}"#);
    world.apply(Payload::read(&text).unwrap().event().unwrap(), sequence);
}

fn update(world: &World, sequence: u64, roles: &[u64]) {
    member(world, sequence, "GUILD_MEMBER_UPDATE", roles);
}

fn member(world: &World, sequence: u64, kind: &str, roles: &[u64]) {
    let roles: Vec<String> = roles.iter().map(u64::to_string).collect();
    let roles = serde_json::to_string(&roles).unwrap();
    hear(
        world,
        sequence,
        &format!(r#""{kind}","d":{{"guild_id":"1","user":{{"id":"5"}},"roles":{roles}}}"#),
    );
}

/// What is told of people, all of it.
fn told(world: &World) -> Vec<Fact> {
    let mut facts = Vec::new();
    while let Next::Now(ticket) = world.next_fact() {
        world.published();
        if ticket.subject == Subject::Member(key()) {
            facts.push(ticket.fact);
        }
    }
    facts
}

#[test]
fn the_first_sighting_is_told_and_then_only_what_concerns_us() {
    let world = world();
    update(&world, 3, &[30]);
    assert_eq!(
        told(&world),
        [Fact::Changed(presence(&[30]))],
        "a mapped role may have been taken unseen"
    );
    update(&world, 4, &[30, 31]);
    assert_eq!(told(&world), []);
    update(&world, 5, &[20, 30, 31]);
    assert_eq!(told(&world), [Fact::Changed(presence(&[20, 30, 31]))]);
}

#[test]
fn coming_twice_and_leaving_twice_are_told_once() {
    let world = world();
    for sequence in 3..5 {
        member(&world, sequence, "GUILD_MEMBER_ADD", &[]);
    }
    assert_eq!(told(&world), [Fact::Joined(presence(&[]))]);
    for sequence in 5..7 {
        member(&world, sequence, "GUILD_MEMBER_REMOVE", &[]);
    }
    assert_eq!(told(&world), [Fact::Left]);
    assert_eq!(world.fresh(key()), Some(None));
}

#[test]
fn nobody_is_known_freshly_while_the_connection_is_gone_or_after_a_new_session() {
    let world = world();
    update(&world, 3, &[20]);
    assert_eq!(world.fresh(key()), Some(Some(presence(&[20]))));
    world.disconnected();
    assert_eq!(world.fresh(key()), None);
    world.session_resumed();
    assert_eq!(world.fresh(key()), Some(Some(presence(&[20]))));
    let session = world.session_to_save().unwrap();
    world.session_started(session);
    assert_eq!(world.fresh(key()), None);
}

#[test]
fn a_session_is_saved_only_up_to_what_was_told() {
    let world = world();
    told(&world);
    // The server waits to settle, so the event before it is the last that is through.
    assert_eq!(world.session_to_save().unwrap().sequence, 1);
    update(&world, 3, &[20]);
    update(&world, 4, &[]);
    assert_eq!(world.session_to_save().unwrap().sequence, 1);
    world.state().outbox.hurry(Instant::now());
    told(&world);
    assert_eq!(world.session_to_save().unwrap().sequence, 4);
}

#[test]
fn our_own_writes_are_not_news_but_what_differs_from_the_report_is() {
    let world = world();
    update(&world, 3, &[30]);
    told(&world);
    let writing = world.begin(key());
    update(&world, 4, &[20, 30]);
    writing.finish(Some(presence(&[20, 30])));
    assert_eq!(told(&world), []);

    let writing = world.begin(key());
    update(&world, 5, &[30]);
    writing.finish(Some(presence(&[20, 30])));
    assert_eq!(
        told(&world),
        [Fact::Changed(presence(&[30]))],
        "staff took it between our look and our report"
    );

    let writing = world.begin(key());
    update(&world, 6, &[20, 30]);
    drop(writing);
    assert_eq!(
        told(&world),
        [Fact::Changed(presence(&[20, 30]))],
        "a command that broke off reports nothing"
    );
}

#[test]
fn somebody_whose_writing_broke_off_is_asked_for_and_not_remembered() {
    let world = world();
    for hand_on in [false, true] {
        update(&world, 3, &[30]);
        assert!(world.fresh(key()).is_some());
        let writing = world.begin(key());
        // Role 20 was given, and the gateway has not told yet.
        if hand_on {
            writing.hand_on();
        } else {
            drop(writing);
        }
        assert_eq!(world.fresh(key()), None, "handed on: {hand_on}");
        update(&world, 4, &[20, 30]);
        assert_eq!(world.fresh(key()), Some(Some(presence(&[20, 30]))));
    }
}

#[test]
fn a_look_does_not_overwrite_what_the_gateway_told_meanwhile() {
    let world = world();
    let writing = world.begin(key());
    let mark = writing.mark();
    update(&world, 3, &[20]);
    assert_eq!(writing.saw(mark, Some(presence(&[]))), Some(presence(&[20])));
    let mark = writing.mark();
    assert_eq!(writing.saw(mark, Some(presence(&[30]))), Some(presence(&[30])));
    assert_eq!(world.fresh(key()), Some(Some(presence(&[30]))));
}

#[test]
fn a_deleted_role_is_gone_from_everybody() {
    let world = world();
    update(&world, 3, &[20, 30]);
    hear(
        &world,
        4,
        r#""GUILD_ROLE_DELETE","d":{"guild_id":"1","role_id":"20"}"#,
    );
    assert_eq!(world.fresh(key()), Some(Some(presence(&[30]))));
    let fault = world.fault_of(guild(), RoleId::new(20).unwrap()).unwrap();
    assert_eq!(fault.id(), "role_unknown");
}

#[test]
fn the_bots_own_roles_decide_what_it_may_give() {
    let world = world();
    assert_eq!(world.fault_of(guild(), RoleId::new(20).unwrap()), None);
    assert_eq!(world.setup_faults(), Some(vec![]));
    hear(
        &world,
        3,
        r#""GUILD_MEMBER_UPDATE","d":{"guild_id":"1","user":{"id":"9"},"roles":[]}"#,
    );
    let faults = world.setup_faults().unwrap();
    assert!(
        faults[0].contains("Council") && faults[0].contains("Manage Roles"),
        "{faults:?}"
    );
    assert!(
        matches!(world.next_fact(), Next::At(_)),
        "the change is told after a while"
    );
}

#[test]
fn a_look_at_a_server_that_began_before_a_change_is_made_again() {
    let world = world();
    let changes = world.changes();
    let before = Guild::new("Council".to_owned(), Vec::new(), Some(Vec::new()));
    hear(
        &world,
        3,
        r#""GUILD_ROLE_CREATE","d":{"guild_id":"1","role":{"id":"21","name":"New","position":2,"permissions":"0"}}"#,
    );
    world.looked_at(guild(), Some(before.clone()), changes);
    assert_eq!(
        world.role_name(guild(), RoleId::new(21).unwrap()).as_deref(),
        Some("New")
    );
    assert_eq!(world.to_look_at(), [guild()].into(), "it is looked at again");
    world.looked_at(guild(), Some(before), world.changes());
    assert_eq!(world.role_name(guild(), RoleId::new(21).unwrap()), None);
}

#[test]
fn a_server_is_told_of_from_time_to_time_and_after_redis_forgot_although_it_is_as_it_was() {
    let world = world();
    let seen = || Some(Guild::new("Council".to_owned(), Vec::new(), Some(Vec::new())));
    let told = || {
        world.looked_at(guild(), seen(), world.changes());
        let later = Instant::now() + Duration::from_secs(1);
        let next = world.state().outbox.next(later);
        world.state().outbox = Outbox::default();
        match next {
            Next::Now(ticket) => Some(ticket.fact),
            _ => None,
        }
    };
    told();
    assert_eq!(told(), None);
    world.doubt_all();
    assert_eq!(told(), Some(Fact::Guild { identified: false }));
    world.redis_forgot();
    assert_eq!(told(), Some(Fact::Guild { identified: true }));
    assert_eq!(told(), None);
}

#[test]
fn a_server_shown_by_a_new_session_is_told_as_such_even_if_what_the_bot_is_in_it_comes_later() {
    let world = world();
    world.state().outbox = Outbox::default();
    let without_the_bot = r#""GUILD_CREATE","d":{"id":"1","name":"Council","roles":[],"members":[]}"#;
    hear(&world, 3, without_the_bot);
    assert_eq!(world.next_fact(), Next::Nothing, "not enough is known");
    let seen = Guild::new("Council".to_owned(), Vec::new(), Some(Vec::new()));
    world.looked_at(guild(), Some(seen), world.changes());
    let later = Instant::now() + Duration::from_secs(1);
    let Next::Now(ticket) = world.state().outbox.next(later) else {
        panic!("nothing is told")
    };
    assert_eq!(ticket.fact, Fact::Guild { identified: true });
}
