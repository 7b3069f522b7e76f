//! Removing somebody whose membership has ended, where the owner chose so: the one step that cannot be taken back.

use chrono::{DateTime, Utc};
use rolecall_discord::error::ErrorClass;
use rolecall_domain::{hierarchy::Untouchable, ids::RoleId};

use crate::{
    command::{
        execute::{ECHO, Execution, Halt, Report},
        refusal::Refusal,
    },
    rest::CallError,
    upkeep,
    world::{Presence, Writing},
};

impl Execution<'_> {
    /// When the membership ended for which the person is to be removed, if they are. Whoever should have any role is
    /// not, whatever else the command says.
    pub(super) fn kicks_who_came_before(&self) -> Option<DateTime<Utc>> {
        self.command
            .kick
            .filter(|_| self.command.add.is_empty() && !self.command.probe)
    }

    /// Removes the person from the server, unless they came into it after `ended`: whoever comes back is not removed
    /// a second time, however late the command is or however often it comes.
    pub(super) async fn kick(
        &self,
        ended: DateTime<Utc>,
        writing: &Writing,
        report: &mut Report,
    ) -> Result<(), Halt> {
        let (guild_id, world) = (self.command.guild_id, &self.ctx.bot.world);
        // The gateway does not tell when they came, and nobody is removed on old news.
        let mark = writing.mark();
        let member = self.member().await?;
        report.seen = writing.saw(mark, member.clone().map(Presence::from));
        report.at = self.now();
        let Some(member) = member else { return Ok(()) };
        if member.joined_at.is_none_or(|joined_at| ended < joined_at) {
            tracing::info!(guild.id = %guild_id, "somebody came back after their membership had ended: they are not removed");
            return Ok(());
        }
        if let Err(why) = self.may_remove(&member.roles).await? {
            report.refusals.push(Refusal::untouchable(&why));
            return Ok(());
        }
        let (rest, reason) = (
            &self.ctx.rest,
            format!("Rolecall: the membership has ended ({})", self.command.reason),
        );
        match self
            .send(async |pass| rest.remove_member(self.person, &reason, pass).await)
            .await?
        {
            Ok(()) => self.see_gone(writing, report).await,
            Err(CallError::Discord(error)) if error.class() == ErrorClass::NotInGuild => {
                report.seen = writing.saw(writing.mark(), None);
                Ok(())
            }
            Err(CallError::Discord(error)) => match Refusal::of_kick(guild_id, &error) {
                Some(refusal) => {
                    // Otherwise it would have been foreseen, unless they own the server.
                    world.doubt(guild_id);
                    report.refusals.push(refusal);
                    Ok(())
                }
                None => Err(CallError::from(error).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Whether somebody with these roles may be removed: as the gateway tells, or by asking. Whoever is not known to
    /// be no staff is left alone.
    async fn may_remove(&self, held: &[RoleId]) -> Result<Result<(), Untouchable>, Halt> {
        let guild_id = self.command.guild_id;
        if let Some(known) = self.ctx.bot.world.may_remove(guild_id, held) {
            return Ok(known);
        }
        let guild = upkeep::look_at(self.ctx, guild_id).await?;
        guild
            .and_then(|guild| guild.may_remove(guild_id, held))
            .ok_or(Halt::Unseen)
    }

    /// Whether somebody who was removed is gone: as the gateway tells, or by asking.
    async fn see_gone(&self, writing: &Writing, report: &mut Report) -> Result<(), Halt> {
        let echo = if self.ctx.bot.world.echoes() {
            writing.echo(ECHO, Option::is_none).await
        } else {
            None
        };
        report.seen = match echo {
            Some(gone) => gone,
            None => self.ask(writing).await?,
        };
        report.at = self.now();
        report.kicked = report.seen.is_none();
        if !report.kicked {
            report.refusals.push(Refusal::of_lie());
        }
        Ok(())
    }
}
