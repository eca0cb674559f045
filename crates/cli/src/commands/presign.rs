//! `wigeon presign`: an address that works without signing in, and until when it really does.

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use wigeon_client::s3::{PresignMethod, PresignOptions};
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
  wigeon presign s3://team/report.pdf --answer-disposition 'attachment; filename=\"report.pdf\"'
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

    /// A version that is not the current one
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,

    /// The media type that an upload must have
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    /// A header that the request must have; may be given again
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// The media type that a download is to be answered with
    #[arg(long, value_name = "TYPE")]
    answer_type: Option<String>,

    /// The Content-Disposition that a download is to be answered with
    #[arg(long, value_name = "TEXT")]
    answer_disposition: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Method {
    /// To download
    Get,
    /// To upload
    Put,
    /// To ask for the head
    Head,
    /// To remove
    Delete,
}

/// Runs the command. The address goes to standard output, its end to standard error.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let (client, object) = (store::open(context, &place)?, place.object()?);
    let method = match args.method {
        Method::Get => PresignMethod::Get,
        Method::Put => PresignMethod::Put,
        Method::Head => PresignMethod::Head,
        Method::Delete => PresignMethod::Delete,
    };
    let options = args.options();
    let presigned = client.presign(method, &object.bucket, &object.key, args.expires, &options).await?;
    let headers: Map<String, Value> =
        options.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let data = json!({
        "url": presigned.url,
        "ends_at": iso8601(presigned.ends_at),
        "limited_by": if presigned.cut_by_session { "session" } else { "address" },
        "headers": headers,
    });
    context.output.result(&data, |_| presigned.url.clone())?;
    if context.output.is_json() {
        return Ok(());
    }
    let left = duration(presigned.ends_at.duration_since(context.clock.now()));
    let mut note = format!("Works until {} ({left}).", iso8601(presigned.ends_at));
    if presigned.cut_by_session {
        note.push_str(" The session ends then, and the address with it.");
    }
    if !options.headers.is_empty() {
        let headers: Vec<_> =
            options.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        note.push_str(&format!(" The request must have: {}.", headers.join(", ")));
    }
    context.output.note(&note);
    Ok(())
}

impl Args {
    fn options(&self) -> PresignOptions {
        let mut headers = self.headers.clone();
        headers.extend(self.content_type.iter().map(|kind| ("content-type".to_owned(), kind.clone())));
        let answer = [
            ("response-content-type", &self.answer_type),
            ("response-content-disposition", &self.answer_disposition),
        ];
        PresignOptions {
            version: self.version_id.clone(),
            headers,
            answer: answer.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect(),
        }
    }
}

/// `Name: value`.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
    let name = name.trim().to_ascii_lowercase();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("`{name}` is not the name of a header"));
    }
    Ok((name, value.trim().to_owned()))
}

/// Seconds, or a time such as `15m` or `1h 30m`; one second to seven days.
fn seconds(text: &str) -> Result<u32, String> {
    let given = match text.parse::<i64>() {
        Ok(seconds) => seconds,
        Err(_)
            if let Some(days) = text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok()) =>
        {
            days.saturating_mul(86_400)
        }
        Err(_) => {
            let time: SignedDuration =
                text.parse().map_err(|_| "write seconds, or a time such as 15m, 12h or 7d".to_owned())?;
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
    use super::{header, seconds};

    #[test]
    fn times() {
        assert_eq!(seconds("60"), Ok(60));
        assert_eq!((seconds("7d"), seconds("1d")), (Ok(604_800), Ok(86_400)));
        assert!(seconds("8d").is_err_and(|why| why.contains("seven days")) && seconds("-1d").is_err());
        assert_eq!(seconds("15m"), Ok(900));
        assert_eq!(seconds("1h 30m"), Ok(5400));
        assert_eq!(seconds("168h"), Ok(604_800));
        for bad in ["0", "-5", "169h", "soon", "604801", "99999999999h"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn headers() {
        assert_eq!(header("X-Amz-Meta-A:  b: c "), Ok(("x-amz-meta-a".to_owned(), "b: c".to_owned())));
        for bad in ["x", ": y", "a b: c"] {
            assert!(header(bad).is_err(), "{bad}");
        }
    }
}
