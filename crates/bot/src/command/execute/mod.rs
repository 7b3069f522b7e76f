//! Carrying out one command: look, join or remove the person, write the difference, read back.

mod removal;

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use rolecall_discord::{
    error::{DiscordError, ErrorClass},
    limiter::Lane,
    rest::{Gate, Joined, Member, Pass},
};
use rolecall_domain::{
    ids::RoleId,
    roles::{Difference, difference},
};
use rolecall_queue::jobs::{self, ApplyRoles, RoleResult};

use crate::{
    command::{refusal::Refusal, turns::Turn},
    rest::{CallError, Person},
    term::Ctx,
    world::{Presence, Sighting, Writing},
};

/// How long the gateway may take to tell what was written, before we ask.
const ECHO: Duration = Duration::from_millis(1500);

/// What people's tokens are sealed for.
const TOKEN_CONTEXT: &str = "discord.access_token";

/// Why a command was not carried out to its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// A newer one is here.
    Superseded,
    /// Nothing is known of what may be written.
    NoCatalog,
    /// The server's roles, or the bot's own, cannot be seen just now.
    Unseen,
    /// The bot cannot even look: it is not in the server, or sees nothing there.
    Shut(DiscordError),
    /// Discord, or the lack of the right to call it.
    Call(CallError),
}

impl From<CallError> for Halt {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// A command being carried out.
pub(super) struct Execution<'a> {
    ctx: &'a Ctx,
    command: &'a ApplyRoles,
    turn: &'a Turn,
    person: Person,
    lane: Lane,
    /// Nothing of it can have been written before.
    first: bool,
    /// Stands behind the gates of all writes: passed by the first, unless it was called off before.
    writes: Gate,
}

/// What was found and done.
#[derive(Debug)]
pub(super) struct Report {
    /// The person as seen last.
    seen: Sighting,
    /// When.
    pub(super) at: DateTime<Utc>,
    already: Vec<RoleId>,
    joined: bool,
    kicked: bool,
    refusals: Vec<Refusal>,
}

/// What the command wants, limited to what may be touched.
struct Wish {
    add: BTreeSet<RoleId>,
    remove: BTreeSet<RoleId>,
}

/// What was written so far.
#[derive(Default)]
struct Written {
    changes: Difference,
    refusals: Vec<Refusal>,
    gone: bool,
}

impl Report {
    pub(super) fn unseen(at: DateTime<Utc>) -> Self {
        Self {
            seen: None,
            at,
            already: Vec::new(),
            joined: false,
            kicked: false,
            refusals: Vec::new(),
        }
    }

    /// What the worker is told: what was seen, and then what the server does not allow.
    pub(super) fn results(&self) -> Vec<RoleResult> {
        let blocked = Refusal::result(&self.refusals);
        let seen = match &self.seen {
            Some(presence) => Some(RoleResult::Applied {
                roles: presence.roles.iter().copied().collect(),
                already: self.already.clone(),
                joined: self.joined,
                pending: presence.pending,
            }),
            None if blocked.is_some() => None,
            None => Some(RoleResult::NotInGuild { kicked: self.kicked }),
        };
        seen.into_iter().chain(blocked).collect()
    }
}

impl<'a> Execution<'a> {
    pub(super) fn new(ctx: &'a Ctx, command: &'a ApplyRoles, turn: &'a Turn, first: bool) -> Self {
        Self {
            ctx,
            command,
            turn,
            person: Person {
                guild_id: command.guild_id,
                user_id: command.user_id,
            },
            lane: match command.lane {
                jobs::Lane::Now => Lane::Now,
                jobs::Lane::Bulk => Lane::Bulk,
            },
            first,
            writes: Gate::default(),
        }
    }

    /// Keeps it from writing anything. `false` if it has written already.
    pub(super) fn call_off(&self) -> bool {
        self.writes.shut()
    }

