//! How many connections each address has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the connections of each address; only those that have any are kept.
#[derive(Debug, Clone, Default)]
pub struct Visitors(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection, counted as long as it lives.
#[derive(Debug)]
pub struct Visitor {
    among: Visitors,
    address: IpAddr,
}

impl Visitors {
    /// One more connection of an address; `None` where it has that many already.
    #[must_use]
    pub fn enter(&self, address: IpAddr, most: usize) -> Option<Visitor> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Visitor { among: self.clone(), address })
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let mut all = self.among.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_so_many_and_nothing_is_kept_of_those_that_left() {
        let visitors = Visitors::default();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = visitors.enter(one, 2).unwrap();
        let _second = visitors.enter(one, 2).unwrap();
        assert!(visitors.enter(one, 2).is_none());
        assert!(visitors.enter(other, 2).is_some());
        drop(first);
        assert!(visitors.enter(one, 2).is_some());
        assert_eq!(visitors.0.lock().unwrap().len(), 1);
    }
}
