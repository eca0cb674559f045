//! The stores behind the gateway: `[[upstream]]` and `local_buckets`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use wigeon_core::s3::BucketName;

use super::error::ConfigError;
use super::place::{Place, read as read_text};
use crate::backend::upstream::settings::{
    Address, Environment, Mapping, Says, Settings, Source, Style, Trailers, Upstream,
};
use crate::bucket::{BucketAccess, BucketPolicy, PublicAccessBlock};
use crate::cors::{CorsRule, CorsRules};

/// The longest prefix of a part of a bucket: keys have to fit behind it.
const LONGEST_PREFIX: usize = 512;

/// `[[upstream]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTable {
    name: String,
    endpoint: String,
    region: Option<String>,
    style: Option<StyleName>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    credentials: CredentialsTable,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    bucket: Vec<BucketTable>,
    trailers: Option<TrailersName>,
    #[serde(default)]
    dot_segments: bool,
    timeout: Option<u64>,
    #[serde(default)]
    required: bool,
}

/// `[upstream.credentials]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialsTable {
    access_key_id: Option<String>,
    secret_key_file: Option<PathBuf>,
    profile: Option<String>,
}

/// `[[upstream.bucket]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketTable {
    name: BucketName,
    bucket: Option<String>,
    #[serde(default)]
    prefix: String,
    policy_file: Option<PathBuf>,
    #[serde(default)]
    public: bool,
    cors_file: Option<PathBuf>,
}

