//! OAuth: the page that asks a person, codes and tokens, and what they allow.

pub(crate) mod authorize;
pub(crate) mod consent;
pub(crate) mod grants;
pub(crate) mod pkce;
pub(crate) mod token;
