//! Questions about a key that change nothing: updates that can never be carried out, because each has two
//! prerequisites that contradict each other. A server which would allow it says that one of them does not
//! hold (RFC 2136 §3.2), and one which would not refuses: servers look at the right first.

use std::time::Duration;

use acme_alias_core::name::DnsName;
use acme_alias_core::rights::{ProbeKind, Verdict};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TSIG, TsigAlgorithm, TsigError, make_tsig_record};
use hickory_proto::rr::rdata::{A, CAA, CNAME, NS, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::client::{self, ExchangeError, exchange};
use crate::config::Server;
use crate::key::{FUDGE, Key};

/// Time to live of what is never made, in seconds.
const TTL: u32 = 60;
/// A target that exists nowhere (RFC 2606).
const NOWHERE: &str = "acme-alias.invalid.";
/// Algorithms that are no longer recommended (RFC 8945 §6), and the octets of their signatures.
const WEAK: [(TsigAlgorithm, usize); 2] =
    [(TsigAlgorithm::HmacMd5, 16), (TsigAlgorithm::HmacSha1, 20)];

/// What a server said to a question, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) verdict: Verdict,
    pub(crate) evidence: String,
    /// Whether the server says that it did what can never be carried out.
    pub(crate) is_absurd: bool,
}

impl Reading {
    fn new(verdict: Verdict, evidence: impl Into<String>) -> Self {
        Reading {
            verdict,
            evidence: evidence.into(),
            is_absurd: false,
        }
    }

    /// What could not be asked, or was better not.
    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Reading::new(Verdict::CannotTell, why)
    }

    /// What it means that an update was answered by this code.
    fn of_an_update(code: ResponseCode, tsig: Option<TsigError>) -> Self {
        let allowed = |code: &str| {
            let evidence = format!("{code}: the right is there, the prerequisite is not");
            Reading::new(Verdict::Allowed, evidence)
        };
        match code {
            ResponseCode::NXDomain => allowed("NXDOMAIN"),
            ResponseCode::YXDomain => allowed("YXDOMAIN"),
            // A server that drops what it does not allow says that all is well.
            ResponseCode::NoError => Reading {
                is_absurd: true,
                ..Reading::new(
                    Verdict::CannotTell,
                    "NOERROR, although it cannot be carried out",
                )
            },
            other => Reading::of_a_refusal(other, tsig),
        }
    }

    /// What it means that anything was answered by this code, which is no success.
    fn of_a_refusal(code: ResponseCode, tsig: Option<TsigError>) -> Self {
        match (code, tsig) {
            (ResponseCode::Refused, _) => Reading::new(Verdict::Denied, "REFUSED"),
            (ResponseCode::NotAuth, Some(TsigError::BadTime)) => Reading::new(
                Verdict::CannotTell,
                "NOTAUTH, BADTIME: the key is known there, and the clocks differ",
            ),
            // Knot says BADKEY of a right that is not there as well.
            (ResponseCode::NotAuth, _) => Reading::new(Verdict::Denied, "NOTAUTH"),
            (ResponseCode::NotImp, _) => {
                Reading::new(Verdict::Denied, "NOTIMP: it does no such thing")
            }
            (code, _) => Reading::new(Verdict::CannotTell, format!("{code:?}")),
        }
    }

    fn unanswered(error: ExchangeError) -> Self {
        let cause = match error {
            ExchangeError::NotSent(cause)
            | ExchangeError::NoResponse(cause)
            | ExchangeError::Untrusted(cause) => cause,
            ExchangeError::Answered(refusal) => {
                return Reading::of_a_refusal(refusal.code, refusal.tsig);
            }
        };
        Reading::new(Verdict::CannotTell, cause)
    }
}

/// The server programs whose ways are known, by what they answer to `version.bind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Software {
    /// Since 9.16.37, 9.18.11 and 9.19.9 (<https://kb.isc.org/docs/cve-2022-3094>) it looks at the right before
    /// it looks at prerequisites, as before it did not.
    Bind {
        rights_first: bool,
    },
    Knot,
    /// It looks at prerequisites before it looks at all that may forbid an update
    /// (<https://doc.powerdns.com/authoritative/dnsupdate.html>).
    PowerDns,
    /// Another, or one that does not say.
    Unknown,
}

