//! A browser for scripts: `BROWSER=…/browse wigeon login`. Signs in at the address that it is given as the person of
//! `WIGEON_TEST_LOGIN` (by default `alice`), whose password is `WIGEON_TEST_PASSWORD` or the login with `-password`.

use std::process::ExitCode;

use wigeon_testkit::browser::{Person, sign_in};

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "a program for scripts")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let variable = |name| std::env::var(name).ok();
    let mut person = Person::named(&variable("WIGEON_TEST_LOGIN").unwrap_or_else(|| "alice".to_owned()));
    person.password = variable("WIGEON_TEST_PASSWORD").unwrap_or(person.password);
    let Some(address) = std::env::args().nth(1).and_then(|address| address.parse().ok()) else {
        eprintln!("usage: browse ADDRESS");
        return ExitCode::from(2);
    };
    match sign_in(&address, &person).await {
        Ok(landed) => {
            println!("{} {}\n{}", landed.status, landed.url, landed.text);
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("browse: {why}");
            ExitCode::FAILURE
        }
    }
}
