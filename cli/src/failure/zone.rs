//! An alias zone that could not be changed.

use acme_alias_core::txt::Action;
use acme_alias_core::zone::{
    LagCause, Lagging, OpenError, PropagationError, WriteError, ZoneError, ZoneFailure,
};

use super::ledger::remedy as ledger_remedy;
use super::model::{Failure, Part};
use crate::settings::SettingsError;

/// The failure of a change in a zone.
pub(crate) fn of_zone(error: &ZoneError) -> Failure {
    let part = match error {
        ZoneError::Open { source, .. } => return source.clone().into(),
        ZoneError::Write {
            source: WriteError::Ledger(_),
            ..
        } => Part::Store,
        _ => Part::Dns,
    };
    Failure::new(part, error, zone_remedy(error))
}

/// A change that failed beside another failure, with what to do about it.
pub(crate) fn zone_in_words(error: &ZoneError) -> String {
    match zone_remedy(error) {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}

fn zone_remedy(error: &ZoneError) -> Option<String> {
    Some(match error {
        ZoneError::NoZone { .. } => {
            "add an `[[alias-zones]]` entry for the zone that contains it".to_owned()
        }
        ZoneError::Read { source, .. } => source.remedy.clone(),
        ZoneError::ServedElsewhere {
            zone, at_backend, ..
        } => format!(
            "delegate {zone} to {at_backend} by NS records in the zone above; or, if its name servers get the zone \
             from there by zone transfers, list them under `[[alias-zones]]` as `servers = [\"…\"]`"
        ),
        ZoneError::Write { source, .. } => write_remedy(source)?,
        ZoneError::Propagation { source, .. }
            if source.lagging.iter().any(Lagging::is_intercepted) =>
        {
            "this network probably intercepts port 53: let queries to these servers pass, or name resolvers to \
             ask in their place as `dns.propagation-resolvers`"
                .to_owned()
        }
        ZoneError::Propagation {
            source:
                PropagationError {
                    cause: Some(cause), ..
                },
            ..
        } => match cause {
            LagCause::View => {
                "let the key and everybody else see the same zone: in BIND, put the zone into one view and name it in \
                 the other as `in-view`"
            }
            LagCause::SameSerial(_) => {
                "let the server raise the serial with every change: in PowerDNS, set `SOA-EDIT-DNSUPDATE` of the zone \
                 to `INCREASE`, and `SOA-EDIT-API` to `DEFAULT`"
            }
        }
        .to_owned(),
        ZoneError::Propagation { .. } => {
            "check the zone transfer to this server (NOTIFY, `allow-transfer`, its log); \
             `dns.propagation-timeout` allows more time, and `servers` of the alias zone lists the \
             servers to wait for"
                .to_owned()
        }
        ZoneError::Servers { zone, .. } => format!(
            "check the delegation of {zone}, or list its servers under `[[alias-zones]]` as `servers = \
             [\"…\"]`"
        ),
        _ => return None,
    })
}

pub(crate) fn write_remedy(error: &WriteError) -> Option<String> {
    Some(match error {
        WriteError::Provider(error) | WriteError::Refused { source: error, .. } => {
            error.remedy.clone()
        }
        WriteError::Ledger(error) => ledger_remedy(error),
        WriteError::NotCarriedOut {
            action: Action::Add,
            name,
            ..
        } => format!(
            "servers drop TXT records silently if a CNAME exists at {name}, or if the key's policy limits \
             the number of records, such as `TXT(2)`: check both; if the server is a secondary that forwards updates, \
             name the primary instead"
        ),
        WriteError::NotCarriedOut { name, .. } => {
            format!("check whether another program writes at {name}, and remove the value by hand")
        }
        WriteError::Ended => "this is a defect of the program; please report it".to_owned(),
        _ => return None,
    })
}

impl From<ZoneError> for Failure {
    fn from(error: ZoneError) -> Self {
        of_zone(&error)
    }
}

impl From<ZoneFailure> for Failure {
    fn from(failure: ZoneFailure) -> Self {
        of_zone(&failure.source)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error.source.downcast_ref::<SettingsError>() {
            Some(settings) => settings.clone().into(),
            None => Failure::new(Part::Settings, &error, None),
        }
    }
}
