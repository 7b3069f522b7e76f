//! What is stored about people, one by one and page by page.

use rolecall_db::{
    Transaction,
    discord_accounts::{DiscordAccount, insert_account},
    grants::{NewGrant, insert_grant},
    member_records::{MemberRecord, list_member_records, load_member_record},
    payments::{PaidFor, PaymentRead, write_payment},
    purchases::write_purchase,
    subscriptions::SubscriptionRead,
};
use rolecall_domain::{
    catalog::Catalog,
    ids::{GrantId, MemberId},
    reversal::Payment,
    standing::Standing,
};

use crate::{
    purchases::purchase,
    support::{TestDb, at, parse, person, plan, read, subscribe, user, uuid},
};

/// A person with a subscription, a purchase, a grant and a payment that was given back.
async fn rich(tx: &mut Transaction, n: u32) -> MemberId {
    let member_id = person(tx, n).await;
    let account = DiscordAccount {
        user_id: user(n.into()),
        member_id,
        username: "somebody".to_owned(),
    };
    insert_account(tx, &account, at(0)).await.unwrap();
    let council = plan(tx, "council", &[]).await;
    let subscription = SubscriptionRead {
        member_id: Some(member_id),
        plan: Some(council.clone()),
        ..read(&format!("sub_{n}"))
    };
    subscribe(tx, &subscription).await;
    let bought = purchase(&format!("cs_{n}"), Some(member_id), Some(&format!("pi_{n}")));
    assert!(write_purchase(tx, &bought, None, at(0)).await.unwrap());
    let grant = NewGrant {
        id: GrantId::from_uuid(uuid(n)),
        member_id,
        plan: &council,
        reason: "speaker",
        granted_by: "cli",
        starts_at: at(1),
        ends_at: None,
    };
    insert_grant(tx, &grant, at(0)).await.unwrap();
    let given_back = PaymentRead {
        id: format!("ch_{n}"),
        paid_for: PaidFor {
            payment_intent: None,
            subscription: Some(parse(&format!("sub_{n}"))),
            period_end: Some(at(50)),
        },
        payment: Payment {
            amount: 4900,
            amount_refunded: 4900,
            created_at: at(1),
            dispute: None,
            fraud_warning_at: None,
        },
        currency: "usd".to_owned(),
        livemode: false,
        read_started_at: at(2),
    };
    assert!(write_payment(tx, &given_back, None, at(0)).await.unwrap());
    member_id
}

fn ids(record: &MemberRecord) -> Vec<String> {
    let subscriptions = record
        .subscriptions
        .iter()
        .map(|stored| stored.facts.id.to_string());
    let purchases = record.purchases.iter().map(|stored| stored.id.to_string());
    let grants = record.grants.iter().map(|grant| grant.id.to_string());
    subscriptions.chain(purchases).chain(grants).collect()
}

#[tokio::test]
async fn a_record_holds_all_that_is_one_person_s_and_nothing_of_another() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let members = [rich(&mut tx, 1).await, rich(&mut tx, 2).await];
    for (n, member_id) in [(1, members[0]), (2, members[1])] {
        let record = load_member_record(&mut tx, member_id).await.unwrap();
        let grant = GrantId::from_uuid(uuid(n)).to_string();
        assert_eq!(ids(&record), [format!("sub_{n}"), format!("cs_{n}"), grant]);
        assert_eq!(record.next_paid_end(at(49)), Some(at(50)));
        assert_eq!(record.next_paid_end(at(50)), None);
    }
    let nobody = load_member_record(&mut tx, MemberId::from_uuid(uuid(9)))
        .await
        .unwrap();
    assert_eq!(nobody, MemberRecord::default());
}

#[tokio::test]
async fn a_payment_that_was_given_back_ends_its_subscription_until_its_period_is_over() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let member_id = rich(&mut tx, 1).await;
    let record = load_member_record(&mut tx, member_id).await.unwrap();
    let standings = |seconds| -> Vec<Standing> {
        let facts = record.facts(&Catalog::default(), chrono::TimeDelta::days(7), at(seconds));
        facts.holdings.iter().map(|holding| holding.standing).collect()
    };
    assert_eq!(standings(49), [Standing::Ended, Standing::Active]);
    assert_eq!(standings(50), [Standing::Active, Standing::Active]);
}

#[tokio::test]
async fn everybody_with_a_discord_account_is_listed_once_page_by_page() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let mut expected = Vec::new();
    for n in 1..=5 {
        expected.push(rich(&mut tx, n).await);
    }
    person(&mut tx, 6).await;
    let mut seen = Vec::new();
    loop {
        let page = list_member_records(&mut tx, seen.last().copied(), 2)
            .await
            .unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 2);
        for (member_id, record) in page {
            assert_eq!(record.subscriptions.len(), 1);
            seen.push(member_id);
        }
    }
    assert_eq!(seen, expected);
}
