//! A changed plan moves the people who hold it, and the bot is told what it may touch.

use chrono::TimeDelta;
use rolecall_db::{
    catalog::raise_catalog_version, members::set_converge_due_for_all, subscriptions::rematch_plans,
};
use rolecall_domain::ids::RoleId;
use rolecall_queue::{
    catalog::{CATALOG, CatalogDocument},
    jobs::SyncPlans,
};
use rolecall_sandbox::stripe::{PriceSeed, world::catalog::Interval};

use rolecall_worker::catalog::publish;

use crate::support::{
    World,
    plans::{COUNCIL, PATRON, apply_plan, debtor_role, guild, member_role, patron_role, role},
};

impl World {
    /// Staff applies another version of a plan, as `rolecall plans apply` does.
    async fn change_plan(&self, slug: &str, price: &str, roles: &[RoleId]) {
        let mut tx = self.worker.db.begin().await.unwrap();
        apply_plan(&mut tx, slug, price, roles).await;
        raise_catalog_version(&mut tx).await.unwrap();
        set_converge_due_for_all(&mut tx, self.now()).await.unwrap();
        rematch_plans(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        self.worker.push(&SyncPlans {}).await.unwrap();
    }

    async fn published(&self) -> Option<CatalogDocument> {
        self.worker.documents.get(CATALOG).await.unwrap()
    }
}

#[tokio::test]
async fn another_role_for_a_plan_reaches_everybody_who_holds_it() {
    let world = World::start().await;
    let (first, _) = world.council_member().await;
    let (second, ended) = world.council_member().await;
    world.stripe.cancel(&ended).unwrap();
    world.follow().await;
    world.change_plan("council", COUNCIL, &[role(224)]).await;
    world.settle().await;
    assert_eq!(world.roles(&first), [role(224)].into());
    assert_eq!(world.roles(&second), [].into());
    assert_eq!(world.mail.messages().len(), 2, "nobody is welcomed again");
}

#[tokio::test]
async fn a_price_that_no_plan_sold_gives_its_roles_once_a_plan_sells_it() {
    let world = World::start().await;
    world
        .stripe
        .seed_price(&PriceSeed::usd("price_new", "New", 100, Some(Interval::Month)));
    let person = world.person().await;
    world.buy(&person, "price_new");
    world.follow().await;
    assert_eq!(world.roles(&person), [].into());
    world.change_plan("fresh", "price_new", &[patron_role()]).await;
    world.settle().await;
    assert_eq!(world.roles(&person), [patron_role()].into());
}

#[tokio::test]
async fn a_role_that_leaves_the_plans_may_be_taken_for_as_long_as_somebody_has_it_of_us() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, PATRON);
    world.follow().await;
    let retired = async || {
        publish(&world.worker).await.unwrap();
        world.published().await.unwrap().guilds[0].retired_roles.clone()
    };
    assert_eq!(retired().await, []);
    world.change_plan("patron", PATRON, &[member_role()]).await;
    assert_eq!(retired().await, [patron_role()]);
    world.settle().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(retired().await, [], "it is taken");
}

#[tokio::test]
async fn the_bot_is_told_what_it_may_touch_and_told_again_by_the_sweeper() {
    let world = World::start().await;
    assert_eq!(world.published().await, None);
    world.cron("due_sweep").await;
    let document = world.published().await.unwrap();
    let [only] = document.guilds.as_slice() else {
        panic!("{document:?}")
    };
    assert_eq!((only.guild_id, only.debtor_role), (guild(), Some(debtor_role())));
    assert_eq!(only.mapped_roles, [member_role(), patron_role(), debtor_role()]);
    world.change_plan("council", COUNCIL, &[role(224)]).await;
    world.settle().await;
    let changed = world.published().await.unwrap();
    assert!(changed.version > document.version);
    assert_eq!(changed.guilds[0].retired_roles, [], "nobody has it");
    world.redis.flush().await;
    world.cron("due_sweep").await;
    assert_eq!(world.published().await, Some(changed));
}

#[tokio::test]
async fn the_prices_of_all_plans_are_read() {
    let world = World::start().await;
    world.change_plan("council", COUNCIL, &[member_role()]).await;
    world.settle().await;
    let prices = world
        .rows("SELECT to_jsonb(t) FROM plan_prices t ORDER BY price_id")
        .await;
    assert_eq!(prices.len(), 2);
    assert!(
        prices.iter().all(|price| price["unit_amount"] == 2_900),
        "{prices:?}"
    );
}

#[tokio::test]
async fn what_stripe_does_not_sell_any_more_is_off_sale_here() {
    let world = World::start().await;
    world.stripe.archive_price(COUNCIL, true).unwrap();
    let on_sale = async || {
        world
            .rows("SELECT to_jsonb(price_id) FROM plan_prices WHERE active ORDER BY price_id")
            .await
    };
    world.follow().await;
    world.cron("due_sweep").await;
    assert_eq!(on_sale().await, [PATRON]);
    world.stripe.archive_price(COUNCIL, false).unwrap();
    world.advance(TimeDelta::seconds(1));
    world.deliver_new().await;
    world.redis.flush().await;
    world.cron("due_sweep").await;
    assert_eq!(
        on_sale().await,
        [COUNCIL, PATRON],
        "told by an event, with its hint lost"
    );

    let product = world.stripe.object(PATRON).unwrap()["product"].clone();
    world.stripe.delete_product(product.as_str().unwrap()).unwrap();
    world.advance(TimeDelta::seconds(1));
    world.follow().await;
    assert_eq!(on_sale().await, [COUNCIL]);
    world.stripe.delete_price(COUNCIL).unwrap();
    world.advance(TimeDelta::days(2));
    world.cron("due_sweep").await;
    assert_eq!(on_sale().await, Vec::<serde_json::Value>::new());
}
