//! Queries to one server, plain and blocking.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::error::{Context, Error, Result};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends one query over UDP, in which an answer of more than 512 octets is truncated.
pub(crate) fn ask_over_udp(server: SocketAddr, name: &str, kind: RecordType) -> Result<Message> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.connect(server)?;
    socket.send(&query(name, kind)?.to_vec()?)?;
    let mut octets = [0; 512];
    let length = socket.recv(&mut octets).context(server)?;
    Ok(Message::from_vec(&octets[..length])?)
}

/// Sends one query over TCP.
pub(crate) fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Result<Message> {
    let mut stream = send(server, name, kind)?;
    receive(&mut stream)
}

/// All records of a zone, by AXFR (RFC 5936); the SOA is the first.
fn transfer(server: SocketAddr, zone: &str) -> Result<Vec<Record>> {
    let mut stream = send(server, zone, RecordType::AXFR)?;
    let mut records = Vec::new();
    // The SOA record comes again at the end.
    while soa_count(&records) < 2 {
        let message = receive(&mut stream).context(format_args!("transfer of {zone}"))?;
        if message.metadata.response_code != ResponseCode::NoError {
            return Err(Error::new(format_args!(
                "{server} refuses the transfer of {zone}: {}",
                message.metadata.response_code
            )));
        }
        records.extend(message.answers);
    }
    records.pop();
    Ok(records)
}

/// The TXT records of a zone, by AXFR: owner, without the final dot, and value.
pub(crate) fn txt(server: SocketAddr, zone: &str) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for record in transfer(server, zone)? {
        if let RData::TXT(txt) = &record.data {
            let name = record.name.to_ascii();
            let strings = txt.txt_data.iter();
            let value = strings.map(|part| String::from_utf8_lossy(part)).collect();
            all.push((name.trim_end_matches('.').to_owned(), value));
        }
    }
    Ok(all)
}

/// The serial number that the server has for a zone; `None` where it does not serve the zone.
pub(crate) fn serial(server: SocketAddr, zone: &str) -> Result<Option<u32>> {
    let message = ask(server, zone, RecordType::SOA)?;
    Ok(message
        .answers
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        }))
}

fn soa_count(records: &[Record]) -> usize {
    records
        .iter()
        .filter(|record| record.record_type() == RecordType::SOA)
        .count()
}

/// A query that asks for recursion.
pub(crate) fn query(name: &str, kind: RecordType) -> Result<Message> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    let name = Name::from_ascii(name).context(name)?;
    message.add_query(Query::query(name.append_domain(&Name::root())?, kind));
    Ok(message)
}

fn send(server: SocketAddr, name: &str, kind: RecordType) -> Result<TcpStream> {
    let octets = query(name, kind)?.to_vec()?;
    let mut stream = TcpStream::connect_timeout(&server, TIMEOUT).context(server)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let length = u16::try_from(octets.len())?.to_be_bytes();
    stream.write_all(&[&length, octets.as_slice()].concat())?;
    Ok(stream)
}

fn receive(stream: &mut TcpStream) -> Result<Message> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut octets)?;
    Ok(Message::from_vec(&octets)?)
}
