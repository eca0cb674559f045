//! `wigeon presign`: an address that works without signing in, and until when it really does.

use clap::ValueEnum;
use serde_json::json;
use wigeon_client::s3::PresignMethod;
use wigeon_core::time::SignedDuration;
use wigeon_core::time::iso8601;

use super::objects::address::StorePlace;
use super::objects::store;
use crate::context::Context;
use crate::errors::Failure;
use crate::wording::duration;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon presign s3://team/report.pdf --expires 12h
  curl -T report.pdf \"$(wigeon presign --method put s3://team/report.pdf)\"")]
pub(crate) struct Args {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// What the address is for
    #[arg(long, value_enum, default_value_t = Method::Get, ignore_case = true)]
    method: Method,

    /// How long it is to work: 3600, 15m, 12h; at most 168h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
    expires: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Method {
    /// To download
    Get,
    /// To upload
    Put,
}

/// Runs the command. The address goes to standard output, its end to standard error.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let (client, object) = (store::open(context, &place)?, place.object()?);
    let method = match args.method {
        Method::Get => PresignMethod::Get,
        Method::Put => PresignMethod::Put,
    };
    let presigned = client.presign(method, &object.bucket, &object.key, args.expires).await?;
    let data = json!({
        "url": presigned.url,
        "ends_at": iso8601(presigned.ends_at),
        "limited_by": if presigned.cut_by_session { "session" } else { "address" },
    });
    context.output.result(&data, |_| presigned.url.clone())?;
    let left = duration(presigned.ends_at.duration_since(context.clock.now()));
    let mut note = format!("Works until {} ({left}).", iso8601(presigned.ends_at));
    if presigned.cut_by_session {
        note.push_str(" The session ends then, and the address with it.");
    }
    if !context.output.is_json() {
        context.output.note(&note);
    }
    Ok(())
}

/// Seconds, or a time such as `15m` or `1h 30m`; one second to seven days.
fn seconds(text: &str) -> Result<u32, String> {
    let given = match text.parse::<i64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let time: SignedDuration =
                text.parse().map_err(|_| "write seconds, or a time such as 15m or 12h".to_owned())?;
            time.as_secs()
        }
    };
    match u32::try_from(given) {
        Ok(seconds @ 1..=604_800) => Ok(seconds),
        _ => Err("an address works for one second to seven days (168h)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times() {
        assert_eq!(seconds("60"), Ok(60));
        assert_eq!(seconds("15m"), Ok(900));
        assert_eq!(seconds("1h 30m"), Ok(5400));
        assert_eq!(seconds("168h"), Ok(604_800));
        for bad in ["0", "-5", "169h", "soon", "604801", "99999999999h"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
