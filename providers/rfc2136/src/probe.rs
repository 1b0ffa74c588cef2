//! Probes that find out what a key may do and change nothing: updates that can never be carried out,
//! because each has two prerequisites that contradict each other.
//!
//! A server that permits the update answers that a prerequisite does not hold (RFC 2136 §3.2). One
//! that does not permit it refuses, because servers check permissions first.

use acme_alias_core::name::DnsName;
use acme_alias_core::rights::{ProbeKind, Verdict};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TSIG, TsigAlgorithm, TsigError, make_tsig_record};
use hickory_proto::rr::rdata::{A, CAA, CNAME, NS, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::client::Client;
use crate::error::ExchangeError;
use crate::key::FUDGE;
use crate::message::wire_name;
use crate::server::ServerAddress;
use crate::software::Software;

/// Time to live of records that are never made, in seconds.
const TTL: u32 = 60;
/// A target that does not exist (RFC 2606).
const NO_TARGET: &str = "acme-alias.invalid.";
/// Algorithms that are no longer recommended (RFC 8945 §6), and the octets of their signatures.
const WEAK: [(TsigAlgorithm, usize); 2] =
    [(TsigAlgorithm::HmacMd5, 16), (TsigAlgorithm::HmacSha1, 20)];

/// What a probe found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProbeResult {
    pub(crate) verdict: Verdict,
    /// The server's answer, and what it means.
    pub(crate) evidence: String,
    /// Whether the server reports success for an update that cannot be carried out.
    pub(crate) ignores_prerequisites: bool,
}

impl ProbeResult {
    fn new(verdict: Verdict, evidence: impl Into<String>) -> Self {
        ProbeResult {
            verdict,
            evidence: evidence.into(),
            ignores_prerequisites: false,
        }
    }

    /// The result of a probe that failed or was not sent.
    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        ProbeResult::new(Verdict::CannotTell, why)
    }

    /// The meaning of this response code to an update.
    fn of_update(code: ResponseCode, tsig: Option<TsigError>) -> Self {
        let allowed = |code: &str| {
            let evidence = format!(
                "{code}: the test update passed the permission check and stopped at its impossible \
                 prerequisite"
            );
            ProbeResult::new(Verdict::Allowed, evidence)
        };
        match code {
            ResponseCode::NXDomain => allowed("NXDOMAIN"),
            ResponseCode::YXDomain => allowed("YXDOMAIN"),
            // A server that drops what it does not permit answers NOERROR, too.
            ResponseCode::NoError => ProbeResult {
                ignores_prerequisites: true,
                ..ProbeResult::unknown("NOERROR, although the test update cannot be carried out")
            },
            other => ProbeResult::of_refusal(other, tsig),
        }
    }

    /// The meaning of this response code, which is no success, to anything else.
    fn of_refusal(code: ResponseCode, tsig: Option<TsigError>) -> Self {
        match (code, tsig) {
            (ResponseCode::Refused, _) => ProbeResult::new(Verdict::Denied, "REFUSED"),
            (ResponseCode::NotAuth, Some(TsigError::BadTime)) => ProbeResult::unknown(
                "NOTAUTH, BADTIME: the server has the key, but the clocks differ",
            ),
            // Knot also answers BADKEY if a right is missing.
            (ResponseCode::NotAuth, _) => ProbeResult::new(Verdict::Denied, "NOTAUTH"),
            (ResponseCode::NotImp, _) => {
                ProbeResult::new(Verdict::Denied, "NOTIMP: not supported by this server")
            }
            (code, _) => ProbeResult::unknown(format!("{code:?}")),
        }
    }

    /// The meaning of a failed exchange that was no update.
    pub(crate) fn of_error(error: &ExchangeError) -> Self {
        match error {
            ExchangeError::NotSent(cause)
            | ExchangeError::NoResponse(cause)
            | ExchangeError::Untrusted(cause) => ProbeResult::unknown(cause.to_string()),
            ExchangeError::Refused(refusal) => ProbeResult::of_refusal(refusal.code, refusal.tsig),
        }
    }
}

/// Probes one server with one key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prober<'a> {
    pub(crate) client: Client<'a>,
    pub(crate) server: &'a ServerAddress,
}