/// What `aws s3api put-bucket-cors` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CorsFile {
    #[serde(rename = "CORSRules")]
    rules: Vec<CorsRule>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StyleName {
    Path,
    VirtualHost,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TrailersName {
    Pass,
    Check,
}

/// Reads them all.
///
/// # Errors
/// [`ConfigError`]: two of a name, two defaults, a bucket that is at two places, and what cannot be of each.
pub fn read(
    tables: Vec<UpstreamTable>,
    local_buckets: Vec<BucketName>,
    place: Place<'_>,
) -> Result<Settings, ConfigError> {
    let mut upstreams = Vec::with_capacity(tables.len());
    let said = tables.iter().flat_map(|table| &table.bucket);
    let files = said.flat_map(|bucket| [&bucket.policy_file, &bucket.cors_file]).flatten();
    let files = files.map(|file| place.beside(file)).collect();
    let (mut names, mut buckets) = (BTreeSet::new(), local_buckets.iter().cloned().collect::<BTreeSet<_>>());
    for table in tables {
        let upstream = table.read(place)?;
        if !names.insert(upstream.name.clone()) {
            return Err(place.malformed(format!("two upstreams are named `{}`", upstream.name)));
        }
        for mapping in &upstream.buckets {
            if !buckets.insert(mapping.name.clone()) {
                return Err(place.malformed(format!("the bucket `{}` is at two places", mapping.name)));
            }
        }
        upstreams.push(upstream);
    }
    if upstreams.iter().filter(|upstream| upstream.default).count() > 1 {
        return Err(place.malformed("only one upstream can be the default"));
    }
    if !local_buckets.is_empty() && !upstreams.iter().any(|upstream| upstream.default) {
        return Err(
            place.malformed("local_buckets belong to a default upstream; without one all others are local")
        );
    }
    Ok(Settings { upstreams, local_buckets, environment: Environment::default(), files })
}

impl UpstreamTable {
    fn read(self, place: Place<'_>) -> Result<Upstream, ConfigError> {
        let name = self.name;
        let wrong = |what: String| place.malformed(format!("the upstream `{name}`: {what}"));
        if name.is_empty() {
            return Err(place.malformed("an upstream needs a name"));
        }
        let address = Address::parse(&self.endpoint).map_err(wrong)?;
        let style = match self.style {
            None | Some(StyleName::Path) => Style::Path,
            Some(StyleName::VirtualHost)
                if address.host.parse::<std::net::Ipv4Addr>().is_ok() || address.host.starts_with('[') =>
            {
                return Err(wrong("an IP address has no names under it: style = \"path\"".to_owned()));
            }
            Some(StyleName::VirtualHost) => Style::VirtualHost,
        };
        let trailers = match self.trailers {
            Some(TrailersName::Pass) => Trailers::Pass,
            Some(TrailersName::Check) => Trailers::Check,
            None if address.is_aws() => Trailers::Pass,
            None => Trailers::Check,
        };
        if !self.default && self.bucket.is_empty() {
            return Err(wrong("it has no buckets: name some, or set default = true".to_owned()));
        }
        let credentials = self.credentials.read(place).map_err(wrong)?;
        let mut says = BTreeMap::new();
        for table in &self.bucket {
            says.insert(table.name.clone(), table.says(place).map_err(wrong)?);
        }
        let buckets =
            self.bucket.into_iter().map(BucketTable::read).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let timeout = self.timeout.unwrap_or(60);
        if !(1..=3600).contains(&timeout) {
            return Err(wrong("timeout is in seconds, from 1 to 3600".to_owned()));
        }
        Ok(Upstream {
            address,
            region: self.region.unwrap_or_else(|| "us-east-1".to_owned()),
            style,
            ca_file: self.ca_file.map(|path| place.beside(&path)),
            credentials,
            default: self.default,
            buckets,
            says,
            trailers,
            dot_segments: self.dot_segments,
            required: self.required,
            patience: Duration::from_secs(timeout),
            name,
        })
    }
}

impl CredentialsTable {
    fn read(self, place: Place<'_>) -> Result<Source, String> {
        match (self.access_key_id, self.secret_key_file, self.profile) {
            (None, None, None) => Ok(Source::Chain),
            (None, None, Some(profile)) => Ok(Source::Profile(profile)),
            (Some(access_key_id), Some(file), None) => {
                Ok(Source::Key { access_key_id, secret_key_file: place.beside(&file) })
            }
            _ => Err("credentials are access_key_id with secret_key_file, or profile, or nothing".to_owned()),
        }
    }
}

impl BucketTable {
    /// What is said here of the bucket's use.
    fn says(&self, place: Place<'_>) -> Result<Says, String> {
        let text = |path: &PathBuf| read_text(&place.beside(path)).map_err(|error| error.to_string());
        let in_file =
            |path: &PathBuf, error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
        let policy = self.policy_file.as_ref().map(|path| {
            let policy = BucketPolicy::parse(&self.name, &text(path)?);
            policy.map(Arc::new).map_err(|error| in_file(path, &error))
        });
        let cors = self.cors_file.as_ref().map(|path| {
            let file: CorsFile = serde_json::from_str(&text(path)?).map_err(|error| in_file(path, &error))?;
            CorsRules::checked(file.rules).map(Arc::new).map_err(|refusal| in_file(path, &refusal.message))
        });
        if self.public && policy.is_none() {
            return Err("public = true is about a policy_file".to_owned());
        }
        let block = if self.public { PublicAccessBlock::NONE } else { PublicAccessBlock::ALL };
        Ok(Says {
            access: BucketAccess { policy: policy.transpose()?, block, tags: None },
            cors: cors.transpose()?,
        })
    }

    fn read(self) -> Result<Mapping, String> {
        let bucket = match self.bucket {
            None => self.name.clone(),
            Some(bucket) => BucketName::parse_existing(&bucket).map_err(|error| error.to_string())?,
        };
        if self.prefix.len() > LONGEST_PREFIX || self.prefix.starts_with('/') {
            return Err(format!(
                "a prefix has at most {LONGEST_PREFIX} bytes and does not begin with a slash"
            ));
        }
        if self.prefix.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(format!("the prefix `{}` has `.` or `..` as a segment", self.prefix));
        }
        Ok(Mapping { name: self.name, bucket, prefix: self.prefix })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;

    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        upstream: Vec<UpstreamTable>,
        #[serde(default)]
        local_buckets: Vec<BucketName>,
    }

    fn settings(text: &str) -> Result<Settings, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        read(file.upstream, file.local_buckets, Place(Path::new("/etc/wigeon/serve.toml")))
            .map_err(|error| error.to_string())
    }

    const MINIMAL: &str = "[[upstream]]\nname = 'ceph'\nendpoint = 'http://127.0.0.1:7480'\n";

    #[test]
    fn a_whole_one() {
        let text = format!(
            "local_buckets = ['scratch']\n{MINIMAL}default = true\nca_file = 'ca.pem'\ncredentials = {{ access_key_id = 'A', secret_key_file = 's' }}\n\
             [[upstream.bucket]]\nname = 'reports'\nbucket = 'Company_Reports'\nprefix = '2026/'"
        );
        let settings = settings(&text).unwrap();
        let upstream = &settings.upstreams[0];
        assert_eq!(
            (upstream.region.as_str(), upstream.style, upstream.trailers),
            ("us-east-1", Style::Path, Trailers::Check)
        );
        assert_eq!(upstream.ca_file.as_deref(), Some(Path::new("/etc/wigeon/ca.pem")));
        assert_eq!(
            (upstream.buckets[0].bucket.as_str(), upstream.buckets[0].prefix.as_str()),
            ("Company_Reports", "2026/")
        );
        let secret_key_file = PathBuf::from("/etc/wigeon/s");
        assert_eq!(upstream.credentials, Source::Key { access_key_id: "A".to_owned(), secret_key_file });
    }

    #[rstest]
    #[case("", "has no buckets")]
    #[case(
        "default = true\n[[upstream]]\nname = 'ceph'\nendpoint = 'http://h'\ndefault = true",
        "two upstreams are named"
    )]
    #[case(
        "default = true\n[[upstream]]\nname = 'b'\nendpoint = 'http://h'\ndefault = true",
        "only one upstream"
    )]
    #[case("default = true\nstyle = 'virtual-host'", "IP address")]
    #[case("default = true\ncredentials = { access_key_id = 'A' }", "secret_key_file")]
    #[case("default = true\ntimeout = 0", "timeout")]
    #[case("default = true\nstyel = 'path'", "styel")]
    #[case("[[upstream.bucket]]\nname = 'aaa'\n[[upstream.bucket]]\nname = 'aaa'", "at two places")]
    #[case("[[upstream.bucket]]\nname = 'aaa'\nprefix = '../x'", "segment")]
    #[case("[[upstream.bucket]]\nname = 'aaa'\nprefix = '/x'", "slash")]
    fn refused(#[case] more: &str, #[case] reason: &str) {
        let refused = settings(&format!("{MINIMAL}{more}")).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }

    #[test]
    fn what_is_said_of_buckets() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let policy = |bucket: &str| {
            format!(
                r#"{{"Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}]}}"#
            )
        };
        write("reports.json", &policy("reports"));
        write("other.json", &policy("other"));
        write(
            "cors.json",
            r#"{"CORSRules":[{"AllowedOrigins":["https://app.example"],"AllowedMethods":["GET"]}]}"#,
        );
        write("bad-cors.json", r#"{"CORSRules":[{"AllowedOrigins":["*"],"AllowedMethods":["PATCH"]}]}"#);
        let settings = |more: &str| {
            let text = format!("{MINIMAL}[[upstream.bucket]]\nname = 'reports'\n{more}");
            let file: File = toml::from_str(&text).map_err(|error| error.to_string())?;
            read(file.upstream, file.local_buckets, Place(&folder.path().join("serve.toml")))
                .map_err(|error| error.to_string())
        };
        let name = BucketName::parse("reports").unwrap();
        let plain = settings("").unwrap();
        let says = &plain.upstreams[0].says[&name];
        assert!(says.access.policy.is_none() && says.cors.is_none());
        let whole = settings("policy_file = 'reports.json'\npublic = true\ncors_file = 'cors.json'").unwrap();
        let says = &whole.upstreams[0].says[&name];
        assert!(says.access.policy_for_the_anonymous().is_some());
        assert_eq!(says.cors.as_ref().unwrap().0.len(), 1);
        let closed = settings("policy_file = 'reports.json'").unwrap();
        assert!(closed.upstreams[0].says[&name].access.policy_for_the_anonymous().is_none());
        for (more, reason) in [
            ("policy_file = 'other.json'", "invalid resource"),
            ("policy_file = 'none.json'", "none.json"),
            ("cors_file = 'bad-cors.json'", "PATCH"),
            ("cors_file = 'reports.json'", "Statement"),
            ("public = true", "policy_file"),
        ] {
            let refused = settings(more).unwrap_err();
            assert!(refused.contains(reason), "{more}: {refused}");
        }
    }

    #[test]
    fn local_buckets_need_a_default() {
        let text = format!("local_buckets = ['scratch']\n{MINIMAL}[[upstream.bucket]]\nname = 'aaa'");
        assert!(settings(&text).unwrap_err().contains("local_buckets"));
    }
}
