//! Queries whose answers are validated (DNSSEC, RFC 4035): with signatures, and on the side of a zone cut that
//! has the records.

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};

use super::answer::dns_name;
use super::cache::Timed;
use super::client::Dns;
use super::infrastructure::InfrastructureKind;
use super::lifetime;
use crate::name::DnsName;

/// Whether the root zone has these records; the zone above a zone has its DS records (RFC 4035 §3.1.4.1).
pub(crate) fn is_of_root(name: &Name, kind: RecordType) -> bool {
    name.is_root() || (kind == RecordType::DS && name.num_labels() == 1)
}

impl Dns {
    /// The `kind` records of `name` with their signatures, or the signed proof that there are none. Records
    /// about zones are cached, all others are not. The root's records come from a resolver: validation needs
    /// no trust in it. All others come from authoritative servers. The error says in words why there is no
    /// answer.
    pub(crate) async fn ask_signed(
        &self,
        name: &Name,
        kind: RecordType,
    ) -> Result<Message, String> {
        if is_of_root(name, kind) {
            return self.resolve_signed(name, kind).await;
        }
        let name = dns_name(name).ok_or_else(|| format!("{name} is not a usable name"))?;
        let answer = match InfrastructureKind::of(kind) {
            Some(kind) => {
                let answer = self.ask_cached(&name, kind, true).await;
                answer.map(|timed| timed.value)
            }
            None => self.ask_now(&name, kind, true).await,
        };
        match answer {
            Ok(answer) => Ok(answer.message().clone()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn resolve_signed(&self, name: &Name, kind: RecordType) -> Result<Message, String> {
        let fetch = async {
            if self.config.resolvers.is_empty() {
                return Err(format!(
                    "no resolver is configured, and the {kind} records of {name} are asked of one"
                ));
            }
            let asked = self.ask_resolvers(name, kind, true).await;
            let (_, message) = asked.map_err(|attempts| {
                format!(
                    "no resolver answered the query for {kind} records of {name}: {}",
                    attempts.join("; ")
                )
            })?;
            Ok(Timed {
                expires: lifetime::expiry(&message),
                value: message,
            })
        };
        let key = (name.to_lowercase(), kind);
        let timed = self
            .root_answers
            .get_or_fetch(&key, Box::pin(fetch))
            .await?;
        Ok(Message::clone(&timed.value))
    }

    /// Forgets the signed answers about `name` and the zones above it.
    pub(crate) fn forget_signed(&self, name: &DnsName) {
        self.root_answers.remove(|_| true);
        self.answers
            .remove(|key| key.signed && name.is_within(&key.name));
    }
}
