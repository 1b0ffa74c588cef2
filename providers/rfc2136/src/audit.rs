//! What the key can really do, asked by updates that can never be carried out: each has two
//! prerequisites that contradict each other, so that a server which would allow it says that one of them
//! does not hold (RFC 2136 §3.2), and one which would not refuses. Servers check the right first.

use std::net::SocketAddr;

use acme_alias_core::name::DnsName;
use acme_alias_core::provider::{Right, Subject, Verdict, Weight};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::{TSIG, TsigAlgorithm, TsigError, make_tsig_record};
use hickory_proto::rr::rdata::{A, CAA, CNAME, NS, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::backend::Rfc2136;
use crate::config::{Host, Server};
use crate::exchange::{self, ExchangeError, exchange};
use crate::key::FUDGE;

/// Time to live of what is never made, in seconds.
const TTL: u32 = 60;
/// The right that has nothing to do with updates.
const TRANSFER: &str = "transfer of the whole zone (AXFR)";
/// A target that exists nowhere (RFC 2606).
const NOWHERE: &str = "acme-alias.invalid.";

impl Rfc2136 {
    /// Every right that matters, with what the server said.
    pub(crate) async fn rights(&self, subject: &Subject) -> Result<Vec<Right>, String> {
        let Some(server) = self.config().servers.first() else {
            return Ok(Vec::new());
        };
        let zone = &subject.zone;
        let label = format!("acme-alias-audit-{:08x}", rand::random::<u32>());
        let child = |label: &str, of: &DnsName| of.child(label).map_err(|error| error.to_string());
        let mut rights = Vec::new();
        for name in &subject.alias_names {
            let right = format!("TXT at {name}");
            rights.push(
                self.ask(server, zone, name, txt(), right, Weight::Needed)
                    .await?,
            );
        }
        // Without a right that is there, a refusal may have any reason.
        let is_known = rights.iter().any(|right| right.verdict == Verdict::Allowed);
        let sibling = child(&label, zone)?;
        let mut others = vec![
            (zone.clone(), txt(), "TXT at the apex", Weight::Wide),
            (sibling.clone(), txt(), "TXT at another name", Weight::Wide),
            (
                zone.challenge_name().map_err(|error| error.to_string())?,
                txt(),
                "TXT at the zone's own challenge name",
                Weight::Wide,
            ),
            (sibling.clone(), cname()?, "CNAME", Weight::Dangerous),
            (
                sibling.clone(),
                ns()?,
                "NS: a delegation",
                Weight::Dangerous,
            ),
            (zone.clone(), caa(), "CAA at the apex", Weight::Dangerous),
            (sibling, address(), "A: an address", Weight::Dangerous),
        ];
        if let Some(name) = subject.alias_names.first() {
            others.push((
                child(&label, name)?,
                txt(),
                "TXT below an alias name",
                Weight::Wide,
            ));
        }
        for (name, data, what, weight) in others {
            if weight == Weight::Wide && subject.alias_names.contains(&name) {
                continue;
            }
            let right = format!("{what} ({name})");
            rights.push(self.ask(server, zone, &name, data, right, weight).await?);
        }
        rights.push(self.transfer(server, zone).await?);
        rights.push(self.unsigned(server, subject).await?);
        rights.push(self.weak(server, subject).await?);
        for (main_zone, servers) in &subject.main_zones {
            for address in servers {
                let main_server = at(*address);
                let name = main_zone
                    .challenge_name()
                    .map_err(|error| error.to_string())?;
                let right = format!("TXT in the main zone {main_zone}, at {address}");
                let asked = self.ask(&main_server, main_zone, &name, txt(), right, Weight::Fatal);
                rights.push(asked.await?);
            }
        }
        if self.checks_rights_last(server).await {
            for right in &mut rights {
                if right.verdict == Verdict::Allowed && right.right != TRANSFER {
                    right.verdict = Verdict::CannotTell;
                    right.evidence.push_str(
                        "; but this is PowerDNS, whose `lua-dnsupdate-policy-script`, if there is one, has \
                         its say after that, and drops in silence",
                    );
                }
            }
        }
        if !is_known {
            for right in &mut rights {
                if right.verdict == Verdict::Denied {
                    right.verdict = Verdict::CannotTell;
                    right.evidence.push_str(
                        "; but what is needed is refused as well, so that this may have another reason",
                    );
                }
            }
        }
        Ok(rights)
    }

    async fn ask(
        &self,
        server: &Server,
        zone: &DnsName,
        name: &DnsName,
        data: RData,
        right: String,
        weight: Weight,
    ) -> Result<Right, String> {
        let message = impossible(zone, name, data)?;
        let config = self.config();
        let outcome = exchange(server, &config.key, &[message], config.timeout).await;
        let (verdict, evidence) = match outcome {
            Ok(responses) => {
                let code = responses
                    .first()
                    .map(|response| response.metadata.response_code);
                match code {
                    Some(ResponseCode::NXDomain) => (
                        Verdict::Allowed,
                        "NXDOMAIN: the right is there, the prerequisite is not".to_owned(),
                    ),
                    // A server that drops what it does not allow says that all is well.
                    _ => (
                        Verdict::CannotTell,
                        "NOERROR, although it cannot be carried out".to_owned(),
                    ),
                }
            }
            Err(ExchangeError::Answered(refusal)) => match (&refusal.tsig, refusal.code) {
                (_, ResponseCode::YXDomain) => (
                    Verdict::Allowed,
                    "YXDOMAIN: the right is there, the prerequisite is not".to_owned(),
                ),
                (_, ResponseCode::Refused) => (Verdict::Denied, "REFUSED".to_owned()),
                // Knot says so of a right that is not there as well.
                (_, ResponseCode::NotAuth) => (Verdict::Denied, "NOTAUTH".to_owned()),
                (_, ResponseCode::NotImp) => {
                    (Verdict::Denied, "NOTIMP: it takes no updates".to_owned())
                }
                (_, code) => (Verdict::CannotTell, format!("{code:?}")),
            },
            Err(
                ExchangeError::NotSent(cause)
                | ExchangeError::NoResponse(cause)
                | ExchangeError::Untrusted(cause),
            ) => (Verdict::CannotTell, cause),
        };
        Ok(Right {
            right,
            weight,
            verdict,
            evidence,
        })
    }

    /// Whether the key may have the whole zone.
    async fn transfer(&self, server: &Server, zone: &DnsName) -> Result<Right, String> {
        let mut message = Message::query();
        message.add_query(Query::query(wire(zone)?, RecordType::AXFR));
        let config = self.config();
        let outcome = exchange(server, &config.key, &[message], config.timeout).await;
        let (verdict, evidence) = match outcome {
            Ok(responses)
                if responses
                    .iter()
                    .any(|response| !response.answers.is_empty()) =>
            {
                (Verdict::Allowed, "the zone came".to_owned())
            }
            Ok(_) => (Verdict::CannotTell, "an answer without a record".to_owned()),
            Err(ExchangeError::Answered(refusal)) => {
                (Verdict::Denied, format!("{:?}", refusal.code))
            }
            Err(
                ExchangeError::NotSent(cause)
                | ExchangeError::NoResponse(cause)
                | ExchangeError::Untrusted(cause),
            ) => (Verdict::CannotTell, cause),
        };
        Ok(Right {
            right: TRANSFER.to_owned(),
            weight: Weight::Wide,
            verdict,
            evidence,
        })
    }

    /// Whether the server looks at prerequisites before it looks at all that may forbid an update: `PowerDNS` does
    /// (<https://doc.powerdns.com/authoritative/dnsupdate.html>), and tells what it is.
    async fn checks_rights_last(&self, server: &Server) -> bool {
        let Ok(name) = Name::from_ascii("version.bind.") else {
            return false;
        };
        let mut query = Query::query(name, RecordType::TXT);
        query.set_query_class(DNSClass::CH);
        let mut message = Message::query();
        message.add_query(query);
        let response = exchange::unproven(server, &message, self.config().timeout).await;
        let is_powerdns = |record: &Record| record.to_string().contains("PowerDNS");
        response.is_ok_and(|response| response.answers.iter().any(is_powerdns))
    }

    /// Whether anybody may update, without a key.
    async fn unsigned(&self, server: &Server, subject: &Subject) -> Result<Right, String> {
        let name = subject.alias_names.first().unwrap_or(&subject.zone);
        let message = impossible(&subject.zone, name, txt())?;
        let response = exchange::unproven(server, &message, self.config().timeout).await;
        let code = response.map(|response| response.metadata.response_code);
        let (verdict, evidence) = match code {
            Ok(ResponseCode::NXDomain | ResponseCode::YXDomain) => (
                Verdict::Allowed,
                "the prerequisite is all that stood in the way".to_owned(),
            ),
            Ok(ResponseCode::NoError) => (Verdict::CannotTell, "NOERROR".to_owned()),
            Ok(code) => (Verdict::Denied, format!("{code:?}")),
            Err(cause) => (Verdict::CannotTell, cause),
        };
        Ok(Right {
            right: "updates without any key".to_owned(),
            weight: Weight::Fatal,
            verdict,
            evidence,
        })
    }

    /// Whether the server takes the key with an algorithm that is no longer recommended (RFC 8945 §6). The MAC is
    /// of the right length and wrong: a server that looks at it would have taken a right one.
    async fn weak(&self, server: &Server, subject: &Subject) -> Result<Right, String> {
        let name = subject.alias_names.first().unwrap_or(&subject.zone);
        let key = &self.config().key;
        let mut answers = Vec::new();
        for (algorithm, octets) in [(TsigAlgorithm::HmacMd5, 16), (TsigAlgorithm::HmacSha1, 20)] {
            let mut message = impossible(&subject.zone, name, txt())?;
            let mac = rand::random::<[u8; 32]>()[..octets].to_vec();
            let (time, id) = (exchange::now()?, message.metadata.id);
            let named = algorithm.to_string();
            let tsig = TSIG::new(algorithm, time, FUDGE, mac, id, None, Vec::new());
            let owner = Name::from_ascii(key.name()).map_err(|error| error.to_string())?;
            message.set_signature(Box::new(make_tsig_record(owner, tsig)));
            let response = exchange::unproven(server, &message, self.config().timeout).await;
            let (verdict, said) = match &response {
                Ok(response) => match response.signature().and_then(|tsig| tsig.data.error) {
                    Some(TsigError::BadSig) => (Verdict::Allowed, "BADSIG".to_owned()),
                    Some(TsigError::BadKey) => (Verdict::Denied, "BADKEY".to_owned()),
                    _ => {
                        let code = response.metadata.response_code;
                        (
                            Verdict::CannotTell,
                            format!("{code:?}, and nothing of the key"),
                        )
                    }
                },
                Err(cause) => (Verdict::CannotTell, cause.clone()),
            };
            answers.push((verdict, format!("{named}: {said}")));
        }
        let is_any = |wanted| answers.iter().any(|(verdict, _)| *verdict == wanted);
        let verdict = [Verdict::Allowed, Verdict::CannotTell]
            .into_iter()
            .find(|verdict| is_any(*verdict))
            .unwrap_or(Verdict::Denied);
        let evidence: Vec<_> = answers.into_iter().map(|(_, said)| said).collect();
        Ok(Right {
            right: "signatures with a weak algorithm".to_owned(),
            weight: Weight::Wide,
            verdict,
            evidence: evidence.join(", "),
        })
    }
}

/// An UPDATE that adds one record, where a name is there and is not there.
fn impossible(zone: &DnsName, name: &DnsName, data: RData) -> Result<Message, String> {
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
    message.add_authority(Record::from_rdata(wire(name)?, TTL, data));
    Ok(message)
}

fn wire(name: &DnsName) -> Result<Name, String> {
    Name::from_ascii(name.fqdn()).map_err(|error| format!("{name}: {error}"))
}

fn at(address: SocketAddr) -> Server {
    Server {
        host: Host::Address(address.ip()),
        port: address.port(),
    }
}

fn txt() -> RData {
    RData::TXT(TXT::new(vec!["acme-alias-audit".to_owned()]))
}

fn nowhere() -> Result<Name, String> {
    Name::from_ascii(NOWHERE).map_err(|error| error.to_string())
}

fn cname() -> Result<RData, String> {
    Ok(RData::CNAME(CNAME(nowhere()?)))
}

fn ns() -> Result<RData, String> {
    Ok(RData::NS(NS(nowhere()?)))
}

fn caa() -> RData {
    RData::CAA(CAA::new_issue(true, None, Vec::new()))
}

fn address() -> RData {
    RData::A(A::new(192, 0, 2, 1))
}
