//! Decoding responses. A large one can take long: its names can be behind thousands of pointers. So large ones are decoded
//! one at a time, in a thread of their own. Huge ones have another turn, so that they do not hold up those of servers in
//! order.

use tokio::sync::Semaphore;

use crate::error::{ExchangeError, no_response};

/// Octets of a response that is decoded at once.
const SMALL: usize = 4 * 1024;
/// Octets of a response that is larger than those of servers in order.
const HUGE: usize = 16 * 1024;

static LARGE_RESPONSES: Semaphore = Semaphore::const_new(1);
static HUGE_RESPONSES: Semaphore = Semaphore::const_new(1);

/// The turns of one provider, so that it has no more of all turns than others.
#[derive(Debug)]
pub(crate) struct Decoding(Semaphore);

impl Default for Decoding {
    fn default() -> Self {
        Decoding(Semaphore::new(1))
    }
}

impl Decoding {
    /// What `read` makes of a response.
    pub(crate) async fn of<T: Send + 'static>(
        &self,
        bytes: Vec<u8>,
        read: impl FnOnce(&[u8]) -> Result<T, ExchangeError> + Send + 'static,
    ) -> Result<T, ExchangeError> {
        if bytes.len() <= SMALL {
            return read(&bytes);
        }
        let turns = if bytes.len() <= HUGE {
            &LARGE_RESPONSES
        } else {
            &HUGE_RESPONSES
        };
        // They are never closed.
        let _own = self.0.acquire().await;
        let turn = turns.acquire().await;
        let decoded = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            read(&bytes)
        });
        decoded
            .await
            .unwrap_or_else(|error| Err(no_response(error.to_string())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    // The runtime has one thread.
    #[tokio::test]
    async fn tasks_go_on_while_a_large_response_is_decoded() {
        for octets in [SMALL + 1, HUGE + 1] {
            let (task_went_on, wait) = channel();
            let read = move |_: &[u8]| {
                let waited = wait.recv_timeout(Duration::from_secs(10));
                waited.map_err(|error| no_response(error.to_string()))
            };
            let decoding = Decoding::default();
            let decoded = decoding.of(vec![0; octets], read);
            let (decoded, ()) = tokio::join!(decoded, async {
                task_went_on.send(()).unwrap();
            });
            assert!(decoded.is_ok());
        }
    }
}
