//! Servers for tests in virtual time: a function answers each query.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};

use super::scripted::{Network, Reply, Route, Transport};

/// What is larger goes over TCP.
const UDP_MAX: usize = 1_232;

/// Changes the empty answer of a server to a query. Returns how long it takes; none if the server is silent.
pub(crate) trait Script:
    Fn(SocketAddr, &Query, &mut Message) -> Option<Duration> + Send + Sync + 'static
{
}

impl<T> Script for T where
    T: Fn(SocketAddr, &Query, &mut Message) -> Option<Duration> + Send + Sync + 'static
{
}

/// A network whose servers follow this script.
pub(crate) fn network(script: impl Script) -> Arc<dyn Network> {
    Arc::new(ByScript(script))
}

struct ByScript<T>(T);

impl<T: Script> Network for ByScript<T> {
    fn query_begins(&self, _route: &Route) {}

    fn replies(&self, route: &Route, transport: Transport, query: &[u8]) -> Vec<Reply> {
        let query = Message::from_vec(query).unwrap();
        let asked = &query.queries[0];
        let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        answer.add_query(asked.clone());
        let Some(after) = self.0(route.server, asked, &mut answer) else {
            return Vec::new();
        };
        let octets = answer.to_vec().unwrap();
        let octets = match transport {
            Transport::Udp if octets.len() > UDP_MAX => {
                answer.metadata.truncation = true;
                answer.answers.clear();
                answer.to_vec().unwrap()
            }
            Transport::Udp => octets,
            Transport::Tcp => {
                let length = u16::try_from(octets.len()).unwrap();
                [&length.to_be_bytes()[..], &octets].concat()
            }
        };
        vec![Reply { after, octets }]
    }
}
