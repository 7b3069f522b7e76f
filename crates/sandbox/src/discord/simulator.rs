//! The simulator as a library: start it, look into it, act on it, stop it.

use std::{io, net::TcpListener};

use actix_web::{dev::ServerHandle, web};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};

use crate::discord::{
    config::Config,
    control::{
        Action, ActionError,
        gateway::GatewayAction,
        people::PeopleAction,
        platform::PlatformAction,
        staff::StaffAction,
        view::{GatewayView, StateView},
    },
    faults::Fault,
    gateway::GatewaySwitches,
    ids::Snowflake,
    request_log::RequestEntry,
    server,
    state::{audit::AuditEntry, channels::Message, commands::Interaction, shared::Shared},
};

/// A running simulated Discord.
pub struct Simulator {
    shared: web::Data<Shared>,
    handle: ServerHandle,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator")
            .field("origin", &self.origin())
            .finish_non_exhaustive()
    }
}

impl Simulator {
    /// Starts it; the port is bound when this returns.
    #[expect(
        clippy::unused_async,
        reason = "it must be called on a runtime, and async says so"
    )]
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen)?;
        let origin = format!("http://{}", listener.local_addr()?);
        let shared = web::Data::new(Shared::new(&config, origin));
        let (handle, task) = server::start(&shared, listener)?;
        Ok(Self { shared, handle, task })
    }

    /// `http://host:port`: for `DISCORD_API_BASE`, and where the pages are.
    pub fn origin(&self) -> String {
        self.shared.origin().to_owned()
    }

    /// `ws://host:port/gateway`.
    pub fn gateway_url(&self) -> String {
        self.shared.gateway_url()
    }

    /// The roles of a member without `@everyone`; `None` if they are not a member.
    pub fn member_roles(&self, guild: u64, user: u64) -> Option<Vec<u64>> {
        let world = self.shared.world();
        let member = world.guilds.get(&guild)?.members.get(&user)?;
        Some(member.roles.iter().copied().collect())
    }

    /// Accounts and servers.
    pub fn state(&self) -> StateView {
        self.shared.world().state_view()
    }

    /// Every API request so far, with its answer.
    pub fn requests(&self) -> Vec<RequestEntry> {
        self.shared.world().requests.after(0)
    }

    /// The audit log, the oldest entry first.
    pub fn audit_log(&self) -> Vec<AuditEntry> {
        self.shared.world().audit.clone()
    }

    /// Connections, sessions, and what happened on the gateway.
    pub fn gateway(&self) -> GatewayView {
        self.shared.world().gateway_view()
    }

    /// Every message so far.
    pub fn messages(&self) -> Vec<Message> {
        self.shared.world().messages.clone()
    }

    /// What was written to a user alone, the oldest message first.
    pub fn direct_messages(&self, user: u64) -> Vec<Message> {
        self.shared.world().messages_to(user).cloned().collect()
    }

    /// Every use of a command, with its answer.
    pub fn interactions(&self) -> Vec<Interaction> {
        self.shared
            .world()
            .commands
            .interactions
            .values()
            .cloned()
            .collect()
    }

    /// 401, 403 and 429 answers of the last ten minutes.
    pub fn invalid_requests(&self) -> usize {
        self.state().invalid_requests
    }

    /// A number that grows with every request, event and action: what to wait on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes()
    }

    /// Waits until `holds`, looking again after every change. Put a timeout around it.
    pub async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changes = self.changes();
        while !holds(self) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Does something to the simulated Discord; answers with `{"id"}` of what was made.
    pub fn act(&self, action: impl Into<Action>) -> Result<Value, ActionError> {
        let action = action.into();
        self.shared.change(|world, now| world.act(action, now))
    }

    /// A new person.
    pub fn add_user(&self, name: &str, email: Option<&str>, verified: bool) -> Result<u64, ActionError> {
        let add = |world: &mut crate::discord::state::World, now: DateTime<Utc>| {
            world
                .add_user(name, email, verified, now)
                .map_err(ActionError::Invalid)
        };
        self.shared.change(add)
    }

    /// A person, or the bot, joins a server.
    pub fn join(&self, guild: u64, user: u64) -> Result<(), ActionError> {
        self.act(PeopleAction::Join {
            guild: Snowflake(guild),
            user: Snowflake(user),
        })
        .map(drop)
    }

    /// A person leaves a server, or the bot is removed from it.
    pub fn leave(&self, guild: u64, user: u64) -> Result<(), ActionError> {
        self.act(PeopleAction::Leave {
            guild: Snowflake(guild),
            user: Snowflake(user),
        })
        .map(drop)
    }

    /// Staff gives a role.
    pub fn give_role(&self, guild: u64, user: u64, role: u64) -> Result<(), ActionError> {
        let [guild, user, role] = [guild, user, role].map(Snowflake);
        self.act(StaffAction::GiveRole { guild, user, role }).map(drop)
    }

    /// Staff takes a role.
    pub fn take_role(&self, guild: u64, user: u64, role: u64) -> Result<(), ActionError> {
        let [guild, user, role] = [guild, user, role].map(Snowflake);
        self.act(StaffAction::TakeRole { guild, user, role }).map(drop)
    }

    /// Staff moves a role; 1 is the lowest position.
    pub fn move_role(&self, guild: u64, role: u64, position: i64) -> Result<(), ActionError> {
        let [guild, role] = [guild, role].map(Snowflake);
        self.act(StaffAction::MoveRole {
            guild,
            role,
            position,
        })
        .map(drop)
    }

    /// Switches a fault of the API on.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.change(|world, _| world.faults.add(fault));
    }

    /// Switches all faults of the API off; requests that hang are cut.
    pub fn clear_faults(&self) {
        self.shared.change(|world, _| world.faults.clear());
    }

    /// Changes a bucket's limit from now on.
    pub fn set_limit(&self, bucket: &str, limit: u32, window_ms: u64) -> Result<(), ActionError> {
        let bucket = bucket.to_owned();
        self.act(PlatformAction::SetLimit {
            bucket,
            routes: Vec::new(),
            limit,
            window_ms,
        })
        .map(drop)
    }

    /// Switches faults of the gateway.
    pub fn set_gateway(&self, switches: GatewaySwitches) {
        self.shared
            .change(|world, now| world.act_as_gateway(GatewayAction::SetGateway(switches), now));
    }

    /// Stops: connections end, the port is free.
    pub async fn shutdown(self) {
        self.shared.stopped().cancel();
        self.handle.stop(false).await;
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the simulated Discord's task failed");
        }
    }
}
