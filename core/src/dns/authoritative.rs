//! Uncached queries to authoritative servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tokio::time::{Instant, timeout};

use super::answer::{Answer, wire_name};
use super::budget::Budget;
use super::client::Dns;
use super::error::{DnsError, ServerError};
use super::query::{self, Question};
use super::race::race;
use super::records::Referral;
use super::server::{Server, Zone};
use super::sockets;
use super::waits;
use crate::name::DnsName;
use crate::printable::few;

/// The number of delegations that are followed downwards from the first zone found.
pub(super) const REFERRALS_MAX: usize = 16;

/// Servers that are waited for before a zone is given up: a resolver does not ask more of them either.
const SILENT_SERVERS_MAX: usize = 5;
/// Addresses of one server that are waited for.
const SILENT_ADDRESSES_MAX: usize = 4;

/// What a server of a zone answered.
enum Reply {
    Answer(Answer),
    Referral(Referral),
}

impl Dns {
    /// Asks the authoritative servers of the zone that holds `name` now, and follows delegations to zones below
    /// on the way. The answer is never cached.
    pub async fn ask(&self, name: &DnsName, kind: RecordType) -> Result<Answer, DnsError> {
        // In its box the future is small, so that the futures that ask are.
        Box::pin(self.ask_now(name, kind, false)).await
    }

    /// The same as [`ask`](Dns::ask), with the signatures if they are wanted.
    pub(super) async fn ask_now(
        &self,
        name: &DnsName,
        kind: RecordType,
        signed: bool,
    ) -> Result<Answer, DnsError> {
        let search = async {
            // RFC 4035 §3.1.4.1: the zone above has the DS records.
            let above = name.parent().filter(|_| kind == RecordType::DS);
            let zone = self.enclosing_zone(above.as_ref().unwrap_or(name)).await?;
            self.ask_from(zone, name, kind, signed).await
        };
        self.in_time(name, Box::pin(search)).await
    }

    async fn ask_from(
        &self,
        mut zone: Arc<Zone>,
        name: &DnsName,
        kind: RecordType,
        signed: bool,
    ) -> Result<Answer, DnsError> {
        for _ in 0..REFERRALS_MAX {
            match self.ask_zone(&zone, name, kind, signed).await? {
                Reply::Answer(answer) => return Ok(answer),
                Reply::Referral(referral) => zone = self.descend(referral).await,
            }
        }
        Err(DnsError::TooDeep {
            name: name.clone(),
            limit: REFERRALS_MAX,
        })
    }

    /// Asks the servers of `zone` until one gives an authoritative answer or refers to a zone below.
    async fn ask_zone(
        &self,
        zone: &Zone,
        name: &DnsName,
        kind: RecordType,
        signed: bool,
    ) -> Result<Reply, DnsError> {
        let servers = zone.servers.iter();
        let servers = self
            .unresponsive
            .last(servers, |server| server.addresses.first().copied());
        let attempts = servers.into_iter().map(|server| async move {
            // In a box that is made when the attempt begins.
            let asked = Box::pin(self.ask_addresses(server, name, kind, signed));
            match asked.await {
                Ok(answer) if answer.is_authoritative() => Ok(Reply::Answer(answer)),
                Ok(answer) => match answer.referral(&zone.apex) {
                    Some(referral) => Ok(Reply::Referral(referral)),
                    None => Err(format!("{server} answered {answer}")),
                },
                Err(error) => Err(format!("{server}: {error}")),
            }
        });
        let reply = race(attempts.collect(), self.head_start(), SILENT_SERVERS_MAX).await;
        reply.map_err(|attempts| DnsError::Unanswered {
            name: name.clone(),
            zone: zone.apex.clone(),
            attempts: if attempts.is_empty() {
                "it has no servers".to_owned()
            } else {
                few(&attempts, "; ")
            },
        })
    }

