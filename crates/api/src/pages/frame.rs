//! What stands around every page: title, menu, and the files it uses.

use std::sync::Arc;

use actix_web::HttpRequest;

use crate::{assets::Assets, session::cookies, state::State};

/// The place in the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Here {
    Plans,
    Dashboard,
    Elsewhere,
}

impl Here {
    pub(crate) const fn is_plans(self) -> bool {
        matches!(self, Self::Plans)
    }

    pub(crate) const fn is_dashboard(self) -> bool {
        matches!(self, Self::Dashboard)
    }
}

/// What stands around a page.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) community: Arc<str>,
    pub(crate) here: Here,
    pub(crate) signed_in: bool,
    pub(crate) assets: Assets,
    pub(crate) public_url: String,
}

impl Frame {
    pub(crate) fn new(state: &State, request: &HttpRequest, title: &str, here: Here) -> Self {
        Self {
            title: title.to_owned(),
            community: state.community.name(),
            here,
            signed_in: cookies::seems_signed_in(&state.site, request.headers()),
            assets: state.assets.clone(),
            public_url: state.site.public_url.as_str().to_owned(),
        }
    }
}
