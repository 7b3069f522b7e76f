//! Trials: whose card they rest on, and their end before their time.

use rolecall_domain::ids::StripeSubscriptionId;
use stripe_billing::subscription::{RetrieveSubscription, UpdateSubscription, UpdateSubscriptionTrialEnd};

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::{subscription::Subscription, trial::TrialSubscription},
};

impl Client {
    /// A subscription with the payment method that it is going to be charged to.
    pub async fn get_trial(&self, id: &StripeSubscriptionId) -> Result<TrialSubscription, StripeError> {
        let request = RetrieveSubscription::new(id.as_str()).expand(vec![
            "default_payment_method".to_owned(),
            "customer.invoice_settings.default_payment_method".to_owned(),
        ]);
        let call = Call::read(
            "GET /v1/subscriptions/{id}",
            format!("subscription {id}"),
            &request,
        );
        self.transport.send(&call).await
    }

    /// Ends a trial now: the first period begins and is charged. Once for each number of the attempt.
    pub async fn end_trial(
        &self,
        id: &StripeSubscriptionId,
        attempt: i32,
    ) -> Result<Subscription, StripeError> {
        let request = UpdateSubscription::new(id.as_str()).trial_end(UpdateSubscriptionTrialEnd::Now);
        let call = Call::write(
            "POST /v1/subscriptions/{id}",
            format!("the trial of subscription {id}"),
            &request,
            &format!("end-trial-{id}-{attempt}"),
        )?;
        self.transport.send(&call).await
    }
}