    /// Asks one server now, at all its addresses: the next one is asked as well if one does not answer at once.
    /// The answer is never cached.
    pub async fn ask_server(
        &self,
        server: &Server,
        name: &DnsName,
        kind: RecordType,
    ) -> Result<Answer, ServerError> {
        self.ask_addresses(server, name, kind, false).await
    }

    async fn ask_addresses(
        &self,
        server: &Server,
        name: &DnsName,
        kind: RecordType,
        signed: bool,
    ) -> Result<Answer, ServerError> {
        let owner = wire_name(name).map_err(ServerError::UnusableName)?;
        let found;
        let mut refused = server.refused;
        let addresses = match (server.addresses.as_slice(), &server.name) {
            // The lookup may have failed when the server was found.
            ([], Some(name)) if server.refused.is_none() => {
                let lookup = self.addresses(name).await;
                found = lookup.map_err(|error| ServerError::Lookup(Box::new(error)))?;
                refused = found.value.refused;
                found.value.usable.as_slice()
            }
            (known, _) => known,
        };
        let Ok(count) = u32::try_from(addresses.len()) else {
            return Err(ServerError::NoAddress);
        };
        if count == 0 {
            return Err(match refused {
                Some((address, kind)) => ServerError::RefusedAddress { address, kind },
                None => ServerError::NoAddress,
            });
        }
        let addresses = self.unresponsive.last(addresses, |address| Some(*address));
        let deadline = Instant::now() + self.config.timeout;
        let head_start = self.head_start().min(self.config.timeout / count);
        let owner = &owner;
        let attempts = addresses.into_iter().map(|address| async move {
            let question = Question {
                name: owner,
                kind,
                recursive: false,
                signed,
            };
            let message = self.ask_address(*address, question, head_start, deadline);
            match message.await {
                Ok(message) => Ok(Answer::new(*address, name.clone(), kind, message)),
                Err(reason) => Err((*address, reason)),
            }
        });
        let answer = race(attempts.collect(), head_start, SILENT_ADDRESSES_MAX).await;
        answer.map_err(ServerError::NoAnswer)
    }

    /// Asks at one address, and notes whether it answers within its head start.
    pub(super) async fn ask_address(
        &self,
        address: SocketAddr,
        question: Question<'_>,
        head_start: Duration,
        deadline: Instant,
    ) -> Result<Arc<Message>, String> {
        let Some(budget) = Budget::current() else {
            let asked = self.ask_in_turn(address, question, head_start, deadline, None);
            return asked.await;
        };
        let asked = self.ask_in_turn(address, question, head_start, deadline, Some(&budget));
        budget.ask_once(&question.at(address), asked).await
    }

    /// In its box the type of the future is small, as the compiler wants it.
    fn ask_in_turn<'a>(
        &'a self,
        address: SocketAddr,
        question: Question<'a>,
        head_start: Duration,
        deadline: Instant,
        budget: Option<&'a Budget>,
    ) -> BoxFuture<'a, Result<Arc<Message>, String>> {
        Box::pin(async move {
            let begun = Instant::now();
            let turns = async {
                let turn = match budget {
                    Some(budget) => budget.turn().await,
                    None => None,
                };
                let usage = budget.map(|budget| Arc::clone(&budget.usage));
                (turn, sockets::permit(usage).await)
            };
            let _turns = waits::counted(turns).await;
            // Time in which nothing was sent is not the server's.
            let deadline = deadline + begun.elapsed();
            let limit = self.config.timeout;
            let mut answer = Box::pin(query::send(
                address,
                question,
                deadline,
                limit,
                &self.counter,
                budget,
            ));
            let answer = match timeout(head_start, &mut answer).await {
                Ok(answer) => answer,
                Err(_) => {
                    self.unresponsive.add(address);
                    if let Some(budget) = budget {
                        budget.charge_again(u32::from(query::SENT_MAX) - 1);
                    }
                    answer.await
                }
            };
            match &answer {
                Ok(_) => self.unresponsive.remove(address),
                Err(_) => self.unresponsive.add(address),
            }
            answer.map(Arc::new)
        })
    }
}
