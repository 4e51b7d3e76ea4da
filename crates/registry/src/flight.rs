//! One question at a time: askers of the same thing share one answer.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Questions under way. Failures are answers, too: `V` holds them.
pub(crate) struct Flights<K, V> {
    under_way: Mutex<BTreeMap<K, Arc<OnceCell<V>>>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
        }
    }
}

impl<K: Ord + Clone, V: Clone> Flights<K, V> {
    /// The answer of `ask`, which runs only if the same question is not under way. If its asker
    /// gives up, the next one asks.
    pub(crate) async fn share<F: Future<Output = V>>(&self, key: K, ask: impl FnOnce() -> F) -> V {
        let cell = {
            let mut flights = self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(flights.entry(key.clone()).or_default())
        };
        let answer = cell.get_or_init(ask).await.clone();
        let mut flights = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if flights
            .get(&key)
            .is_some_and(|present| Arc::ptr_eq(present, &cell))
        {
            flights.remove(&key);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn concurrent_questions_share_an_answer_and_later_ones_ask_again() {
        let flights = Flights::<u8, usize>::default();
        let asked = AtomicUsize::new(0);
        let ask = || async {
            tokio::task::yield_now().await;
            asked.fetch_add(1, Ordering::Relaxed)
        };
        let (first, second) = tokio::join!(flights.share(1, ask), flights.share(1, ask));
        assert_eq!((first, second), (0, 0));
        assert_eq!(flights.share(1, ask).await, 1);
    }
}
