//! The simulator's own controls, the same by library and by HTTP under `/_sandbox`: what people,
//! staff and Discord itself do, and faults on demand.

pub mod gateway;
pub mod people;
pub mod platform;
pub(crate) mod routes;
pub mod staff;
pub mod view;

pub(crate) use routes::routes;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::discord::{
    control::{gateway::GatewayAction, people::PeopleAction, platform::PlatformAction, staff::StaffAction},
    error::ApiError,
    state::World,
};

/// Something done to the simulated Discord from outside its API.
#[derive(Debug, Clone)]
pub enum Action {
    /// By people.
    People(PeopleAction),
    /// By a server's staff.
    Staff(StaffAction),
    /// By Discord, on its API.
    Platform(PlatformAction),
    /// By Discord, on its gateway.
    Gateway(GatewayAction),
}

macro_rules! from_actions {
    ($($variant:ident = $action:ident;)*) => {$(
        impl From<$action> for Action {
            fn from(action: $action) -> Self {
                Self::$variant(action)
            }
        }
    )*};
}

from_actions! {
    People = PeopleAction;
    Staff = StaffAction;
    Platform = PlatformAction;
    Gateway = GatewayAction;
}

impl Action {
    /// Reads `{"action": "...", ...}`. The error is that of the kind which knows the action's name.
    pub(crate) fn parse(value: &Value) -> Result<Self, serde_json::Error> {
        read::<PeopleAction>(value)
            .or_else(|| read::<StaffAction>(value))
            .or_else(|| read::<PlatformAction>(value))
            .unwrap_or_else(|| GatewayAction::deserialize(value).map(Self::from))
    }
}

/// `None` if this kind of action has none of that name.
fn read<'a, T: Deserialize<'a> + Into<Action>>(
    value: &'a Value,
) -> Option<Result<Action, serde_json::Error>> {
    match T::deserialize(value) {
        Err(error) if error.to_string().starts_with("unknown variant") => None,
        outcome => Some(outcome.map(Into::into)),
    }
}

/// Why an action was not done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ActionError {
    /// Discord would not allow it, or knows no such thing.
    #[error("refused: {0}")]
    Refused(#[from] ApiError),
    /// It makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl World {
    /// Does it; answers with the id of what was made, if something was.
    pub(crate) fn act(&mut self, action: Action, now: DateTime<Utc>) -> Result<Value, ActionError> {
        let made = match action {
            Action::People(action) => self.act_as_people(action, now)?,
            Action::Staff(action) => self.act_as_staff(action, now)?,
            Action::Platform(action) => {
                self.act_as_platform(action)?;
                None
            }
            Action::Gateway(action) => {
                self.act_as_gateway(action, now);
                None
            }
        };
        Ok(made.map_or_else(|| json!({}), |id| json!({"id": id.to_string()})))
    }
}
