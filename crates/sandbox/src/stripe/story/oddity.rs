//! What should not happen and does: things deleted, of another account, of the other mode.

use serde_json::{Value, json};

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;

impl World {
    /// Deletes a product in the dashboard, whatever its prices sell: only its id is answered from now on.
    pub fn delete_product(&mut self, id: &str) -> Result<(), Refusal> {
        let found = self.products.get(id).filter(|product| !product.deleted);
        let object = shape::product(self, found.ok_or_else(|| Refusal::missing("product", id))?);
        if let Some(product) = self.products.get_mut(id) {
            product.active = false;
            product.deleted = true;
        }
        self.emit("product.deleted", object, None);
        Ok(())
    }

    /// Deletes a price in the dashboard: it is not found from now on, and subscriptions keep it.
    pub fn delete_price(&mut self, id: &str) -> Result<(), Refusal> {
        let object = shape::price(self, self.price(id)?);
        if let Some(price) = self.prices.get_mut(id) {
            price.active = false;
            price.deleted = true;
        }
        self.emit("price.deleted", object, None);
        Ok(())
    }

    /// Takes a price, or with `false` puts it back, out of what can be bought.
    pub fn archive_price(&mut self, id: &str, archived: bool) -> Result<(), Refusal> {
        let before = shape::price(self, self.price(id)?);
        if let Some(price) = self.prices.get_mut(id) {
            price.active = !archived;
        }
        let after = shape::price(self, self.price(id)?);
        let previous = shape::previous_attributes(&before, &after);
        self.emit("price.updated", after, previous);
        Ok(())
    }

    /// Tells of a subscription of another account: rightly signed, but nothing of it can be read here.
    /// Its shape is that of the newest subscription. Answers the event's id and the subscription's.
    pub fn tell_of_foreign_subscription(&mut self) -> Result<(String, String), Refusal> {
        let model = self.subscriptions.newest().next();
        let model =
            model.ok_or_else(|| Refusal::invalid("There is no subscription to take the shape of."))?;
        let mut object = shape::subscription(self, model);
        let (subscription, customer) = (self.ids.subscription(), self.ids.customer());
        if let Some(map) = object.as_object_mut() {
            map.insert("id".to_owned(), json!(subscription));
            map.insert("customer".to_owned(), json!(customer));
        }
        let items = object.pointer_mut("/items/data").and_then(Value::as_array_mut);
        for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
            item.insert("subscription".to_owned(), json!(subscription));
        }
        let mode = self.livemode;
        let event = self.emit_in_mode("customer.subscription.updated", object, None, mode);
        Ok((event, subscription))
    }

    /// Sends a copy of an event as the other mode would: rightly signed, with `livemode` turned round.
    /// Answers the copy's id.
    pub fn tell_in_other_mode(&mut self, event: &str) -> Result<String, Refusal> {
        let row = self.events.get(event);
        let row = row.ok_or_else(|| Refusal::missing("event", event))?;
        let kind = row.kind;
        // What was written as JSON reads as JSON.
        let mut object: Value = serde_json::from_str(&row.object).unwrap_or_default();
        let mode = !self.livemode;
        if let Some(map) = object.as_object_mut() {
            map.insert("livemode".to_owned(), json!(mode));
        }
        Ok(self.emit_in_mode(kind, object, None, mode))
    }
}