    /// Sends a write, unless a newer command comes while it waits at the limiter: that one may want the opposite.
    async fn send<T>(
        &self,
        write: impl AsyncFnOnce(Pass) -> Result<T, CallError>,
    ) -> Result<Result<T, CallError>, Halt> {
        let gate = self.writes.inner();
        let stopped = async {
            self.turn.overtaken().await;
            if !gate.shut() {
                // It has gone out, and its answer has to be known.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => Err(Halt::Superseded),
            answer = write(Pass::new(self.lane, &gate)) => Ok(answer),
        }
    }

    /// Carries it out.
    pub(super) async fn run(&self) -> Result<Report, Halt> {
        let wish = self.wish().await?;
        let writing = self
            .ctx
            .bot
            .world
            .begin((self.command.guild_id, self.command.user_id));
        match self.carry_out(&wish, &writing).await {
            Ok(report) => {
                writing.finish(report.seen.clone());
                Ok(report)
            }
            Err(Halt::Shut(error)) => Ok(self.shut_out(&wish, &error)),
            // Whatever went wrong: it is the newer one's to do.
            Err(Halt::Superseded | Halt::Call(CallError::Discord(_))) if self.turn.is_superseded() => {
                writing.hand_on();
                Err(Halt::Superseded)
            }
            Err(halt) => Err(halt),
        }
    }

    /// Nothing can be done for anybody in this server.
    fn shut_out(&self, wish: &Wish, error: &DiscordError) -> Report {
        let world = &self.ctx.bot.world;
        let refusal = |role: &RoleId| Refusal::of_role(world, self.command.guild_id, *role, error);
        let mut refusals: Vec<Refusal> = wish.add.union(&wish.remove).filter_map(refusal).collect();
        if self.kicks_who_came_before().is_some() {
            refusals.extend(Refusal::of_kick(self.command.guild_id, error));
        }
        Report {
            refusals,
            ..Report::unseen(self.now())
        }
    }

    async fn carry_out(&self, wish: &Wish, writing: &Writing) -> Result<Report, Halt> {
        let mut report = Report::unseen(self.now());
        report.seen = self.look(writing).await?;
        report.at = self.now();
        if report.seen.is_none() && !self.command.probe && !wish.add.is_empty() {
            self.join(wish, writing, &mut report).await?;
        }
        if report.seen.is_some()
            && let Some(ended) = self.kicks_who_came_before()
        {
            self.kick(ended, writing, &mut report).await?;
        }
        let Some(found) = report.seen.clone() else {
            return Ok(report);
        };
        if self.first && !report.joined {
            report.already = wish.add.intersection(&found.roles).copied().collect();
        }
        let changes = difference(&found.roles, &wish.add, &wish.remove);
        if self.command.probe || changes.is_empty() {
            return Ok(report);
        }
        let written = self.write(&changes).await?;
        report.refusals.extend(written.refusals);
        if written.gone {
            report.seen = writing.saw(writing.mark(), None);
        } else if !written.changes.is_empty() {
            report.seen = self.read_back(writing, &written.changes).await?;
        }
        report.at = self.now();
        Ok(report)
    }

    /// What the command wants of the roles that are ours to touch.
    async fn wish(&self) -> Result<Wish, Halt> {
        let catalog = &self.ctx.bot.catalog;
        let guild_id = self.command.guild_id;
        let (add, remove) = (&self.command.add, &self.command.remove);
        let mapped = || catalog.mapped(guild_id).zip(catalog.takeable(guild_id));
        let is_known = mapped().is_some_and(|(mapped, takeable)| {
            add.iter().all(|role| mapped.contains(role)) && remove.iter().all(|role| takeable.contains(role))
        });
        if !is_known {
            // It may be newer than what we have read.
            match self
                .ctx
                .guard
                .run(catalog.read())
                .await
                .map_err(CallError::from)?
            {
                Ok(true) => self.ctx.bot.world.catalog_changed(),
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "the catalog could not be read"),
            }
        }
        let (mapped, takeable) = mapped().ok_or(Halt::NoCatalog)?;
        let foreign: Vec<String> = (add.iter().filter(|role| !mapped.contains(role)))
            .chain(remove.iter().filter(|role| !takeable.contains(role)))
            .map(ToString::to_string)
            .collect();
        if !foreign.is_empty() {
            tracing::warn!(guild.id = %guild_id, roles = ?foreign, "a command names roles that are not in the catalog: not touched");
        }
        let ours = |roles: &[RoleId], known: &BTreeSet<RoleId>| {
            roles
                .iter()
                .copied()
                .filter(|role| known.contains(role))
                .collect()
        };
        Ok(Wish {
            add: ours(add, &mapped),
            remove: ours(remove, &takeable),
        })
    }

    /// The person as they are: as the gateway knows them, or by asking.
    async fn look(&self, writing: &Writing) -> Result<Sighting, Halt> {
        let known = self
            .ctx
            .bot
            .world
            .fresh((self.command.guild_id, self.command.user_id));
        match known {
            Some(sighting) if !self.command.probe => Ok(sighting),
            _ => self.ask(writing).await,
        }
    }

    async fn ask(&self, writing: &Writing) -> Result<Sighting, Halt> {
        let mark = writing.mark();
        let member = self.member().await?;
        Ok(writing.saw(mark, member.map(Presence::from)))
    }

