//! Objects of one kind in the order of their making, found by id.

use std::collections::HashMap;

/// What a table holds.
pub trait Row {
    /// The object's name in Stripe's messages, such as `subscription`.
    const OBJECT: &'static str;
    /// Its id.
    fn id(&self) -> &str;
    /// When it was made, in unix seconds.
    fn created(&self) -> i64;
    /// The object it belongs to for good, such as an invoice to its customer.
    fn owner(&self) -> Option<&str> {
        None
    }
}

/// Rows are added and changed, never taken away.
#[derive(Debug)]
pub struct Table<T> {
    rows: Vec<T>,
    places: HashMap<String, usize>,
    /// Places by owner, so that one customer's rows are found among everybody's.
    owned: HashMap<String, Vec<usize>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            places: HashMap::new(),
            owned: HashMap::new(),
        }
    }
}

impl<T: Row> Table<T> {
    /// Adds a row; an id that is there already is replaced.
    pub fn insert(&mut self, row: T) {
        if let Some(old) = self.get_mut(row.id()) {
            *old = row;
        } else {
            let place = self.rows.len();
            self.places.insert(row.id().to_owned(), place);
            if let Some(owner) = row.owner() {
                self.owned.entry(owner.to_owned()).or_default().push(place);
            }
            self.rows.push(row);
        }
    }

    /// The row with this id.
    pub fn get(&self, id: &str) -> Option<&T> {
        self.places.get(id).and_then(|place| self.rows.get(*place))
    }

    /// The row with this id, to change.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.places.get(id).and_then(|place| self.rows.get_mut(*place))
    }

    /// The rows of one owner, oldest first.
    pub fn of(&self, owner: &str) -> impl DoubleEndedIterator<Item = &T> {
        let places = self.owned.get(owner).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|place| self.rows.get(*place))
    }

    /// Where a row stands, oldest first.
    pub fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// All rows, oldest first.
    pub fn rows(&self) -> &[T] {
        &self.rows
    }

    /// All rows, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &T> {
        self.rows.iter().rev()
    }
}
