//! Which address leads where.

use actix_web::{
    HttpResponse, Resource, Route, Scope,
    guard::{self, Guard},
    middleware::{Compress, from_fn},
    web::{self, ServiceConfig, delete, get, patch, post, put, resource},
};
use futures::future::{Ready, ready};
use rolecall_runtime::health::{self, Health};

use crate::{
    assets,
    error::ApiError,
    http::{cross_origin, extract, headers, observe, rate_limit},
    json, live, pages,
    session::routes as session,
    sign_in::routes as sign_in,
    webhook,
};

/// Adds every route. The webhook stands outside of the layers that browsers need: nothing is done
/// for it that Stripe does not ask for.
pub(crate) fn configure(config: &mut ServiceConfig, health: Health) {
    let webhook = resource(webhook::ROUTE)
        .route(post().to(webhook::receive))
        .default_service(web::to(webhook::refuse_method));
    config
        .service(webhook)
        .configure(health::configure(health))
        .configure(extract::configure)
        .service(
            everything_else()
                .wrap(from_fn(extract::hurry))
                .wrap(from_fn(rate_limit::limit))
                .wrap(from_fn(cross_origin::guard))
                .wrap(Compress::default())
                .wrap(from_fn(headers::secure))
                .wrap(from_fn(observe::observe)),
        );
}

fn everything_else() -> Scope {
    let messages = resource("/dashboard/messages")
        .route(read().to(pages::dashboard::messages::get_messages))
        .route(post().to(pages::dashboard::messages::post_messages))
        .default_service(web::to(|| refuse_method("GET, HEAD, POST")));
    web::scope("")
        .service(page("/", read().to(pages::landing::get_landing)))
        .service(page("/plans", read().to(pages::plans::get_plans)))
        .service(only(
            "/checkout",
            "POST",
            post().to(pages::checkout::post_checkout),
        ))
        .service(page("/checkout/success", read().to(pages::success::get_success)))
        .service(page(
            "/checkout/progress",
            read().to(pages::success::get_progress),
        ))
        .service(page("/claim", read().to(pages::claim::get_claim)))
        .service(page("/dashboard", read().to(pages::dashboard::get_dashboard)))
        .service(page("/dashboard/live", read().to(pages::dashboard::get_live)))
        .service(only(
            "/dashboard/fix-roles",
            "POST",
            post().to(pages::dashboard::post_fix_roles),
        ))
        .service(messages)
        .service(only(
            "/billing/portal",
            "POST",
            post().to(pages::checkout::post_portal),
        ))
        .service(changing())
        .service(only(
            "/billing/change/preview",
            "POST",
            post().to(pages::change::post_preview),
        ))
        .service(only("/events", "GET", get().to(live::get_events)))
        .service(only("/auth/discord/login", "GET", get().to(sign_in::login)))
        .service(only("/auth/discord/callback", "GET", get().to(sign_in::callback)))
        .service(only("/auth/refresh", "POST", post().to(session::refresh)))
        .service(only("/auth/logout", "POST", post().to(session::logout)))
        .service(page("/assets/{file}", read().to(assets::get_asset)))
        .service(page("/favicon.ico", read().to(assets::get_favicon)))
        .service(api())
        .default_service(web::to(not_found))
}

