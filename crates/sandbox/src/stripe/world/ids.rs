//! Ids that look like Stripe's: the same prefixes, lengths and alphabet.

use crate::rng::Rng;

/// Makes ids from a seed.
#[derive(Debug)]
pub struct Ids {
    rng: Rng,
    livemode: bool,
}

impl Ids {
    /// The ids of a seed; a checkout session's id names the mode.
    pub fn new(seed: u64, livemode: bool) -> Self {
        Self {
            rng: Rng::new(seed),
            livemode,
        }
    }

    fn make(&mut self, prefix: &str, length: usize) -> String {
        format!("{prefix}{}", self.rng.alphanumeric(length))
    }

    /// `evt_1...`
    pub fn event(&mut self) -> String {
        self.make("evt_1", 23)
    }

    /// `req_...`
    pub fn request(&mut self) -> String {
        self.make("req_", 14)
    }

    /// `prod_...`
    pub fn product(&mut self) -> String {
        self.make("prod_", 14)
    }

    /// `price_1...`
    pub fn price(&mut self) -> String {
        self.make("price_1", 23)
    }

    /// `cus_...`
    pub fn customer(&mut self) -> String {
        self.make("cus_", 14)
    }

    /// `pm_1...`
    pub fn payment_method(&mut self) -> String {
        self.make("pm_1", 23)
    }

    /// `sub_1...`
    pub fn subscription(&mut self) -> String {
        self.make("sub_1", 23)
    }

    /// `si_...`
    pub fn subscription_item(&mut self) -> String {
        self.make("si_", 14)
    }

    /// `in_1...`
    pub fn invoice(&mut self) -> String {
        self.make("in_1", 23)
    }

    /// `il_1...`
    pub fn invoice_line(&mut self) -> String {
        self.make("il_1", 23)
    }

    /// `pi_3...`
    pub fn payment_intent(&mut self) -> String {
        self.make("pi_3", 23)
    }

    /// `seti_1...`
    pub fn setup_intent(&mut self) -> String {
        self.make("seti_1", 23)
    }

    /// `ch_3...`
    pub fn charge(&mut self) -> String {
        self.make("ch_3", 23)
    }

    /// `re_3...`
    pub fn refund(&mut self) -> String {
        self.make("re_3", 23)
    }

    /// `du_1...`
    pub fn dispute(&mut self) -> String {
        self.make("du_1", 23)
    }

    /// `issfr_1...`
    pub fn fraud_warning(&mut self) -> String {
        self.make("issfr_1", 23)
    }

    /// Eight letters and digits.
    pub fn coupon(&mut self) -> String {
        self.rng.alphanumeric(8)
    }

    /// `promo_1...`
    pub fn promotion_code(&mut self) -> String {
        self.make("promo_1", 23)
    }

    /// What people type in where the owner does not choose.
    pub fn code(&mut self) -> String {
        self.rng.alphanumeric(8).to_ascii_uppercase()
    }

    /// `di_1...`
    pub fn discount(&mut self) -> String {
        self.make("di_1", 23)
    }

    /// `clock_1...`
    pub fn test_clock(&mut self) -> String {
        self.make("clock_1", 23)
    }

    /// `cs_test_...` or `cs_live_...`
    pub fn checkout(&mut self) -> String {
        let prefix = if self.livemode { "cs_live_a1" } else { "cs_test_a1" };
        self.make(prefix, 56)
    }

    /// `li_1...`
    pub fn checkout_line(&mut self) -> String {
        self.make("li_1", 23)
    }

    /// `bps_1...`
    pub fn portal(&mut self) -> String {
        self.make("bps_1", 23)
    }

    /// `we_1...`
    pub fn endpoint(&mut self) -> String {
        self.make("we_1", 23)
    }

    /// `whsec_...`
    pub fn endpoint_secret(&mut self) -> String {
        self.make("whsec_", 32)
    }

    /// The first part of a customer's invoice numbers.
    pub fn invoice_prefix(&mut self) -> String {
        self.rng.alphanumeric(8).to_ascii_uppercase()
    }
}
