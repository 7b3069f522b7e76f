//! The REST API under `/api/v10`.

pub(crate) mod application;
pub(crate) mod audit_log;
pub(crate) mod body;
pub(crate) mod channels;
pub(crate) mod commands;
pub(crate) mod guilds;
pub(crate) mod interactions;
pub(crate) mod members;
pub(crate) mod roles;
pub(crate) mod users;

use actix_web::{HttpResponse, Resource, web};

use crate::discord::{error::ApiError, oauth};

/// A resource that refuses methods it has no handler for in Discord's words.
fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(method_not_allowed))
}

/// All routes of the API.
pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.service(resource("/users/@me").get(users::current_user))
        .service(resource("/users/@me/guilds").get(users::current_guilds))
        .service(resource("/users/@me/guilds/{guild}/member").get(users::current_member))
        .service(resource("/users/@me/channels").post(channels::create_direct))
        .service(resource("/users/{user}").get(users::get_user))
        .service(resource("/applications/@me").get(application::current))
        .service(resource("/oauth2/applications/@me").get(application::current))
        .service(resource("/oauth2/@me").get(application::authorization))
        .service(resource("/gateway").get(application::gateway))
        .service(resource("/gateway/bot").get(application::gateway_bot))
        .service(resource("/channels/{channel}").get(channels::get_channel))
        .service(
            resource("/channels/{channel}/messages")
                .get(channels::list_messages)
                .post(channels::post_message),
        )
        .configure(guild_routes)
        .configure(command_routes)
        .configure(oauth_routes);
}

fn guild_routes(app: &mut web::ServiceConfig) {
    app.service(resource("/guilds/{guild}").get(guilds::get_guild))
        .service(resource("/guilds/{guild}/channels").get(channels::list_of_guild))
        .service(resource("/guilds/{guild}/audit-logs").get(audit_log::list))
        .service(
            resource("/guilds/{guild}/roles")
                .get(roles::list)
                .post(roles::create)
                .patch(roles::reorder),
        )
        .service(resource("/guilds/{guild}/roles/member-counts").get(roles::member_counts))
        .service(
            resource("/guilds/{guild}/roles/{role}")
                .get(roles::get_role)
                .delete(roles::delete),
        )
        .service(resource("/guilds/{guild}/members").get(members::list))
        .service(
            resource("/guilds/{guild}/members/{user}")
                .get(members::get_member)
                .put(members::add)
                .patch(members::edit)
                .delete(members::kick),
        )
        .service(
            resource("/guilds/{guild}/members/{user}/roles/{role}")
                .put(roles::give)
                .delete(roles::take),
        );
}

fn command_routes(app: &mut web::ServiceConfig) {
    app.service(
        resource("/applications/{app}/commands")
            .get(commands::list)
            .put(commands::overwrite),
    )
    .service(
        resource("/applications/{app}/guilds/{guild}/commands")
            .get(commands::list_of_guild)
            .put(commands::overwrite_of_guild),
    )
    .service(resource("/interactions/{id}/{token}/callback").post(interactions::callback))
    .service(resource("/webhooks/{app}/{token}").post(interactions::follow_up))
    .service(
        resource("/webhooks/{app}/{token}/messages/@original")
            .get(interactions::get_original)
            .patch(interactions::edit_original)
            .delete(interactions::delete_original),
    );
}

/// The token endpoints, which exist without a version too.
pub(crate) fn oauth_routes(app: &mut web::ServiceConfig) {
    app.service(resource("/oauth2/token").post(oauth::token::exchange))
        .service(resource("/oauth2/token/revoke").post(oauth::token::revoke))
        .default_service(web::to(not_found));
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::not_found())
}

async fn method_not_allowed() -> Result<HttpResponse, ApiError> {
    Err(ApiError::method_not_allowed())
}