fn api() -> Scope {
    let sessions = resource("/me/sessions")
        .route(get().to(json::me::get_sessions))
        .route(delete().to(json::me::delete_sessions))
        .default_service(web::to(|| refuse_method("GET, DELETE")));
    let settings = resource("/me/settings")
        .route(get().to(json::messages::get_settings))
        .route(patch().to(json::messages::patch_settings))
        .default_service(web::to(|| refuse_method("GET, PATCH")));
    web::scope("/api/v1")
        .service(only("/me", "GET", get().to(json::me::get_me)))
        .service(only(
            "/me/messages",
            "GET",
            get().to(json::messages::get_messages),
        ))
        .service(settings)
        .service(only("/me/fix-roles", "POST", post().to(json::me::post_fix_roles)))
        .service(sessions)
        .service(only("/plans", "GET", get().to(json::plans::get_plans)))
        .service(only("/checkout", "POST", post().to(json::billing::post_checkout)))
        .service(only(
            "/billing/portal",
            "POST",
            post().to(json::billing::post_portal),
        ))
        .service(only(
            "/billing/change/preview",
            "POST",
            post().to(json::billing::post_change_preview),
        ))
        .service(only(
            "/billing/change",
            "POST",
            post().to(json::billing::post_change),
        ))
        .configure(staff)
        .service(only(
            "/admin/members/{member_id}/why",
            "GET",
            get().to(json::admin::why::get_why),
        ))
        .service(only(
            "/admin/events",
            "GET",
            get().to(json::admin::events::get_events),
        ))
        .service(only(
            "/admin/events/{event_id}/replay",
            "POST",
            post().to(json::admin::events::post_replay),
        ))
        .service(only("/admin/jobs", "GET", get().to(json::admin::jobs::get_jobs)))
        .configure(reconcile)
        .default_service(web::to(not_found))
}

/// What Stripe says beside what is kept, for staff.
fn reconcile(config: &mut ServiceConfig) {
    use json::admin::reconcile::{get_reconcile, post_apply, post_reconcile};
    config
        .service(only("/admin/reconcile", "POST", post().to(post_reconcile)))
        .service(only("/admin/reconcile/{run_id}", "GET", get().to(get_reconcile)))
        .service(only(
            "/admin/reconcile/{run_id}/apply",
            "POST",
            post().to(post_apply),
        ));
}

/// People, grants and the policy, for staff.
fn staff(config: &mut ServiceConfig) {
    use json::admin::{audit, grants, members, messages, policy, timeline};
    let person = |rest: &str| format!("/admin/members/{{member_id}}{rest}");
    let all_grants = resource(person("/grants"))
        .route(get().to(grants::get_grants))
        .route(post().to(grants::post_grant))
        .default_service(web::to(|| refuse_method("GET, POST")));
    let one_grant = resource(person("/grants/{grant_id}"))
        .route(delete().to(grants::delete_grant))
        .default_service(web::to(|| refuse_method("DELETE")));
    let in_force = resource("/admin/policy")
        .route(get().to(policy::get_policy))
        .route(put().to(policy::put_policy))
        .default_service(web::to(|| refuse_method("GET, PUT")));
    config
        .service(only("/admin/members", "GET", get().to(members::get_members)))
        .service(only(&person(""), "GET", get().to(members::get_member)))
        .service(only(&person("/sync"), "POST", post().to(members::post_sync)))
        .service(only(
            &person("/timeline"),
            "GET",
            get().to(timeline::get_timeline),
        ))
        .service(only(
            &person("/messages"),
            "GET",
            get().to(messages::get_messages),
        ))
        .service(all_grants)
        .service(one_grant)
        .service(in_force)
        .service(only("/admin/audit", "GET", get().to(audit::get_audit)))
        .service(only(
            "/admin/policy/history",
            "GET",
            get().to(policy::get_history),
        ));
}

/// The page on which a plan is chosen, and the form that changes it.
fn changing() -> Resource {
    resource("/billing/change")
        .route(read().to(pages::change::get_change))
        .route(post().to(pages::change::post_change))
        .default_service(web::to(|| refuse_method("GET, HEAD, POST")))
}

/// GET and HEAD.
fn read() -> Route {
    web::route().guard(readable())
}

fn readable() -> impl Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

fn page(path: &str, route: Route) -> Resource {
    only(path, "GET, HEAD", route)
}

fn only(path: &str, allow: &'static str, route: Route) -> Resource {
    resource(path)
        .route(route)
        .default_service(web::to(move || refuse_method(allow)))
}

fn refuse_method(allow: &'static str) -> Ready<Result<HttpResponse, ApiError>> {
    ready(Err(ApiError::MethodNotAllowed { allow }))
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NotFound)
}