impl Software {
    fn from_version(version: &str) -> Self {
        if version.contains("PowerDNS") {
            return Software::PowerDns;
        }
        if version.contains("Knot") {
            return Software::Knot;
        }
        // BIND says its number, and perhaps its name before that.
        let number = version.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut parts = number.split(|c: char| !c.is_ascii_digit());
        let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok());
        match (part(), part(), part()) {
            (Some(9), Some(minor), Some(patch)) => Software::Bind {
                rights_first: match minor {
                    ..16 => false,
                    16 => patch >= 37,
                    17 | 18 => patch >= 11,
                    19 => patch >= 9,
                    20.. => true,
                },
            },
            _ => Software::Unknown,
        }
    }

    /// Whether what it allows is allowed, whatever else it allows.
    pub(crate) fn looks_at_rights_first(self) -> bool {
        matches!(self, Software::Knot | Software::Bind { rights_first: true })
    }
}

/// Asks one server about one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prober<'a> {
    pub(crate) server: &'a Server,
    pub(crate) key: &'a Key,
    /// How long one answer may take.
    pub(crate) timeout: Duration,
}

impl Prober<'_> {
    /// Whether the key may add a record of this type.
    pub(crate) async fn may_add(
        &self,
        zone: &DnsName,
        name: &DnsName,
        kind: ProbeKind,
    ) -> Result<Reading, String> {
        let message = impossible(zone, name, kind)?;
        let outcome = exchange(self.server, self.key, &[message], self.timeout).await;
        Ok(match outcome {
            Ok(responses) => match responses.first() {
                Some(response) => Reading::of_an_update(response.metadata.response_code, None),
                None => Reading::new(Verdict::CannotTell, "no answer"),
            },
            Err(ExchangeError::Answered(refusal)) => {
                Reading::of_an_update(refusal.code, refusal.tsig)
            }
            Err(error) => Reading::unanswered(error),
        })
    }

    /// Whether anybody may add a TXT record there, without a key.
    pub(crate) async fn may_anybody_add(
        &self,
        zone: &DnsName,
        name: &DnsName,
    ) -> Result<Reading, String> {
        let message = impossible(zone, name, ProbeKind::Txt)?;
        let response = client::unproven(self.server, &message, self.timeout).await;
        Ok(match response {
            Ok(response) => Reading::of_an_update(response.metadata.response_code, None),
            Err(cause) => Reading::new(Verdict::CannotTell, cause),
        })
    }

    /// Whether the key may have the whole zone (AXFR, RFC 5936).
    pub(crate) async fn may_transfer(&self, zone: &DnsName) -> Result<Reading, String> {
        let mut message = Message::query();
        message.add_query(Query::query(wire(zone)?, RecordType::AXFR));
        let outcome = exchange(self.server, self.key, &[message], self.timeout).await;
        Ok(match outcome {
            Ok(responses) if responses.iter().any(|one| !one.answers.is_empty()) => {
                Reading::new(Verdict::Allowed, "the zone came")
            }
            Ok(_) => Reading::new(Verdict::CannotTell, "an answer without a record"),
            Err(error) => Reading::unanswered(error),
        })
    }

    /// Whether the server takes the key with a weak algorithm. The signature is of the right length and
    /// wrong: a server that looks at it would have taken a right one.
    pub(crate) async fn may_sign_weakly(
        &self,
        zone: &DnsName,
        name: &DnsName,
    ) -> Result<Reading, String> {
        let mut readings = Vec::new();
        for (algorithm, octets) in WEAK {
            let named = algorithm.to_string();
            let message =
                self.falsely_signed(impossible(zone, name, ProbeKind::Txt)?, algorithm, octets)?;
            let response = client::unproven(self.server, &message, self.timeout).await;
            let error = |response: &Message| response.signature().and_then(|tsig| tsig.data.error);
            let (verdict, said) = match &response {
                Ok(response) => match error(response) {
                    Some(TsigError::BadSig) => (Verdict::Allowed, "BADSIG".to_owned()),
                    Some(TsigError::BadKey) => (Verdict::Denied, "BADKEY".to_owned()),
                    _ => {
                        let code = response.metadata.response_code;
                        let said = format!("{code:?}, and nothing of the key");
                        (Verdict::CannotTell, said)
                    }
                },
                Err(cause) => (Verdict::CannotTell, cause.clone()),
            };
            readings.push(Reading::new(verdict, format!("{named}: {said}")));
        }
        let is_any = |wanted| readings.iter().any(|reading| reading.verdict == wanted);
        let verdict = [Verdict::Allowed, Verdict::CannotTell]
            .into_iter()
            .find(|verdict| is_any(*verdict))
            .unwrap_or(Verdict::Denied);
        let evidence: Vec<_> = readings.into_iter().map(|one| one.evidence).collect();
        Ok(Reading::new(verdict, evidence.join(", ")))
    }

    /// Which program answers there. The error says why nothing does.
    pub(crate) async fn software(&self) -> Result<Software, String> {
        let name = Name::from_ascii("version.bind.").map_err(|error| error.to_string())?;
        let mut query = Query::query(name, RecordType::TXT);
        query.set_query_class(DNSClass::CH);
        let mut message = Message::query();
        message.add_query(query);
        let response = client::unproven(self.server, &message, self.timeout).await?;
        let version = response
            .answers
            .iter()
            .find_map(|record| match &record.data {
                RData::TXT(txt) => Some(txt.txt_data.concat()),
                _ => None,
            });
        let version = version.unwrap_or_default();
        Ok(Software::from_version(&String::from_utf8_lossy(&version)))
    }

    fn falsely_signed(
        &self,
        mut message: Message,
        algorithm: TsigAlgorithm,
        octets: usize,
    ) -> Result<Message, String> {
        let mac = rand::random::<[u8; 32]>()[..octets].to_vec();
        let (time, id) = (client::now()?, message.metadata.id);
        let tsig = TSIG::new(algorithm, time, FUDGE, mac, id, None, Vec::new());
        let owner = Name::from_ascii(self.key.name()).map_err(|error| error.to_string())?;
        message.set_signature(Box::new(make_tsig_record(owner, tsig)));
        Ok(message)
    }
}

