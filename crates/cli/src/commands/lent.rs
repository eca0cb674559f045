//! A profile's credentials, lent to a program for as long as it runs: an endpoint of this process, and the files
//! that go with it, in a directory of their own that vanishes with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;
use wigeon_client::broker::{Access, Endpoint, TokenKey};
use wigeon_client::durable;

use super::surroundings::Surroundings;
use crate::brokered::{self, AgentFirst};
use crate::context::Context;
use crate::errors::Failure;

/// Where certificates that the system trusts are kept, on the systems that we know.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cert.pem",
];

/// A loan. It ends when this is dropped.
pub(crate) struct Lent {
    pub(crate) surroundings: Surroundings,
    pub(crate) access: Access,
    /// The port of the endpoint, on 127.0.0.1.
    pub(crate) port: u16,
    dir: tempfile::TempDir,
    #[expect(dead_code, reason = "the endpoint ends when it is dropped")]
    end: oneshot::Sender<()>,
}

impl Lent {
    /// Opens the endpoint. The credentials are asked for first: a program that could not work is not started.
    pub(crate) async fn of(context: &Context, name: Option<&str>) -> Result<Self, Failure> {
        let settings = context.settings_of(context.stored(name)?)?;
        let surroundings = Surroundings::of(&settings, context)?;
        brokered::credentials(context, settings.name()).await?;
        let endpoint = Endpoint::bind(0, TokenKey::random()).await.map_err(failed("open the endpoint"))?;
        let (access, port) = (endpoint.access(settings.name()), endpoint.address().port());
        let (end, ended) = oneshot::channel::<()>();
        let until = async {
            let _ = ended.await;
        };
        tokio::spawn(endpoint.serve(AgentFirst::new(context)?, Arc::clone(&context.clock), until));
        let place = context.environment.runtime_dir()?;
        durable::create_private_dir(&place).map_err(failed("make a directory for one run"))?;
        let dir = tempfile::Builder::new()
            .prefix("lent-")
            .tempdir_in(&place)
            .map_err(failed("make a directory for one run"))?;
        Ok(Self { surroundings, access, port, dir, end })
    }

    /// The three variables of the container-credentials protocol: tools read one or the other of the last two.
    pub(crate) fn container(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let token = self.access.token.expose();
        let file = self.write("token", token.as_bytes())?;
        Ok(vec![
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", self.access.url.clone()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token.to_owned()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.display().to_string()),
        ])
    }

    /// Variables that keep a tool from finding other credentials first: files of AWS's configuration that name none,
    /// and no way to a machine's metadata.
    pub(crate) fn isolation(&self, keep_config: bool) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut set = vec![("AWS_EC2_METADATA_DISABLED", "true".to_owned())];
        let credentials = self.write("credentials", b"")?;
        set.push(("AWS_SHARED_CREDENTIALS_FILE", credentials.display().to_string()));
        if !keep_config {
            let config = self.write("config", self.surroundings.aws_section("default", &[]).as_bytes())?;
            set.push(("AWS_CONFIG_FILE", config.display().to_string()));
        }
        Ok(set)
    }

    /// Variables for a bundle of the system's certificates and the profile's own, where it has some.
    pub(crate) fn certificates(&self, context: &Context) -> Result<Vec<(&'static str, String)>, Failure> {
        let Some(own) = &self.surroundings.ca_file else { return Ok(Vec::new()) };
        let bundle = self.write("ca.pem", &bundle(context, own)?)?;
        Ok(Surroundings::certificates(&bundle))
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.dir.path().join(name);
        durable::replace(&path, content).map_err(failed("write a file for the program"))?;
        Ok(path)
    }
}

/// What the system trusts, and the profile's own certificates.
pub(crate) fn bundle(context: &Context, own: &Path) -> Result<Vec<u8>, Failure> {
    let named = context.environment.variable("SSL_CERT_FILE").map(PathBuf::from);
    let mut places = named.into_iter().chain(SYSTEM_BUNDLES.map(PathBuf::from));
    let mut bundle = places.find_map(|place| std::fs::read(place).ok()).unwrap_or_default();
    bundle.push(b'\n');
    bundle.extend(std::fs::read(own).map_err(|error| {
        let mut failure = Failure::error(format!("cannot read the CA file `{}`", own.display()));
        failure.causes.push(error.to_string());
        failure
    })?);
    Ok(bundle)
}

fn failed(what: &'static str) -> impl Fn(std::io::Error) -> Failure {
    move |error| {
        let mut failure = Failure::error(format!("cannot {what}"));
        failure.causes.push(error.to_string());
        failure
    }
}
