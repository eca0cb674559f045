//! Requests, exchanges, refusals and records.

use super::page::Page;
use crate::figures::Figures;
use crate::limits::Limits;
use crate::outbox::Outbox;
use crate::recording::Observers;
use crate::trace::Tracer;

/// Adds what was counted of requests.
pub(super) fn add(page: &mut Page, figures: &Figures) {
    let mut requests =
        page.counter("wigeon_requests_total", "Requests that have ended, by what came of them.");
    for of in figures.operations() {
        for (outcome, count) in of.outcomes.into_iter().filter(|(_, count)| *count > 0) {
            let labels =
                [("service", of.service.name()), ("operation", of.operation), ("outcome", outcome.name())];
            requests.value(&labels, count);
        }
    }
    let mut times = page.histogram("wigeon_response_seconds", "Time until the head of the answer was ready.");
    for of in figures.operations() {
        times.times(&[("service", of.service.name()), ("operation", of.operation)], &of.times);
    }
    let mut times =
        page.histogram("wigeon_request_seconds", "Time until the last byte of the answer was handed on.");
    for of in figures.services() {
        times.times(&[("service", of.service.name())], &of.times);
    }
    let mut under_way = page.gauge("wigeon_requests_under_way", "Requests that have begun and not ended.");
    for of in figures.services() {
        under_way.value(&[("service", of.service.name())], of.under_way);
    }
    let mut received = page.counter("wigeon_received_bytes_total", "Bytes of requests' bodies.");
    for of in figures.services() {
        received.value(&[("service", of.service.name())], of.bytes_in);
    }
    let mut sent = page.counter("wigeon_sent_bytes_total", "Bytes of answers' bodies.");
    for of in figures.services() {
        sent.value(&[("service", of.service.name())], of.bytes_out);
    }
    let (opened, open) = figures.connections();
    page.counter("wigeon_connections_total", "Connections that were accepted.").value(&[], opened);
    page.gauge("wigeon_connections", "Connections that are open.").value(&[], open);
    let mut codes = page.counter("wigeon_errors_total", "Refusals and failures, by the code of the answer.");
    for ((service, code), count) in figures.codes() {
        codes.value(&[("service", service.name()), ("code", &code)], count);
    }
    let mut exchanges =
        page.counter("wigeon_exchanges_total", "Requests for credentials, by the code of the answer.");
    for (operation, code, count) in figures.exchanges() {
        if count > 0 || code == "ok" {
            exchanges.value(&[("operation", operation), ("code", code)], count);
        }
    }
}

/// Adds how often limits were met.
pub(super) fn add_limits(page: &mut Page, limits: &Limits) {
    let mut hits = page
        .counter("wigeon_limit_hits_total", "Requests, connections and pieces of bodies that met a limit.");
    for (limit, count) in limits.hits() {
        hits.value(&[("limit", limit.name())], count);
    }
}

/// Adds what became of audit records, and of spans where they go anywhere.
pub(super) fn add_records(page: &mut Page, observers: &Observers) {
    let audit = &observers.audit;
    page.counter("wigeon_audit_unwritten_total", "Audit records that the audit file did not take.")
        .value(&[], audit.unwritten());
    let spans = observers.tracer.as_ref().map(Tracer::outbox);
    let outboxes = [("audit", audit.collector()), ("spans", spans)];
    let outboxes: Vec<(&str, &Outbox)> =
        outboxes.into_iter().filter_map(|(what, outbox)| Some((what, outbox?))).collect();
    let mut records =
        page.counter("wigeon_collector_records_total", "Records for collectors, by what became of them.");
    for (what, outbox) in &outboxes {
        records.value(&[("records", what), ("outcome", "sent")], outbox.tally().sent());
        records.value(&[("records", what), ("outcome", "dropped")], outbox.tally().dropped());
    }
    let mut waiting = page.gauge("wigeon_collector_waiting", "Records that wait for their collector.");
    for (what, outbox) in &outboxes {
        waiting.value(&[("records", what)], outbox.waiting());
    }
}
