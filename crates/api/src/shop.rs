//! What is on sale, as anybody may see it. Whoever asks while it is being read shares the next read, so that a
//! crowd takes one of the few connections and leaves the others to those who sign in and buy.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rolecall_db::{Database, DbError};
use tokio::sync::Mutex;

use crate::{
    account::Names,
    checkout::offer::{Offer, list_offers},
};

/// What is on sale, and what it and the servers are called.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) names: Names,
    pub(crate) offers: Vec<Offer>,
}

/// Reads the shop for everybody. What it shows was read after it was asked for.
#[derive(Debug, Default)]
pub(crate) struct ShopWindow {
    /// How many have asked.
    asked: AtomicU64,
    last: Mutex<LastRead>,
}

#[derive(Debug, Default)]
struct LastRead {
    /// So many had asked when it began.
    covers: u64,
    /// None before the first one.
    shop: Option<Result<Arc<Shop>, Arc<DbError>>>,
}

impl ShopWindow {
    /// The shop. Those who share a read share its failure.
    pub(crate) async fn look(&self, database: &Database) -> Result<Arc<Shop>, Arc<DbError>> {
        let place = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if let LastRead {
            covers,
            shop: Some(shop),
        } = &*last
            && *covers >= place
        {
            return shop.clone();
        }
        let covers = self.asked.load(Ordering::SeqCst);
        let shop = read(database).await.map(Arc::new).map_err(Arc::new);
        *last = LastRead {
            covers,
            shop: Some(shop.clone()),
        };
        shop
    }
}

async fn read(database: &Database) -> Result<Shop, DbError> {
    let mut tx = database.begin().await?;
    let names = Names::load(&mut tx).await?;
    let offers = list_offers(&mut tx).await?;
    tx.commit().await?;
    Ok(Shop { names, offers })
}
