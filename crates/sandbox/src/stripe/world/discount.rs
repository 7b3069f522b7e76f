//! Coupons, the codes that people type in, and the discounts that come of them.

use crate::stripe::world::{Metadata, Row};

/// What a discount takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// A part, in hundredths of a percent: 2550 is 25.5 %.
    Percent(u16),
    /// A sum in the smallest unit of the coupon's currency.
    Amount(i64),
}

/// For how long a discount lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CouponDuration {
    /// The first invoice.
    Once,
    /// So many months.
    Repeating(u32),
    /// Without end.
    Forever,
}

impl CouponDuration {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Repeating(_) => "repeating",
            Self::Forever => "forever",
        }
    }
}

/// A price reduction on offer.
#[derive(Clone, Debug)]
pub struct Coupon {
    /// The owner's choice, or eight letters.
    pub id: String,
    /// Shown to buyers.
    pub name: Option<String>,
    /// What it takes off.
    pub off: Off,
    /// The currency of a sum.
    pub currency: Option<String>,
    /// For how long.
    pub duration: CouponDuration,
    /// Only on these products; on all where the list is empty.
    pub products: Vec<String>,
    /// How often it can be used.
    pub max_redemptions: Option<i64>,
    /// Until when it can be used.
    pub redeem_by: Option<i64>,
    /// How often it was used.
    pub times_redeemed: i64,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Whether it was deleted; what it gave already lasts.
    pub deleted: bool,
    /// Unix seconds.
    pub created: i64,
}

impl Row for Coupon {
    const OBJECT: &'static str = "coupon";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

impl Coupon {
    /// Whether it can be used at this moment.
    pub fn valid(&self, now: i64) -> bool {
        !self.deleted
            && self.redeem_by.is_none_or(|by| now < by)
            && self.max_redemptions.is_none_or(|most| self.times_redeemed < most)
    }
}

/// A code for a coupon.
#[derive(Clone, Debug)]
pub struct PromotionCode {
    /// `promo_...`
    pub id: String,
    /// What is typed in; letter case does not count.
    pub code: String,
    /// The coupon's id.
    pub coupon: String,
    /// Only for this customer.
    pub customer: Option<String>,
    /// Whether the owner has left it on.
    pub active: bool,
    /// Until when it can be used.
    pub expires_at: Option<i64>,
    /// How often it can be used.
    pub max_redemptions: Option<i64>,
    /// How often it was used.
    pub times_redeemed: i64,
    /// Only for customers who have never paid.
    pub first_time_transaction: bool,
    /// Only for purchases over this sum, in this currency.
    pub minimum: Option<(i64, String)>,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Unix seconds.
    pub created: i64,
}

impl Row for PromotionCode {
    const OBJECT: &'static str = "promotion code";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

/// A coupon in use.
#[derive(Clone, Debug)]
pub struct Discount {
    /// `di_...`
    pub id: String,
    /// The coupon's id.
    pub coupon: String,
    /// The code it came by.
    pub promotion_code: Option<String>,
    /// Who saves.
    pub customer: Option<String>,
    /// On which subscription.
    pub subscription: Option<String>,
    /// By which checkout session.
    pub checkout_session: Option<String>,
    /// Unix seconds.
    pub start: i64,
    /// When it ends.
    pub end: Option<i64>,
}

impl Row for Discount {
    const OBJECT: &'static str = "discount";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.start
    }
}

/// What somebody asks to be taken off: a coupon by its id, or a code by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscountWish {
    /// A coupon's id.
    Coupon(String),
    /// A promotion code's id.
    PromotionCode(String),
}
