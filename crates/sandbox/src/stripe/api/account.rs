//! The account.

use serde_json::Value;

use crate::stripe::api::COMMON;
use crate::stripe::api::params::Params;
use crate::stripe::error::Refusal;
use crate::stripe::shape;

/// `GET /v1/account`.
pub(crate) fn get(params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    Ok(shape::account())
}
