//! The settings of `run`.

use super::key::{Key, Shape, key};

pub(super) const RUN: &[Key] = &[
    key(
        "listen",
        Shape::Text,
        "where `run` serves the status page, metrics and its health by HTTP: a loopback address with a port, such as \
         `127.0.0.1:9105`, or `unix:` and the path of a socket (mode 660)",
    )
    .or("nowhere"),
    key(
        "allow-remote",
        Shape::Truth,
        "let `listen` be an address that other machines reach; HTTP has neither encryption nor passwords",
    )
    .or("`false`"),
    key(
        "hosts",
        Shape::Texts,
        "names under which clients reach the address, beside `localhost` and IP addresses",
    ),
    key(
        "per-certificate-metrics",
        Shape::Number,
        "how many certificates have metrics of their own; if there are more, those with problems and those that end \
         first",
    )
    .or("`1000`"),
];
