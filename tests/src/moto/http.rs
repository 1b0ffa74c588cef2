//! Requests to moto or to the gate before it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::error::{Context, Result};

/// Sends a request; returns the status and the body of the answer.
pub(super) fn request(
    server: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(server).context("moto")?;
    // The credential's scope tells moto which service is meant.
    let service = match body {
        _ if path != "/" => "route53",
        identity if identity.contains("Action=GetCallerIdentity") => "sts",
        _ => "iam",
    };
    let kind = if path == "/" {
        "application/x-www-form-urlencoded"
    } else {
        "text/xml"
    };
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {service}.amazonaws.com\r\nContent-Type: {kind}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    Ok((status.parse().context("moto's status")?, body.to_owned()))
}
