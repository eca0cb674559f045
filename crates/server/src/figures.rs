//! What is counted of requests: how many, of which operation, with which outcome, how long, how much.
//!
//! Labels are few and known beforehand: an operation that a requester invents counts as `other`, and no key, bucket or
//! person is a label. A request costs some half a dozen additions; only a refusal's code takes a lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use wigeon_core::s3::operation::Operation;
use wigeon_core::sts::FaultCode;

use crate::iam::IamService;
use crate::meter::{TIME_CELLS, Table, Times};
use crate::service::Service;
use crate::sts::StsService;

/// An operation that is counted by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row(u16);

/// How a request came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, or need not be.
    Ok,
    /// Nobody who may.
    Denied,
    /// It cannot be done as it was asked (400 to 499).
    Refused,
    /// The server, or a store behind it, failed (500 to 599).
    Failed,
    /// The peer went, or the content failed, before the answer's end.
    Cut,
}

impl Outcome {
    const ALL: [Self; 5] = [Self::Ok, Self::Denied, Self::Refused, Self::Failed, Self::Cut];

    /// As a label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cut => "cut",
        }
    }
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// It is served.
    Opened,
    /// It is no more.
    Closed,
}

/// What is counted when a request has ended.
#[derive(Debug, Clone, Copy)]
pub struct Done<'a> {
    /// Its operation.
    pub row: Row,
    /// How it came out.
    pub outcome: Outcome,
    /// The code of a refusal.
    pub code: Option<&'a str>,
    /// Until the head of the answer, in microseconds.
    pub micros: u64,
    /// Until its last byte.
    pub total_micros: u64,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's.
    pub bytes_out: u64,
}

/// Cells of one operation: its outcomes, and the times until the head of its answers.
const OPERATION_CELLS: usize = Outcome::ALL.len() + TIME_CELLS;

/// Cells of one service: begun, ended, bytes in, bytes out, and the times until the last byte.
const SERVICE_CELLS: usize = 4 + TIME_CELLS;

/// The operation under which S3 counts the questions of browsers.
const PREFLIGHT: &str = "PreflightRequest";

/// Stands for what has no name here.
const OTHER: &str = "other";

/// The most codes of refusals: those of stores elsewhere are theirs to choose.
const MOST_CODES: usize = 200;

/// What was counted of one operation.
#[derive(Debug, Clone, Copy)]
pub struct OfOperation {
    /// Whose.
    pub service: Service,
    /// Its name.
    pub operation: &'static str,
    /// How many came out how.
    pub outcomes: [(Outcome, u64); Outcome::ALL.len()],
    /// The times until the head of the answer.
    pub times: Times,
}

/// What was counted of a service.
#[derive(Debug, Clone, Copy)]
pub struct OfService {
    /// Which.
    pub service: Service,
    /// Requests under way.
    pub under_way: u64,
    /// Bytes of requests' bodies.
    pub bytes_in: u64,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
    /// The times until the last byte.
    pub times: Times,
}

