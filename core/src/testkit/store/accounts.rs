//! Rules for accounts beside the current one.

use secrecy::{ExposeSecret, SecretString};

use super::checks::{Outcome, SECRET, Suite, equal};

/// The CA of these rules, and another one.
const URLS: [&str; 2] = ["https://ca.example/former", "https://ca.example/Former"];

impl Suite<'_> {
    pub(super) async fn pending_account_is_apart(&self) -> Outcome {
        let [url, other] = URLS;
        let none = self.ok(self.store.pending_account(url).await)?;
        equal("a pending account too early", &none.is_none(), &true)?;
        self.ok(self.store.put_pending_account(url, None).await)?;
        let current = secret("current");
        self.ok(self.store.put_account(url, &current).await)?;
        for mark in ["first", "second"] {
            let pending = secret(mark);
            self.ok(self.store.put_pending_account(url, Some(&pending)).await)?;
            let found = self.ok(self.other.pending_account(url).await)?;
            self.are("the pending account", found, &[mark])?;
        }
        let found = self.ok(self.other.account(url).await)?;
        self.are("the account", found, &["current"])?;
        let found = self.ok(self.other.pending_account(other).await)?;
        self.are("the pending account of another CA", found, &[])?;
        self.ok(self.other.put_pending_account(url, None).await)?;
        let found = self.ok(self.store.pending_account(url).await)?;
        self.are("a pending account that was removed", found, &[])
    }

    pub(super) async fn former_accounts_stay(&self) -> Outcome {
        let url = "https://ca.example/kept";
        self.ok(self.store.keep_former_account(url).await)?;
        let found = self.ok(self.store.former_accounts(url).await)?;
        self.are("former accounts too early", found, &[])?;
        let marks = ["1", "2", "3"];
        for (index, mark) in marks.iter().enumerate() {
            self.ok(self.store.put_account(url, &secret(mark)).await)?;
            // Once more changes nothing.
            for store in [&self.store, &self.other] {
                self.ok(store.keep_former_account(url).await)?;
            }
            let found = self.ok(self.other.former_accounts(url).await)?;
            self.are("former accounts", found, &marks[..=index])?;
            let found = self.ok(self.other.account(url).await)?;
            self.are("the account", found, &[mark])?;
        }
        // The CA may have the key of a change that has not ended.
        let pending = secret("4");
        self.ok(self.store.put_pending_account(url, Some(&pending)).await)?;
        self.ok(self.other.keep_former_account(url).await)?;
        self.ok(self.store.put_pending_account(url, None).await)?;
        self.ok(self.store.keep_former_account(url).await)?;
        let found = self.ok(self.store.former_accounts(url).await)?;
        self.are("former accounts", found, &["1", "2", "3", "4"])
    }

    /// Whether these are the credentials with these marks. No secret gets into the message.
    #[expect(clippy::unused_self, reason = "a check of the suite")]
    fn are(
        &self,
        what: &str,
        found: impl IntoIterator<Item = SecretString>,
        marks: &[&str],
    ) -> Outcome {
        let found = found.into_iter();
        let found: Vec<_> = found.map(|one| one.expose_secret().to_owned()).collect();
        let expected: Vec<_> = marks.iter().map(|mark| text(mark)).collect();
        if found == expected {
            Ok(())
        } else {
            Err(format!("{what}: not those of {marks:?}"))
        }
    }
}

fn text(mark: &str) -> String {
    format!("{SECRET}-account-{mark}")
}

fn secret(mark: &str) -> SecretString {
    text(mark).into()
}
