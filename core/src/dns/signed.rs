//! Questions whose answers are to be validated (DNSSEC, RFC 4035): with signatures, and from the side of a
//! zone cut that has the records.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use super::Dns;
use super::message::{code_name, dns_name};
use super::question::{self, Manner};

/// Whether the root zone has these records; the zone above a zone has its DS records (RFC 4035 §3.1.4.1).
pub(crate) fn is_of_root(name: &Name, kind: RecordType) -> bool {
    name.is_root() || (kind == RecordType::DS && name.num_labels() == 1)
}

impl Dns {
    /// The `kind` records of `name` with their signatures, or the signed proof that there are none; the
    /// error says in words why neither came. What the root has is asked of a resolver, since validation
    /// needs no trust in whoever passes it on; all else of authoritative servers.
    pub(crate) async fn ask_signed(
        &self,
        name: &Name,
        kind: RecordType,
    ) -> Result<Message, String> {
        if is_of_root(name, kind) {
            return self.resolve_signed(name, kind).await;
        }
        let name = dns_name(name).ok_or_else(|| format!("{name} is not a usable name"))?;
        // RFC 4035 §3.1.4.1: the zone above has the DS records.
        let above = name.parent().filter(|_| kind == RecordType::DS);
        let zone = self.enclosing_zone(above.as_ref().unwrap_or(&name)).await;
        let answer = match zone {
            Ok(zone) => self.ask_from(zone, &name, kind, true).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => Ok(answer.into_message()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn resolve_signed(&self, name: &Name, kind: RecordType) -> Result<Message, String> {
        let manner = Manner {
            recursive: true,
            signed: true,
            timeout: self.config.timeout,
        };
        let mut attempts = Vec::new();
        for resolver in &self.config.resolvers {
            match question::ask(*resolver, name, kind, manner).await {
                Ok(message) if is_result(&message) => return Ok(message),
                Ok(message) => {
                    let code = code_name(message.metadata.response_code);
                    attempts.push(format!("{resolver} answered {code}"));
                }
                Err(error) => attempts.push(format!("{resolver}: {error}")),
            }
        }
        if attempts.is_empty() {
            attempts.push("there is none: set `dns.resolver`".to_owned());
        }
        Err(format!(
            "no resolver answered the question for {kind} records of {name}: {}",
            attempts.join("; ")
        ))
    }
}

fn is_result(message: &Message) -> bool {
    matches!(
        message.metadata.response_code,
        ResponseCode::NoError | ResponseCode::NXDomain
    )
}