    async fn member(&self) -> Result<Option<Member>, Halt> {
        match self.ctx.rest.member(self.person, self.lane).await {
            Ok(member) => Ok(member),
            Err(CallError::Discord(error))
                if matches!(
                    error.class(),
                    ErrorClass::UnknownGuild | ErrorClass::MissingPermission { .. }
                ) =>
            {
                Err(Halt::Shut(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Adds the person with their roles, if they have allowed that.
    async fn join(&self, wish: &Wish, writing: &Writing, report: &mut Report) -> Result<(), Halt> {
        let Some(sealed) = &self.command.join else {
            return Ok(());
        };
        let token = match self.ctx.bot.sealer.open_text(TOKEN_CONTEXT, sealed) {
            Ok(token) => token,
            Err(error) => {
                tracing::error!(%error, "a person's token does not open; they have to join by themselves");
                return Ok(());
            }
        };
        let world = &self.ctx.bot.world;
        if let Some(fault) = world.join_fault(self.command.guild_id) {
            report.refusals.push(Refusal::foreseen(None, &fault));
            return Ok(());
        }
        // One role that cannot be given would keep the person out.
        let possible = |role: &RoleId| world.fault_of(self.command.guild_id, *role).is_none();
        let roles: Vec<RoleId> = wish.add.iter().copied().filter(possible).collect();
        let mark = writing.mark();
        let rest = &self.ctx.rest;
        let added = self
            .send(async |pass| rest.add_member(self.person, &token, &roles, pass).await)
            .await?;
        match added {
            Ok(Joined::Created(member)) => {
                report.joined = true;
                report.seen = writing.saw(mark, Some(member.into()));
            }
            Ok(Joined::AlreadyThere) => report.seen = self.ask(writing).await?,
            Err(CallError::Discord(error)) => match error.class() {
                ErrorClass::InvalidOauthToken => {
                    tracing::info!("a person's token is no longer good; they have to join by themselves");
                }
                _ => match Refusal::of_join(self.command.guild_id, &error) {
                    Some(refusal) => report.refusals.push(refusal),
                    None => return Err(CallError::from(error).into()),
                },
            },
            Err(error) => return Err(error.into()),
        }
        report.at = self.now();
        Ok(())
    }

    /// Writes one role after the other. One that the server does not allow does not keep the others back.
    async fn write(&self, changes: &Difference) -> Result<Written, Halt> {
        let mut written = Written::default();
        let adds = changes.add.iter().map(|role| (*role, true));
        let removes = changes.remove.iter().map(|role| (*role, false));
        for (role, give) in adds.chain(removes) {
            if let Some(fault) = self.ctx.bot.world.fault_of(self.command.guild_id, role) {
                written.refusals.push(Refusal::foreseen(Some(role), &fault));
                continue;
            }
            match self.write_role(role, give).await? {
                Ok(()) if give => drop(written.changes.add.insert(role)),
                Ok(()) => drop(written.changes.remove.insert(role)),
                Err(CallError::Discord(error)) if error.class() == ErrorClass::NotInGuild => {
                    written.gone = true;
                    return Ok(written);
                }
                Err(CallError::Discord(error)) => {
                    match Refusal::of_role(&self.ctx.bot.world, self.command.guild_id, role, &error) {
                        Some(refusal) => {
                            // Otherwise it would have been foreseen.
                            self.ctx.bot.world.doubt(self.command.guild_id);
                            written.refusals.push(refusal);
                        }
                        None => return Err(CallError::from(error).into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(written)
    }

    async fn write_role(&self, role: RoleId, give: bool) -> Result<Result<(), CallError>, Halt> {
        let (rest, reason) = (&self.ctx.rest, format!("Rolecall: {}", self.command.reason));
        self.send(async |pass| {
            if give {
                rest.add_role(self.person, role, &reason, pass).await
            } else {
                rest.remove_role(self.person, role, &reason, pass).await
            }
        })
        .await
    }

    /// The person after the writes: as the gateway tells, or by asking. An answer to a write is no proof.
    async fn read_back(&self, writing: &Writing, changes: &Difference) -> Result<Sighting, Halt> {
        if self.ctx.bot.world.echoes() {
            let done = |presence: &Presence| {
                changes.add.is_subset(&presence.roles) && changes.remove.is_disjoint(&presence.roles)
            };
            let is_done = |sighting: &Sighting| sighting.as_ref().is_some_and(done);
            if let Some(sighting) = writing.echo(ECHO, is_done).await {
                return Ok(sighting);
            }
        }
        self.ask(writing).await
    }

    fn now(&self) -> DateTime<Utc> {
        self.ctx.bot.clock.now()
    }
}

impl From<Member> for Presence {
    fn from(member: Member) -> Self {
        Self {
            roles: member.roles.into_iter().collect(),
            pending: member.pending,
        }
    }
}
