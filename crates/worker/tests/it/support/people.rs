//! People: members with and without Discord, what they buy, and how they stand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use chrono::TimeDelta;
use rolecall_db::{
    checkout_sessions::insert_checkout,
    discord_accounts::{DiscordAccount, SealedTokens, insert_account, upsert_tokens},
    member_guilds::{GuildState, MemberGuild, list_member_guilds},
    member_roles::{MemberRole, list_member_roles},
    members::{Member, insert_member, set_converge_due},
    subscriptions::{StoredSubscription, list_subscriptions_of},
};
use rolecall_domain::{
    ids::{DiscordUserId, GuildId, MemberId, RoleId, StripeCheckoutSessionId, StripePriceId, uuid_v7},
    trigger::Trigger,
};
use rolecall_queue::jobs::{ConvergeMember, FulfillCheckout, MemberJoined, MemberLeft, MemberRolesChanged};
use rolecall_sandbox::stripe::world::{Metadata, customer::Card};
use rolecall_stripe::client::checkout::{Buyer, NewCheckoutSession, Purchase};
use rolecall_worker::handlers;

use crate::support::{
    World,
    plans::{self, guild},
};

/// A member.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: MemberId,
    pub(crate) user: DiscordUserId,
    pub(crate) email: String,
}

impl Person {
    /// Their place in the model of the server.
    pub(crate) fn key(&self) -> (GuildId, DiscordUserId) {
        (guild(), self.user)
    }
}

impl World {
    /// Somebody who signed in with Discord and is in the server.
    pub(crate) async fn person(&self) -> Person {
        let person = self.outsider().await;
        self.bot().put(person.key(), &[]);
        person
    }

    /// Somebody who signed in with Discord and is not in the server.
    pub(crate) async fn outsider(&self) -> Person {
        let person = self.unlinked().await;
        self.link(&person).await;
        person
    }

    /// Somebody without Discord.
    pub(crate) async fn unlinked(&self) -> Person {
        let number = self.people.fetch_add(1, Ordering::SeqCst) + 1;
        let person = Person {
            id: MemberId::generate(self.now(), &*self.rng),
            user: DiscordUserId::new(900_000 + number).unwrap(),
            email: format!("person{number}@example.com"),
        };
        let member = Member {
            id: person.id,
            display_name: format!("Person {number}"),
            email: Some(person.email.clone()),
            created_at: self.now(),
        };
        let mut tx = self.worker.db.begin().await.unwrap();
        insert_member(&mut tx, &member).await.unwrap();
        tx.commit().await.unwrap();
        person
    }

