//! `faults UPSTREAM PER_MILLE SEED`: the proxy of `wigeon_testkit::faults` as a program, for end-to-end tests. Prints
//! its address, and runs until standard input ends.

use std::process::ExitCode;

use tokio::io::AsyncReadExt;
use wigeon_testkit::faults::{FaultProxy, Weather};

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "that is how it talks to whoever started it")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [upstream, per_mille, seed] = words.as_slice() else {
        eprintln!("faults UPSTREAM PER_MILLE SEED");
        return ExitCode::from(2);
    };
    let (Ok(upstream), Ok(per_mille), Ok(seed)) = (upstream.parse(), per_mille.parse(), seed.parse()) else {
        eprintln!("UPSTREAM is 127.0.0.1:PORT; the others are numbers");
        return ExitCode::from(2);
    };
    let proxy = match FaultProxy::start(upstream, Weather::storm(per_mille), seed).await {
        Ok(proxy) => proxy,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", proxy.address);
    let mut rest = Vec::new();
    let _ = tokio::io::stdin().read_to_end(&mut rest).await;
    println!("{} faults", proxy.faults());
    ExitCode::SUCCESS
}
