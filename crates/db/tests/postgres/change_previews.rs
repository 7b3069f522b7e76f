//! `change_previews`: the newest preview of each subscription.

use rolecall_db::change_previews::{
    ChangePreview, delete_change_preview, find_change_preview, upsert_change_preview,
};

use crate::support::{TestDb, at, parse, price, read, subscribe};

#[tokio::test]
async fn the_newest_preview_is_found_until_it_is_forgotten() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for id in ["sub_1", "sub_2"] {
        subscribe(&mut tx, &read(id)).await;
    }
    let preview = |id: &str, total, seconds| ChangePreview {
        subscription: parse(id),
        price: price("price_2"),
        quantity: 3,
        prorated_at: at(seconds),
        total,
        currency: "eur".to_owned(),
        previewed_at: at(seconds + 1),
    };
    for preview in [
        preview("sub_1", 900, 0),
        preview("sub_2", 5, 0),
        preview("sub_1", -250, 60),
    ] {
        upsert_change_preview(&mut tx, &preview).await.unwrap();
    }
    assert_eq!(
        find_change_preview(&mut tx, &parse("sub_1")).await.unwrap(),
        Some(preview("sub_1", -250, 60))
    );
    delete_change_preview(&mut tx, &parse("sub_1")).await.unwrap();
    assert_eq!(find_change_preview(&mut tx, &parse("sub_1")).await.unwrap(), None);
    assert!(
        find_change_preview(&mut tx, &parse("sub_2"))
            .await
            .unwrap()
            .is_some()
    );
}