    /// They link their Discord account. Without [`World::give_token`] they have to join by themselves.
    pub(crate) async fn link(&self, person: &Person) {
        let account = DiscordAccount {
            user_id: person.user,
            member_id: person.id,
            username: "somebody".to_owned(),
        };
        let mut tx = self.worker.db.begin().await.unwrap();
        insert_account(&mut tx, &account, self.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// They allow us to add them to the server, for an hour.
    pub(crate) async fn give_token(&self, person: &Person) {
        let tokens = SealedTokens {
            access_sealed: format!("sealed-{}", person.user),
            refresh_sealed: "sealed".to_owned(),
            expires_at: self.now() + TimeDelta::hours(1),
            scopes: "identify guilds.join".to_owned(),
        };
        let mut tx = self.worker.db.begin().await.unwrap();
        upsert_tokens(&mut tx, person.id, &tokens).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// They buy a subscription; nothing of it is told yet.
    pub(crate) fn buy(&self, person: &Person, price: &str) -> String {
        let metadata = Metadata::from([("rolecall_member_id".to_owned(), person.id.to_string())]);
        self.stripe
            .seed_subscription(&person.email, Card::Works, price, 1, metadata)
            .unwrap()
    }

    /// Somebody we do not know buys a subscription; nothing of it is told yet.
    pub(crate) fn buy_as_nobody(&self, number: usize) -> String {
        let email = format!("nobody{number}@example.com");
        self.stripe
            .seed_subscription(&email, Card::Works, plans::COUNCIL, 1, Metadata::new())
            .unwrap()
    }

    /// Two subscriptions turn out to be of one customer.
    pub(crate) fn same_customer(&self, first: &str, second: &str) {
        self.stripe.with(|stripe| {
            let customer = stripe.subscription(first).unwrap().customer.clone();
            stripe.subscriptions.get_mut(second).unwrap().customer = customer;
        });
    }

    /// Nothing at Stripe tells any more whose a subscription is.
    pub(crate) fn forget_name(&self, subscription: &str) {
        self.stripe.with(|stripe| {
            let row = stripe.subscriptions.get_mut(subscription).unwrap();
            row.metadata = Metadata::new();
        });
    }

    /// They open a checkout page for a subscription.
    pub(crate) async fn open_checkout(&self, person: &Person, buyer: Buyer) -> StripeCheckoutSessionId {
        let purchase = Purchase::Subscription { trial_days: None };
        self.open_checkout_for(person, buyer, purchase, plans::COUNCIL)
            .await
    }

    /// They open a checkout page through our API, as the site does it. Nothing but the session's own
    /// reference names them.
    pub(crate) async fn open_checkout_for(
        &self,
        person: &Person,
        buyer: Buyer,
        purchase: Purchase,
        price: &str,
    ) -> StripeCheckoutSessionId {
        let trial_days = match purchase {
            Purchase::Subscription { trial_days } => trial_days.unwrap_or_default(),
            Purchase::OneTime => 0,
        };
        let new = NewCheckoutSession {
            purchase,
            price: StripePriceId::new(price),
            quantity: 1,
            buyer,
            client_reference_id: Some(person.id.to_string()),
            success_url: "https://council.example/checkout/success".to_owned(),
            cancel_url: "https://council.example/plans".to_owned(),
            metadata: BTreeMap::new(),
            purchase_metadata: BTreeMap::new(),
            allow_promotion_codes: false,
            automatic_tax: false,
        };
        let session = self
            .worker
            .stripe
            .create_checkout_session(new, &uuid_v7(self.now(), &*self.rng).to_string())
            .await
            .unwrap();
        let mut tx = self.worker.db.begin().await.unwrap();
        insert_checkout(
            &mut tx,
            &session.id,
            person.id,
            &"council".parse().unwrap(),
            trial_days,
            self.now(),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        session.id
    }

    /// They pay on the checkout page.
    pub(crate) fn pay(&self, person: &Person, session: &StripeCheckoutSessionId) {
        self.stripe
            .complete_checkout(session.as_str(), &person.email, Card::Works)
            .unwrap();
    }

    /// They come back from the checkout page.
    pub(crate) async fn come_back(&self, session: &StripeCheckoutSessionId) {
        let args = FulfillCheckout {
            session_id: session.clone(),
            reason: "returned".to_owned(),
        };
        handlers::fulfill_checkout::run(Arc::clone(&self.worker), args, self.attempt())
            .await
            .unwrap();
    }

    /// Somebody in the server who has bought the plan and has its role.
    pub(crate) async fn council_member(&self) -> (Person, String) {
        let person = self.person().await;
        let subscription = self.buy(&person, plans::COUNCIL);
        self.follow().await;
        assert_eq!(self.roles(&person), [plans::member_role()].into());
        (person, subscription)
    }

    /// Somebody gives cause to converge a person, and the worker does it.
    pub(crate) async fn converge(&self, person: &Person, trigger: Trigger) {
        let args = ConvergeMember {
            member_id: person.id,
            reason: trigger.as_str().to_owned(),
        };
        handlers::converge_member::run(Arc::clone(&self.worker), args, self.attempt())
            .await
            .unwrap();
    }

    /// Somebody gives cause to converge a person, and only the database knows it.
    pub(crate) async fn owe_convergence(&self, person: &Person, trigger: Trigger) {
        let mut tx = self.worker.db.begin().await.unwrap();
        set_converge_due(&mut tx, person.id, trigger, self.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// The bot tells that somebody is as they are in the model of the server.
    pub(crate) async fn tell_roles(&self, person: &Person) {
        let roles = self.roles(person).into_iter().collect();
        let args = MemberRolesChanged {
            guild_id: guild(),
            user_id: person.user,
            roles,
            pending: false,
        };
        let ctx = Arc::clone(&self.worker);
        handlers::discord_events::roles_changed(ctx, args, self.attempt())
            .await
            .unwrap();
    }

    /// Somebody comes into the server, and the bot tells it.
    pub(crate) async fn join(&self, person: &Person) {
        self.bot().put(person.key(), &[]);
        let args = MemberJoined {
            guild_id: guild(),
            user_id: person.user,
            roles: Vec::new(),
            pending: false,
        };
        handlers::discord_events::joined(Arc::clone(&self.worker), args, self.attempt())
            .await
            .unwrap();
    }

    /// Somebody leaves the server, and the bot tells it.
    pub(crate) async fn leave(&self, person: &Person) {
        self.bot().remove(person.key());
        let args = MemberLeft {
            guild_id: guild(),
            user_id: person.user,
        };
        handlers::discord_events::left(Arc::clone(&self.worker), args, self.attempt())
            .await
            .unwrap();
    }

    /// The roles that somebody has in the model of the server.
    pub(crate) fn roles(&self, person: &Person) -> BTreeSet<RoleId> {
        self.bot().roles(person.key())
    }

    /// What is kept of somebody in the server.
    pub(crate) async fn row(&self, person: &Person) -> Option<MemberGuild> {
        let mut tx = self.worker.db.begin().await.unwrap();
        list_member_guilds(&mut tx, person.id).await.unwrap().pop()
    }

    pub(crate) async fn state(&self, person: &Person) -> Option<GuildState> {
        self.row(person).await.map(|row| row.state)
    }

    /// What is kept of somebody's role.
    pub(crate) async fn role_row(&self, person: &Person, role: RoleId) -> Option<MemberRole> {
        let mut tx = self.worker.db.begin().await.unwrap();
        let rows = list_member_roles(&mut tx, guild(), person.user).await.unwrap();
        rows.into_iter().find(|row| row.role_id == role)
    }

    /// Somebody's subscriptions as they are kept.
    pub(crate) async fn subscriptions(&self, person: &Person) -> Vec<StoredSubscription> {
        let mut tx = self.worker.db.begin().await.unwrap();
        list_subscriptions_of(&mut tx, person.id).await.unwrap()
    }
}