impl Prober<'_> {
    /// Whether the key may add a record of this type.
    pub(crate) async fn may_add(
        &self,
        zone: &DnsName,
        name: &DnsName,
        kind: ProbeKind,
    ) -> Result<ProbeResult, String> {
        let message = impossible_update(zone, name, kind)?;
        let outcome = self.client.exchange(self.server, &[message]).await;
        Ok(match outcome {
            Ok(responses) => match responses.first() {
                Some(response) => ProbeResult::of_update(response.metadata.response_code, None),
                None => ProbeResult::unknown("no answer"),
            },
            Err(ExchangeError::Refused(refusal)) => {
                ProbeResult::of_update(refusal.code, refusal.tsig)
            }
            Err(error) => ProbeResult::of_error(&error),
        })
    }

    /// Whether anyone may add a TXT record there, without a key.
    pub(crate) async fn may_anyone_add(
        &self,
        zone: &DnsName,
        name: &DnsName,
    ) -> Result<ProbeResult, String> {
        let message = impossible_update(zone, name, ProbeKind::Txt)?;
        let outcome = self.client.exchange_unsigned(self.server, &message).await;
        Ok(match outcome {
            Ok(response) => ProbeResult::of_update(response.metadata.response_code, None),
            Err(error) => ProbeResult::of_error(&error),
        })
    }

    /// Whether the key may transfer the whole zone (AXFR, RFC 5936).
    pub(crate) async fn may_transfer(&self, zone: &DnsName) -> Result<ProbeResult, String> {
        let mut message = Message::query();
        message.add_query(Query::query(wire_name(zone)?, RecordType::AXFR));
        let outcome = self.client.exchange(self.server, &[message]).await;
        Ok(match outcome {
            Ok(responses) if responses.iter().any(|one| !one.answers.is_empty()) => {
                ProbeResult::new(Verdict::Allowed, "the server sent the zone")
            }
            Ok(_) => ProbeResult::unknown("the answer has no record"),
            Err(error) => ProbeResult::of_error(&error),
        })
    }

    /// Whether the server accepts the key with a weak algorithm. The signature has the right length
    /// and is wrong: a server that checks it would have accepted a right one.
    pub(crate) async fn may_sign_weakly(
        &self,
        zone: &DnsName,
        name: &DnsName,
    ) -> Result<ProbeResult, String> {
        let mut results = Vec::new();
        for (algorithm, octets) in WEAK {
            let algorithm_name = algorithm.to_string();
            let update = impossible_update(zone, name, ProbeKind::Txt)?;
            let message = self.with_wrong_signature(update, algorithm, octets)?;
            let response = self.client.exchange_unsigned(self.server, &message).await;
            let (verdict, answer) = match response {
                Ok(response) => of_wrong_signature(&response),
                Err(error) => (Verdict::CannotTell, ProbeResult::of_error(&error).evidence),
            };
            results.push((verdict, format!("{algorithm_name}: {answer}")));
        }
        let is_any = |wanted| results.iter().any(|(verdict, _)| *verdict == wanted);
        let verdict = [Verdict::Allowed, Verdict::CannotTell]
            .into_iter()
            .find(|verdict| is_any(*verdict))
            .unwrap_or(Verdict::Denied);
        let evidence: Vec<_> = results.into_iter().map(|(_, evidence)| evidence).collect();
        Ok(ProbeResult::new(verdict, evidence.join(", ")))
    }

    /// Which program answers there; the error says why none does.
    pub(crate) async fn software(&self) -> Result<Software, ExchangeError> {
        let name = Name::from_ascii("version.bind.")
            .map_err(|error| ExchangeError::NotSent(error.to_string().into()))?;
        let mut query = Query::query(name, RecordType::TXT);
        query.set_query_class(DNSClass::CH);
        let mut message = Message::query();
        message.add_query(query);
        let response = self.client.exchange_unsigned(self.server, &message).await?;
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

    fn with_wrong_signature(
        &self,
        mut message: Message,
        algorithm: TsigAlgorithm,
        octets: usize,
    ) -> Result<Message, String> {
        let mac = rand::random::<[u8; 32]>()[..octets].to_vec();
        let now = self.client.now().map_err(|cause| cause.to_string())?;
        let id = message.metadata.id;
        let tsig = TSIG::new(algorithm, now, FUDGE, mac, id, None, Vec::new());
        let owner = Name::from_ascii(self.client.key.name()).map_err(|error| error.to_string())?;
        message.set_signature(Box::new(make_tsig_record(owner, tsig)));
        Ok(message)
    }
}

/// The meaning of the answer to a message with a wrong signature.
fn of_wrong_signature(response: &Message) -> (Verdict, String) {
    match response.signature().and_then(|tsig| tsig.data.error) {
        Some(TsigError::BadSig) => (Verdict::Allowed, "BADSIG".to_owned()),
        Some(TsigError::BadKey) => (Verdict::Denied, "BADKEY".to_owned()),
        _ => {
            let code = response.metadata.response_code;
            (
                Verdict::CannotTell,
                format!("{code:?} without a TSIG error"),
            )
        }
    }
}

/// An UPDATE that adds one record if a name both exists and does not exist.
fn impossible_update(zone: &DnsName, name: &DnsName, kind: ProbeKind) -> Result<Message, String> {
    let id = Message::query().metadata.id;
    let mut message = Message::new(id, MessageType::Query, OpCode::Update);
    message.add_query(Query::query(wire_name(zone)?, RecordType::SOA));
    let label = format!("acme-alias-audit-{:016x}", rand::random::<u64>());
    let unused = wire_name(&zone.child(&label).map_err(|error| error.to_string())?)?;
    // RFC 2136 §2.4.5 (not in use) and §2.4.4 (in use).
    for class in [DNSClass::NONE, DNSClass::ANY] {
        let mut prerequisite = Record::update0(unused.clone(), 0, RecordType::ANY);
        prerequisite.dns_class = class;
        message.add_answer(prerequisite);
    }
    message.add_authority(Record::from_rdata(wire_name(name)?, TTL, data(kind)?));
    Ok(message)
}

/// Harmless data of this type.
fn data(kind: ProbeKind) -> Result<RData, String> {
    let no_target = || Name::from_ascii(NO_TARGET).map_err(|error| error.to_string());
    Ok(match kind {
        ProbeKind::Txt => RData::TXT(TXT::new(vec!["acme-alias-audit".to_owned()])),
        ProbeKind::Cname => RData::CNAME(CNAME(no_target()?)),
        ProbeKind::Ns => RData::NS(NS(no_target()?)),
        ProbeKind::Caa => RData::CAA(CAA::new_issue(true, None, Vec::new())),
        ProbeKind::A => RData::A(A::new(192, 0, 2, 1)),
    })
}
