//! What `/ready` tells: which part is ill, what is wrong with it, and what is kept meanwhile.
//!
//! Being ready does not depend on Stripe, of which only is told what calls have found in passing.

use std::sync::Arc;

use rolecall_queue::in_plain_words;
use rolecall_runtime::{
    health::{Health, PartHandle},
    shutdown::Shutdown,
};

use crate::state::State;

const WELL: &str = "answers and takes writes";

/// The parts of `/ready`.
pub(crate) fn parts(state: &State, migrations: &PartHandle, shutdown: &Shutdown) -> Health {
    let (database, redis, stripe) = (state.database.clone(), state.redis.clone(), state.stripe.clone());
    Health::builder(Arc::clone(&state.clock), shutdown)
        .required("postgres", move || {
            let database = database.clone();
            async move {
                let answer = database.ping().await;
                answer
                    .map(|()| WELL.into())
                    .map_err(|error| error.in_plain_words().into())
            }
        })
        .meanwhile("webhooks are still taken; pages say that we are back in a moment")
        .required("redis", move || {
            let redis = redis.clone();
            async move {
                let answer = redis.check().await;
                answer
                    .map(|()| WELL.into())
                    .map_err(|error| in_plain_words(&error).into())
            }
        })
        .meanwhile("webhooks are answered 503, so that Stripe sends them again; pages still work")
        .required_state("migrations", migrations)
        .degrading("stripe", move || {
            let complaint = stripe.complaint();
            std::future::ready(match complaint {
                None => Ok("no trouble known".into()),
                Some(complaint) => Err(complaint.into()),
            })
        })
        .meanwhile("nothing can be bought or changed; nobody loses access")
        .build()
}
