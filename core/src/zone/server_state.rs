//! What one server answered so far, while it is asked for a set of values.

use std::collections::BTreeMap;

use crate::dns::{Lagging, Server};
use crate::name::DnsName;

/// A server that answers none of so many rounds of queries is silent.
const SILENT_AFTER: usize = 3;

/// What a server said about one name.
pub(super) enum NameAnswer {
    /// It has all values.
    Complete,
    /// It answers, but lacks a value, or is not authoritative.
    Incomplete(String),
    /// It does not answer, or not for this zone.
    None(String),
}

/// The names that a server does not have all values of, and how it has answered.
pub(super) struct ServerState<'a> {
    server: &'a Server,
    missing: BTreeMap<&'a DnsName, Missing>,
    has_answered: bool,
    tries: usize,
    is_named: bool,
}

/// A name of which the server has not shown all values for good.
#[derive(Default)]
struct Missing {
    /// The last answer, in words.
    answer: Option<String>,
    /// It has answered without all values. From then on it must answer with all of them twice in a row:
    /// several machines may answer at one address, and not all of them have the values.
    was_incomplete: bool,
    /// The last answer had all values.
    is_complete: bool,
}

impl<'a> ServerState<'a> {
    pub(super) fn new(server: &'a Server, names: impl Iterator<Item = &'a DnsName>) -> Self {
        ServerState {
            server,
            missing: names.map(|name| (name, Missing::default())).collect(),
            has_answered: false,
            tries: 0,
            is_named: false,
        }
    }

    pub(super) fn server(&self) -> &'a Server {
        self.server
    }

    /// The names to ask for: one is enough to learn whether the server answers at all.
    pub(super) fn next(&self) -> Vec<&'a DnsName> {
        let all = if self.tries > 0 && !self.has_answered {
            1
        } else {
            usize::MAX
        };
        self.missing.keys().take(all).copied().collect()
    }

    /// Adds the answers of one round of queries.
    pub(super) fn add(&mut self, answers: Vec<(&'a DnsName, Option<NameAnswer>)>) {
        self.tries += 1;
        for (name, answer) in answers {
            let Some(missing) = self.missing.get_mut(name) else {
                continue;
            };
            match answer {
                Some(NameAnswer::Complete) if missing.was_incomplete && !missing.is_complete => {
                    missing.is_complete = true;
                }
                Some(NameAnswer::Complete) => {
                    self.missing.remove(name);
                    self.has_answered = true;
                }
                Some(NameAnswer::Incomplete(words)) => {
                    missing.answer = Some(if missing.is_complete {
                        format!("new and old data in turns, the last time {words}")
                    } else {
                        words
                    });
                    (missing.was_incomplete, missing.is_complete) = (true, false);
                    self.has_answered = true;
                }
                Some(NameAnswer::None(words)) => missing.answer = Some(words),
                None => {}
            }
        }
    }

    /// Whether the server has everything.
    pub(super) fn is_done(&self) -> bool {
        self.missing.is_empty()
    }

    /// Whether the server has answered for its zone.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Whether it has not, in several tries.
    pub(super) fn is_silent(&self) -> bool {
        !self.has_answered && self.tries >= SILENT_AFTER
    }

    /// Whether a second answer is all that is missing.
    pub(super) fn is_confirming(&self) -> bool {
        self.missing.values().any(|missing| missing.is_complete)
    }

    /// What is missing, by name.
    pub(super) fn lagging(&self) -> impl Iterator<Item = Lagging> {
        self.missing.iter().map(|(name, missing)| Lagging {
            server: self.server.clone(),
            name: (*name).clone(),
            answer: match &missing.answer {
                Some(answer) => answer.clone(),
                None if self.tries > 0 => "no answer".to_owned(),
                None => "no answer yet".to_owned(),
            },
        })
    }

    /// The first of what is missing, the first time.
    pub(super) fn unnamed(&mut self) -> Option<Lagging> {
        let is_first = !std::mem::replace(&mut self.is_named, true);
        self.lagging().next().filter(|_| is_first)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::NameAnswer::Complete;
    use super::*;

    fn incomplete() -> NameAnswer {
        NameAnswer::Incomplete("older TXT records".to_owned())
    }

    fn none() -> NameAnswer {
        NameAnswer::None("REFUSED".to_owned())
    }

    /// What has become of a server that answers about one name like this, round after round.
    fn after(answers: impl IntoIterator<Item = NameAnswer>) -> String {
        let server = Server {
            addresses: vec![SocketAddr::from(([192, 0, 2, 53], 53))],
            ..Server::default()
        };
        let name = "a.example".parse().unwrap();
        let mut state = ServerState::new(&server, std::iter::once(&name));
        for answer in answers {
            state.add(vec![(&name, Some(answer))]);
        }
        match state.lagging().next() {
            None => "done".to_owned(),
            Some(_) if state.is_silent() => "silent".to_owned(),
            Some(_) if state.is_confirming() => "confirming".to_owned(),
            Some(lagging) => lagging.answer,
        }
    }

    #[test]
    fn a_server_that_is_complete_at_once_is_done() {
        assert_eq!(after([Complete]), "done");
        assert_eq!(after([none(), Complete]), "done");
    }

    #[test]
    fn a_server_that_was_incomplete_must_be_complete_twice_in_a_row() {
        assert_eq!(after([incomplete(), Complete]), "confirming");
        assert_eq!(after([incomplete(), Complete, Complete]), "done");
        assert_eq!(
            after([incomplete(), Complete, incomplete()]),
            "new and old data in turns, the last time older TXT records"
        );
    }

    #[test]
    fn a_server_is_silent_that_has_never_answered_in_several_tries() {
        assert_eq!(after([none(), none()]), "REFUSED");
        assert_eq!(after([none(), none(), none()]), "silent");
        assert_eq!(after([incomplete(), none(), none(), none()]), "REFUSED");
    }

    #[test]
    fn one_name_is_enough_to_ask_a_server_that_has_not_answered() {
        let server = Server::default();
        let names = ["a.example", "b.example"].map(|name| name.parse().unwrap());
        let mut state = ServerState::new(&server, names.iter());
        assert_eq!(state.next().len(), 2);
        state.add(vec![(&names[0], Some(none())), (&names[1], Some(none()))]);
        assert_eq!(state.next().len(), 1);
        state.add(vec![(&names[0], Some(incomplete()))]);
        assert_eq!(state.next().len(), 2);
    }
}