/// An UPDATE that adds one record, where a name is there and is not there.
fn impossible(zone: &DnsName, name: &DnsName, kind: ProbeKind) -> Result<Message, String> {
    let id = Message::query().metadata.id;
    let mut message = Message::new(id, MessageType::Query, OpCode::Update);
    message.add_query(Query::query(wire(zone)?, RecordType::SOA));
    let label = format!("acme-alias-audit-{:016x}", rand::random::<u64>());
    let nobody = wire(&zone.child(&label).map_err(|error| error.to_string())?)?;
    // RFC 2136 §2.4.5 (not in use) and §2.4.4 (in use).
    for class in [DNSClass::NONE, DNSClass::ANY] {
        let mut prerequisite = Record::update0(nobody.clone(), 0, RecordType::ANY);
        prerequisite.dns_class = class;
        message.add_answer(prerequisite);
    }
    message.add_authority(Record::from_rdata(wire(name)?, TTL, data(kind)?));
    Ok(message)
}

fn wire(name: &DnsName) -> Result<Name, String> {
    Name::from_ascii(name.fqdn()).map_err(|error| format!("{name}: {error}"))
}

/// A record of this type that would be of no use to anybody.
fn data(kind: ProbeKind) -> Result<RData, String> {
    let nowhere = || Name::from_ascii(NOWHERE).map_err(|error| error.to_string());
    Ok(match kind {
        ProbeKind::Txt => RData::TXT(TXT::new(vec!["acme-alias-audit".to_owned()])),
        ProbeKind::Cname => RData::CNAME(CNAME(nowhere()?)),
        ProbeKind::Ns => RData::NS(NS(nowhere()?)),
        ProbeKind::Caa => RData::CAA(CAA::new_issue(true, None, Vec::new())),
        ProbeKind::A => RData::A(A::new(192, 0, 2, 1)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_what_they_say() {
        let bind = |rights_first| Software::Bind { rights_first };
        for (version, software) in [
            ("9.18.44-1~deb12u1-Debian", bind(true)),
            ("BIND 9.18.11", bind(true)),
            ("9.18.10", bind(false)),
            ("9.16.37", bind(true)),
            ("9.11.36-RedHat-9.11.36-16.el8", bind(false)),
            ("9.20.0", bind(true)),
            ("Knot DNS 3.2.6", Software::Knot),
            (
                "PowerDNS Authoritative Server 4.7.3 (built)",
                Software::PowerDns,
            ),
            ("NSD 4.6.1", Software::Unknown),
            ("9", Software::Unknown),
            ("", Software::Unknown),
        ] {
            assert_eq!(Software::from_version(version), software, "{version}");
        }
    }
}
