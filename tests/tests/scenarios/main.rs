//! End-to-end scenarios: the built program against a real CA and real DNS servers.

mod audit;
mod authority;
mod backend;
mod bed;
mod certificates;
mod clean_up;
mod cloudflare;
mod conformance;
mod crashes;
mod credentials;
mod delegations;
mod failure_matrix;
mod ledger;
mod machine;
mod name_servers;
mod pages;
mod providers;
mod renewals;
mod rfc2136;
mod route53;
mod settings;
mod spoilt_answers;
mod spoilt_ca;
mod spoilt_updates;
mod walk;
