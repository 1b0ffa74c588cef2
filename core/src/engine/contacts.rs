//! Contacts that have changed in the configuration are sent to the CAs, whether anything is due there or not.

use std::collections::BTreeMap;

use super::core::Engine;

impl Engine {
    /// Sends the contacts of the configured certificates' CAs, where they are not those that were sent last. Nothing
    /// depends on it.
    pub(super) async fn send_contacts(&self) {
        let configured = self.certificates().iter();
        let cas = configured.map(|certificate| certificate.environment.ca());
        let cas: BTreeMap<_, _> = cas.map(|ca| (ca.directory(), ca)).collect();
        let store = &*self.parts.store;
        for ca in cas.into_values() {
            let sent = async {
                if ca.is_contact_changed(store).await? {
                    ca.account(store).await?;
                }
                Ok::<_, crate::acme::CaError>(())
            };
            if let Err(error) = sent.await {
                tracing::warn!(ca = ca.directory(), %error, "the contacts were not sent");
            }
        }
    }
}
