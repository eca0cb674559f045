//! What it costs a request to be counted and held to limits: `cargo run --release -p wigeon-server --example watching_cost`.
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

use http::HeaderMap;
use wigeon_core::s3::operation::Operation;
use wigeon_core::time::Timestamp;
use wigeon_server::figures::{Done, Figures, Outcome};
use wigeon_server::limits::{Allowances, Limits, Rate};
use wigeon_server::outbox::{Destination, Outbox};
use wigeon_server::request_id::RequestId;
use wigeon_server::service::Service;
use wigeon_server::trace::{Tracer, framing};

const ROUNDS: u32 = 5_000_000;

/// Nanoseconds of one, on so many threads at once; the best of three.
fn nanoseconds(threads: usize, one: impl Fn(u64) + Sync) -> f64 {
    let run = || {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| (0..ROUNDS).for_each(|round| one(u64::from(round))));
            }
        });
        began.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
    };
    (0..3).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn main() {
    let figures = Figures::default();
    let count = |round: u64| {
        figures.begun(Service::S3);
        figures.done(black_box(&Done {
            row: Figures::of_s3(Operation::GetObject),
            outcome: Outcome::Ok,
            code: None,
            micros: round % 4096,
            total_micros: round % 8192,
            bytes_in: 0,
            bytes_out: 4096,
        }));
    };
    let unlimited = Limits::new(Allowances::default());
    let rate = Some(Rate { per_second: u32::MAX, burst: u32::MAX });
    let limited =
        Limits::new(Allowances { address_rate: rate, identity_rate: rate, ..Allowances::default() });
    let peer = IpAddr::from([192, 0, 2, 1]);
    let (outbox, _) = Outbox::open(Destination {
        what: "spans",
        url: "http://127.0.0.1:9/".parse().expect("an address"),
        framing: framing("wigeon"),
        token_file: None,
        ca_file: None,
        queue: 1,
        batch: 1,
        linger: std::time::Duration::from_secs(1),
    })
    .expect("an outbox");
    let (tracer, headers, at) = (Tracer::new(outbox, 0.0, true), HeaderMap::new(), Timestamp::now());
    for threads in [1, 2] {
        println!("{threads} threads: {:5.1} ns to count a request", nanoseconds(threads, count));
        let arrive = |_| drop(black_box(unlimited.arrive(peer)));
        println!("{threads} threads: {:5.1} ns to let it in without rates", nanoseconds(threads, arrive));
        let hold = |_| {
            drop(black_box(limited.arrive(peer)));
            let _ = black_box(limited.identify("https://idp.example alice"));
        };
        println!("{threads} threads: {:5.1} ns to hold it to two rates", nanoseconds(threads, hold));
        let trace = |_| drop(black_box(tracer.begin(&headers, RequestId::of(0x0011_2233_4455_6677), at)));
        println!("{threads} threads: {:5.1} ns to leave it out of the sample", nanoseconds(threads, trace));
    }
}
