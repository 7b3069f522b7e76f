//! What is wrong with the set-up begins once, lasts, and ends.

use rolecall_db::alarms::{Raised, Severity, end_alarm, list_alarms, raise_alarm};

use crate::support::{TestDb, at};

#[tokio::test]
async fn an_alarm_begins_once_and_ends_once() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let raised = |problem| Raised {
        name: "stripe_silent",
        severity: Severity::Alarm,
        problem,
        fix: "look",
    };
    let notice = Raised {
        name: "a_notice",
        severity: Severity::Notice,
        ..raised("no permission")
    };
    assert!(raise_alarm(&mut tx, &raised("since noon"), at(1)).await.unwrap());
    assert!(!raise_alarm(&mut tx, &raised("since one"), at(1)).await.unwrap());
    assert!(!raise_alarm(&mut tx, &raised("since two"), at(9)).await.unwrap());
    assert!(raise_alarm(&mut tx, &notice, at(9)).await.unwrap());
    let alarms = list_alarms(&mut tx).await.unwrap();
    assert_eq!(alarms.len(), 2);
    assert_eq!(
        (alarms[0].name.as_str(), alarms[0].severity),
        ("a_notice", Severity::Notice)
    );
    assert_eq!(
        (alarms[1].problem.as_str(), alarms[1].began_at),
        ("since two", at(1)),
        "what is wrong now, and since when"
    );
    assert_eq!(end_alarm(&mut tx, "stripe_silent").await.unwrap(), Some(at(1)));
    assert_eq!(end_alarm(&mut tx, "stripe_silent").await.unwrap(), None);
    assert_eq!(list_alarms(&mut tx).await.unwrap().len(), 1);
    assert!(raise_alarm(&mut tx, &raised("again"), at(20)).await.unwrap());
}
