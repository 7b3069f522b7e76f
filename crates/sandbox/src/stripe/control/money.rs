//! Refunds, disputes, fraud warnings, and payments on their way.

use actix_web::web::{self, Data, Json, Path};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::stripe::control::Reply;
use crate::stripe::error::Refusal;
use crate::stripe::http::State;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::dispute::{DisputeReason, DisputeStatus};

/// Sets up these controls.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/charges/{id}/refund", web::post().to(refund))
        .route("/charges/{id}/dispute", web::post().to(dispute))
        .route("/charges/{id}/fraud_warning", web::post().to(warn))
        .route("/refunds/{id}", web::post().to(end_refund))
        .route("/disputes/{id}", web::post().to(move_dispute))
        .route("/payments/{id}", web::post().to(settle));
}

/// Makes something happen in the time of whoever an object is about, and shows what came of it.
fn told(
    state: &State,
    id: &str,
    act: impl FnOnce(&mut World) -> Result<Value, Refusal>,
) -> Result<Json<Value>, Refusal> {
    let done = state.shared.with(|world| world.in_time_behind(id, act))?;
    Ok(Json(shape::shown(done)))
}

fn shown(world: &World, id: &str) -> Value {
    shape::by_id(world, id).unwrap_or_default()
}

/// How money is given back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRefund {
    /// All that is left, unless told otherwise.
    #[serde(default)]
    amount: Option<i64>,
    /// Whether it takes days.
    #[serde(default)]
    slow: bool,
}

async fn refund(state: Data<State>, id: Path<String>, new: Json<NewRefund>) -> Reply {
    told(&state, &id, |world| {
        let refund = if new.slow {
            world.refund_slowly(&id, new.amount)?
        } else {
            world.refund(&id, new.amount, None)?
        };
        Ok(shown(world, &refund))
    })
}

/// How a refund ends.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RefundEnd {
    Succeeded,
    Failed,
    Canceled,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndOfRefund {
    to: RefundEnd,
}

async fn end_refund(state: Data<State>, id: Path<String>, end: Json<EndOfRefund>) -> Reply {
    told(&state, &id, |world| {
        match end.to {
            RefundEnd::Succeeded => world.finish_refund(&id)?,
            RefundEnd::Failed => world.fail_refund(&id)?,
            RefundEnd::Canceled => world.cancel_refund(&id)?,
        }
        Ok(shown(world, &id))
    })
}

/// A dispute to be opened.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDispute {
    #[serde(default)]
    reason: DisputeReason,
    #[serde(default)]
    inquiry: bool,
}

async fn dispute(state: Data<State>, id: Path<String>, new: Json<NewDispute>) -> Reply {
    told(&state, &id, |world| {
        let dispute = world.open_dispute(&id, new.reason, new.inquiry)?;
        Ok(shown(world, &dispute))
    })
}

/// Where a dispute comes to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MovedDispute {
    to: DisputeStatus,
}

async fn move_dispute(state: Data<State>, id: Path<String>, moved: Json<MovedDispute>) -> Reply {
    told(&state, &id, |world| {
        world.move_dispute(&id, moved.to)?;
        Ok(shown(world, &id))
    })
}

async fn warn(state: Data<State>, id: Path<String>) -> Reply {
    told(&state, &id, |world| {
        let warning = world.warn_of_fraud(&id)?;
        Ok(json!({ "id": warning }))
    })
}

/// How a payment on its way ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settlement {
    paid: bool,
}

async fn settle(state: Data<State>, id: Path<String>, end: Json<Settlement>) -> Reply {
    told(&state, &id, |world| {
        world.settle(&id, end.paid)?;
        Ok(shown(world, &id))
    })
}