/// All that is counted of requests.
#[derive(Debug)]
pub struct Figures {
    names: Vec<(Service, &'static str)>,
    rows: [HashMap<&'static str, Row>; Service::ALL.len()],
    others: [Row; Service::ALL.len()],
    operations: Table,
    services: Table,
    exchanges: Table,
    connections: Table,
    codes: Mutex<BTreeMap<(Service, String), u64>>,
}

impl Default for Figures {
    fn default() -> Self {
        let of_s3 = Operation::ALL.iter().map(|operation| operation.name()).chain([PREFLIGHT]);
        let all = [
            of_s3.collect::<Vec<_>>(),
            StsService::ACTIONS.to_vec(),
            IamService::actions().collect::<Vec<_>>(),
        ];
        // The operations of S3 come first, each at the place that its number says.
        let (mut names, mut rows) = (Vec::new(), [(); Service::ALL.len()].map(|()| HashMap::new()));
        let mut others = [Row(u16::MAX); Service::ALL.len()];
        let places = rows.iter_mut().zip(&mut others);
        for ((service, operations), (rows, other)) in Service::ALL.into_iter().zip(all).zip(places) {
            for name in operations.into_iter().chain([OTHER]) {
                *other = Row(u16::try_from(names.len()).unwrap_or(u16::MAX));
                rows.insert(name, *other);
                names.push((service, name));
            }
        }
        Self {
            others,
            operations: Table::new(names.len() * OPERATION_CELLS),
            services: Table::new(Service::ALL.len() * SERVICE_CELLS),
            exchanges: Table::new(StsService::EXCHANGES.len() * (FaultCode::ALL.len() + 1)),
            connections: Table::new(2),
            codes: Mutex::default(),
            names,
            rows,
        }
    }
}

impl Figures {
    /// A connection has begun, or ended.
    pub fn connection(&self, connection: Connection) {
        self.connections.add(connection as usize, 1);
    }

    /// How many connections there were, and how many there are.
    #[must_use]
    pub fn connections(&self) -> (u64, u64) {
        let closed = self.connections.sum(Connection::Closed as usize);
        let opened = self.connections.sum(Connection::Opened as usize);
        (opened, opened.saturating_sub(closed))
    }

    /// A request of this service has begun.
    pub fn begun(&self, service: Service) {
        self.services.add(service as usize * SERVICE_CELLS, 1);
    }

    /// Where an operation of S3 is counted.
    #[must_use]
    pub fn of_s3(operation: Operation) -> Row {
        Row(operation as u16)
    }

    /// Where an operation is counted, by the name that a requester gave.
    #[must_use]
    pub fn named(&self, service: Service, name: &str) -> Row {
        let rows = self.rows.get(service as usize);
        rows.and_then(|rows| rows.get(name)).copied().unwrap_or(self.other(service))
    }

    /// Where a request is counted whose operation is not known.
    #[must_use]
    pub fn other(&self, service: Service) -> Row {
        self.others.get(service as usize).copied().unwrap_or(Row(u16::MAX))
    }

    /// A request has ended.
    pub fn done(&self, done: &Done<'_>) {
        let row = usize::from(done.row.0);
        let Some((service, name)) = self.names.get(row).copied() else { return };
        let first = row * OPERATION_CELLS;
        self.operations.add(first + done.outcome as usize, 1);
        self.operations.time(first + Outcome::ALL.len(), done.micros);
        let first = service as usize * SERVICE_CELLS;
        self.services.add(first + 1, 1);
        if done.bytes_in > 0 {
            self.services.add(first + 2, done.bytes_in);
        }
        if done.bytes_out > 0 {
            self.services.add(first + 3, done.bytes_out);
        }
        self.services.time(first + 4, done.total_micros);
        if service == Service::Sts {
            self.exchanged(name, done);
        }
        if let Some(code) = done.code {
            self.refused(service, code);
        }
    }

    fn exchanged(&self, name: &str, done: &Done<'_>) {
        let Some(exchange) = StsService::EXCHANGES.iter().position(|known| *known == name) else { return };
        let code = done.code.and_then(|code| code.parse::<FaultCode>().ok());
        let cell = match code {
            Some(code) => 1 + code as usize,
            None if done.outcome == Outcome::Ok => 0,
            None => return,
        };
        self.exchanges.add(exchange * (FaultCode::ALL.len() + 1) + cell, 1);
    }

    fn refused(&self, service: Service, code: &str) {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = codes.len() < MOST_CODES || codes.contains_key(&(service, code.to_owned()));
        let code = if known && code.len() <= 64 { code } else { OTHER };
        *codes.entry((service, code.to_owned())).or_default() += 1;
    }

    /// Of each operation that was ever asked for.
    pub fn operations(&self) -> impl Iterator<Item = OfOperation> {
        let all = self.names.iter().enumerate().map(|(row, (service, operation))| {
            let first = row * OPERATION_CELLS;
            let outcomes =
                Outcome::ALL.map(|outcome| (outcome, self.operations.sum(first + outcome as usize)));
            let times = self.operations.times(first + Outcome::ALL.len());
            OfOperation { service: *service, operation, outcomes, times }
        });
        all.filter(|of| of.outcomes.iter().any(|(_, count)| *count > 0))
    }

    /// Of each service.
    pub fn services(&self) -> impl Iterator<Item = OfService> {
        Service::ALL.into_iter().map(|service| {
            let first = service as usize * SERVICE_CELLS;
            // Read before the beginnings, so that no more seem to have ended than have begun.
            let ended = self.services.sum(first + 1);
            OfService {
                service,
                under_way: self.services.sum(first).saturating_sub(ended),
                bytes_in: self.services.sum(first + 2),
                bytes_out: self.services.sum(first + 3),
                times: self.services.times(first + 4),
            }
        })
    }

    /// Exchanges: the operation, the code (`ok` where there is none), how many.
    pub fn exchanges(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        StsService::EXCHANGES.iter().enumerate().flat_map(move |(exchange, name)| {
            let codes =
                [Outcome::Ok.name()].into_iter().chain(FaultCode::ALL.iter().map(|code| code.as_str()));
            let first = exchange * (FaultCode::ALL.len() + 1);
            codes.enumerate().map(move |(cell, code)| (*name, code, self.exchanges.sum(first + cell)))
        })
    }

    /// Refusals and failures, by their code.
    #[must_use]
    pub fn codes(&self) -> BTreeMap<(Service, String), u64> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(row: Row, outcome: Outcome, code: Option<&str>) -> Done<'_> {
        Done { row, outcome, code, micros: 90, total_micros: 300, bytes_in: 1, bytes_out: 20 }
    }

    #[test]
    fn each_operation_counts_under_its_own_name() {
        let figures = Figures::default();
        for operation in Operation::ALL {
            assert_eq!(figures.named(Service::S3, operation.name()), Figures::of_s3(*operation));
        }
        figures.begun(Service::S3);
        figures.done(&done(Figures::of_s3(Operation::GetObject), Outcome::Ok, None));
        figures.done(&done(figures.named(Service::Iam, "GetRole"), Outcome::Denied, Some("AccessDenied")));
        let all: Vec<_> =
            figures.operations().map(|of| (of.service, of.operation, of.times.count())).collect();
        assert_eq!(all, [(Service::S3, "GetObject", 1), (Service::Iam, "GetRole", 1)]);
        let s3 = figures.services().next().unwrap();
        assert_eq!((s3.under_way, s3.bytes_in, s3.bytes_out, s3.times.ranges[2]), (0, 1, 20, 1));
        assert_eq!(figures.codes(), [((Service::Iam, "AccessDenied".to_owned()), 1)].into());
    }

    #[test]
    fn what_a_stranger_invents_makes_no_label() {
        let figures = Figures::default();
        let row = figures.named(Service::Sts, "Bogus");
        for number in 0..1000 {
            figures.done(&done(row, Outcome::Refused, Some(&format!("Code{number}"))));
        }
        assert!(figures.operations().all(|of| of.operation == OTHER));
        let codes = figures.codes();
        assert_eq!(
            (codes.len(), codes[&(Service::Sts, OTHER.to_owned())]),
            (MOST_CODES + 1, 1000 - MOST_CODES as u64)
        );
    }

    #[test]
    fn exchanges_are_told_apart_by_their_code() {
        let figures = Figures::default();
        let row = figures.named(Service::Sts, "AssumeRoleWithWebIdentity");
        figures.done(&done(row, Outcome::Ok, None));
        figures.done(&done(row, Outcome::Refused, Some("InvalidIdentityToken")));
        figures.done(&done(figures.named(Service::Sts, "GetCallerIdentity"), Outcome::Ok, None));
        let seen: Vec<_> =
            figures.exchanges().filter(|(_, _, count)| *count > 0).map(|(_, code, _)| code).collect();
        assert_eq!(seen, ["ok", "InvalidIdentityToken"]);
    }
}
