//! What each tool has to be told, and where it reads it.
//!
//! Enters: a profile as tools see it. Leaves: the files' parts, and what to type afterwards. What every tool can and
//! cannot do is in docs/tools.md, which the end-to-end tests keep true.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;
use wigeon_core::credentials::Credentials;

use super::block::{Block, mark};
use crate::commands::quoting::Shell;
use crate::commands::surroundings::Surroundings;
use crate::environment::Environment;
use crate::errors::Failure;

/// The tools that can be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    /// The AWS CLI, and every SDK that reads ~/.aws/config
    Aws,
    /// boto3
    Boto3,
    /// rclone
    Rclone,
    /// s5cmd
    S5cmd,
    /// DuckDB
    Duckdb,
    /// Spark (Hadoop's S3A)
    Spark,
    /// Terraform and OpenTofu
    Terraform,
    /// Polars
    Polars,
    /// s3fs of Python (fsspec, pandas, dask)
    S3fs,
    /// PyArrow
    Pyarrow,
    /// obstore
    Obstore,
    /// MinIO's mc
    Mc,
    /// The agent as a service of systemd, started when it is first asked
    Systemd,
    /// The desktop: addresses of the profile's custom scheme come back to the sign-in that waits
    Desktop,
}

/// What is to be in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Among what others have there.
    Block(PathBuf, Block),
    /// The file is ours alone.
    Whole(PathBuf, String),
    /// Which application opens what.
    Opens(Opens),
}

/// An entry of `mimeapps.list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opens {
    pub(super) file: PathBuf,
    pub(super) kind: String,
    pub(super) application: String,
}

/// A tool's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Recipe {
    pub(super) pieces: Vec<Piece>,
    /// For the person to place: there is no file that we know of.
    pub(super) snippet: Option<String>,
    /// What to type afterwards.
    pub(super) afterwards: String,
}

/// What recipes are made of.
pub(super) struct Ingredients<'a> {
    pub(super) tool: Tool,
    pub(super) seen: &'a Surroundings,
    pub(super) environment: &'a Environment,
    /// The tool's name for the profile.
    pub(super) alias: &'a str,
    /// This program.
    pub(super) program: &'a str,
    /// A file in place of the tool's own.
    pub(super) file: Option<PathBuf>,
    /// For the tool that takes nothing but keys.
    pub(super) credentials: Option<&'a Credentials>,
    /// The custom scheme of the profile's redirect.
    pub(super) scheme: Option<String>,
}

impl Ingredients<'_> {
    /// The tool's configuration.
    pub(super) fn recipe(&self) -> Result<Recipe, Failure> {
        let alias = self.alias;
        let s3 = self.seen.endpoint.as_deref();
        Ok(match self.tool {
            Tool::Aws => self.with_aws(None, format!("aws --profile {alias} s3 ls"))?,
            Tool::Boto3 => {
                self.with_aws(None, format!("boto3.Session(profile_name=\"{alias}\").client(\"s3\")"))?
            }
            Tool::S5cmd => {
                let endpoint = s3.map_or_else(String::new, |url| format!(" --endpoint-url {url}"));
                self.with_aws(None, format!("AWS_PROFILE={alias} s5cmd{endpoint} ls"))?
            }
            Tool::Rclone => self.with_aws(Some(self.rclone()?), format!("rclone ls {alias}:BUCKET"))?,
            Tool::Duckdb => self.with_aws(
                Some(self.duckdb()?),
                "duckdb -c \"FROM 's3://BUCKET/KEY.parquet'\"   (the aws extension has to be installed)".to_owned(),
            )?,
            Tool::S3fs => self.with_aws(Some(self.s3fs()?), "pandas.read_csv(\"s3://BUCKET/KEY\")".to_owned())?,
            Tool::Spark => self.spark()?,
            Tool::Terraform => self.placed("#", self.terraform(), "terraform plan".to_owned())?,
            Tool::Polars => self.placed(
                "#",
                self.polars(),
                "pl.scan_parquet(\"s3://BUCKET/KEY\", storage_options=storage_options, credential_provider=credentials)"
                    .to_owned(),
            )?,
            Tool::Pyarrow => {
                self.placed("#", self.pyarrow(), format!("wigeon exec {} -- python …", self.seen.profile))?
            }
            Tool::Obstore => self.placed("#", self.obstore(), "obstore.list(store)".to_owned())?,
            Tool::Mc => self.mc()?,
            Tool::Systemd => self.systemd()?,
            Tool::Desktop => self.desktop()?,
        })
    }

    /// The profile in AWS's configuration, which most tools can refer to, and what else there is.
    fn with_aws(&self, more: Option<Piece>, afterwards: String) -> Result<Recipe, Failure> {
        let alias = self.alias;
        let section = if alias == "default" { "default".to_owned() } else { format!("profile {alias}") };
        let mut lines = vec![format!(
            "credential_process = {} credentials --format process {}",
            self.process(),
            self.seen.profile
        )];
        let services = format!("wigeon-{alias}");
        let mut endpoints = String::new();
        for (service, url) in [("s3", &self.seen.endpoint), ("sts", &self.seen.sts)] {
            if let Some(url) = url {
                endpoints.push_str(&format!("{service} =\n  endpoint_url = {url}\n"));
            }
        }
        if !endpoints.is_empty() {
            lines.push(format!("services = {services}"));
        }
        if let Some(file) = &self.seen.ca_file {
            lines.push(format!("ca_bundle = {}", file.display()));
        }
        let mut body = self.seen.aws_section(&section, &lines);
        let mut sections = vec![format!("[{section}]")];
        if !endpoints.is_empty() {
            body.push_str(&format!("\n[services {services}]\n{endpoints}"));
            sections.push(format!("[services {services}]"));
        }
        let name = self.seen.profile.clone();
        let name = if alias == name { name } else { format!("{name} as {alias}") };
        let named = self.environment.variable("AWS_CONFIG_FILE").map(PathBuf::from);
        let aws = matches!(self.tool, Tool::Aws | Tool::Boto3 | Tool::S5cmd);
        let file = match (self.file.clone().filter(|_| aws), named) {
            (Some(file), _) | (None, Some(file)) => file,
            (None, None) => self.environment.home_dir()?.join(".aws/config"),
        };
        let mut pieces = vec![Piece::Block(file, Block { name, comment: "#", body, sections })];
        pieces.extend(more);
        Ok(Recipe { pieces, snippet: None, afterwards })
    }

    fn rclone(&self) -> Result<Piece, Failure> {
        let alias = self.alias;
        let provider = if self.seen.endpoint.is_some() { "Other" } else { "AWS" };
        let mut body = format!(
            "[{alias}]\ntype = s3\nprovider = {provider}\nenv_auth = true\nprofile = {alias}\nregion = {}\n",
            self.seen.region
        );
        if let Some(url) = &self.seen.endpoint {
            body.push_str(&format!("endpoint = {url}\nforce_path_style = {}\n", self.seen.path_style));
        }
        let named =
            self.file.clone().or_else(|| self.environment.variable("RCLONE_CONFIG").map(PathBuf::from));
        let file = match named {
            Some(file) => file,
            None => self.config_home()?.join("rclone/rclone.conf"),
        };
        let sections = vec![format!("[{alias}]")];
        Ok(Piece::Block(file, Block { name: alias.to_owned(), comment: "#", body, sections }))
    }

    fn duckdb(&self) -> Result<Piece, Failure> {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let mut parts = vec![
            "TYPE s3".to_owned(),
            "PROVIDER credential_chain".to_owned(),
            "CHAIN 'process'".to_owned(),
            format!("PROFILE {}", quoted(self.alias)),
            format!("REGION {}", quoted(&self.seen.region)),
            "REFRESH auto".to_owned(),
        ];
        if let Some(host) = self.seen.host() {
            parts.push(format!("ENDPOINT {}", quoted(host)));
            parts.push(format!("URL_STYLE {}", quoted(if self.seen.path_style { "path" } else { "vhost" })));
            parts.push(format!("USE_SSL {}", !self.seen.is_http()));
        }
        let name: String =
            self.alias.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let body = format!("CREATE OR REPLACE SECRET wigeon_{name} (\n  {}\n);\n", parts.join(",\n  "));
        let file = match self.file.clone() {
            Some(file) => file,
            None => self.environment.home_dir()?.join(".duckdbrc"),
        };
        Ok(Piece::Block(file, Block { name: self.alias.to_owned(), comment: "--", body, sections: vec![] }))
    }

    fn s3fs(&self) -> Result<Piece, Failure> {
        let mut options = json!({ "profile": self.alias });
        if let (Some(url), Some(options)) = (&self.seen.endpoint, options.as_object_mut()) {
            options.insert("endpoint_url".to_owned(), json!(url));
        }
        let file = match (self.file.clone(), self.environment.variable("FSSPEC_CONFIG_DIR")) {
            (Some(file), _) => file,
            (None, Some(dir)) => PathBuf::from(dir).join(format!("wigeon-{}.json", self.alias)),
            (None, None) => self.config_home()?.join(format!("fsspec/wigeon-{}.json", self.alias)),
        };
        Ok(whole(file, |mark| {
            let document = json!({ "s3": options, "wigeon": { "profile": self.seen.profile, "mark": mark } });
            format!("{document:#}\n")
        }))
    }

    fn spark(&self) -> Result<Recipe, Failure> {
        let mut lines = vec![
            "spark.hadoop.fs.s3a.aws.credentials.provider software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider"
                .to_owned(),
            format!("spark.hadoop.fs.s3a.endpoint.region {}", self.seen.region),
        ];
        if let Some(url) = &self.seen.endpoint {
            lines.push(format!("spark.hadoop.fs.s3a.endpoint {url}"));
            lines.push(format!("spark.hadoop.fs.s3a.path.style.access {}", self.seen.path_style));
            lines.push(format!("spark.hadoop.fs.s3a.connection.ssl.enabled {}", !self.seen.is_http()));
        }
        let body = lines.join("\n") + "\n";
        let home = self.environment.variable("SPARK_HOME").map(|home| PathBuf::from(home).join("conf"));
        let conf = self.environment.variable("SPARK_CONF_DIR").map(PathBuf::from).or(home);
        let file = self.file.clone().or_else(|| Some(conf?.join("spark-defaults.conf")));
        let afterwards = format!("AWS_PROFILE={} spark-submit …", self.alias);
        let block = Block { name: self.alias.to_owned(), comment: "#", body: body.clone(), sections: vec![] };
        let mut recipe = self.with_aws(file.clone().map(|file| Piece::Block(file, block)), afterwards)?;
        if file.is_none() {
            recipe.snippet = Some(format!("# spark-defaults.conf\n{body}"));
        }
        Ok(recipe)
    }

    fn terraform(&self) -> String {
        let mut text = format!(
            "provider \"aws\" {{\n  profile = \"{}\"\n  region  = \"{}\"\n",
            self.alias, self.seen.region
        );
        if let Some(url) = &self.seen.endpoint {
            let sts = self.seen.sts.as_ref().unwrap_or(url);
            text.push_str(&format!(
                "\n  s3_use_path_style           = {}\n  skip_metadata_api_check     = true\n  \
                 skip_region_validation      = true\n  skip_requesting_account_id  = true\n\n  endpoints {{\n    \
                 s3  = \"{url}\"\n    sts = \"{sts}\"\n    iam = \"{sts}\"\n  }}\n",
                self.seen.path_style
            ));
        }
        text + "}\n"
    }

    fn polars(&self) -> String {
        let mut options = vec![("aws_region", self.seen.region.clone())];
        if let Some(url) = &self.seen.endpoint {
            options.push(("aws_endpoint_url", url.clone()));
            options.push(("aws_virtual_hosted_style_request", (!self.seen.path_style).to_string()));
            if self.seen.is_http() {
                options.push(("aws_allow_http", "true".to_owned()));
            }
        }
        let options: String =
            options.iter().map(|(name, value)| format!("    \"{name}\": \"{value}\",\n")).collect();
        format!(
            "import polars as pl\n\ncredentials = pl.CredentialProviderAWS(profile_name=\"{}\")\n\
             storage_options = {{\n{options}}}\n",
            self.alias
        )
    }

    fn pyarrow(&self) -> String {
        let endpoint = match (self.seen.host(), self.seen.is_http()) {
            (Some(host), http) => format!(
                "    endpoint_override=\"{host}\",\n    scheme=\"{}\",\n    force_virtual_addressing={},\n",
                if http { "http" } else { "https" },
                if self.seen.path_style { "False" } else { "True" }
            ),
            (None, _) => String::new(),
        };
        format!(
            "from pyarrow import fs\n\ns3 = fs.S3FileSystem(\n    region=\"{}\",\n{endpoint})\n",
            self.seen.region
        )
    }

    fn obstore(&self) -> String {
        let mut arguments = format!("    region=\"{}\",\n", self.seen.region);
        if let Some(url) = &self.seen.endpoint {
            arguments.push_str(&format!("    endpoint=\"{url}\",\n"));
            let virtual_hosted = if self.seen.path_style { "False" } else { "True" };
            arguments.push_str(&format!("    virtual_hosted_style_request={virtual_hosted},\n"));
            if self.seen.is_http() {
                arguments.push_str("    client_options={\"allow_http\": True},\n");
            }
        }
        format!(
            "import boto3\nfrom obstore.auth.boto3 import Boto3CredentialProvider\nfrom obstore.store import S3Store\n\n\
             credentials = Boto3CredentialProvider(session=boto3.Session(profile_name=\"{}\"))\n\
             store = S3Store(\n    \"BUCKET\",\n    credential_provider=credentials,\n{arguments})\n",
            self.alias
        )
    }

    /// `mc` has no chain of providers: keys in a variable, which end.
    fn mc(&self) -> Result<Recipe, Failure> {
        let Some(keys) = self.credentials else {
            return Ok(Recipe { afterwards: String::new(), ..Recipe::default() });
        };
        let endpoint = self.seen.endpoint.as_deref().unwrap_or("https://s3.amazonaws.com");
        let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
        let escaped = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let token = keys
            .session_token
            .as_ref()
            .map_or_else(String::new, |token| format!(":{}", escaped(token.expose())));
        let value = format!(
            "{scheme}://{}:{}{token}@{host}",
            escaped(&keys.access_key_id),
            escaped(keys.secret_key.expose())
        );
        let name: String =
            self.alias.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let snippet = Shell::Sh.set(&format!("MC_HOST_{name}"), &value)?;
        let afterwards = format!("mc ls {name}/BUCKET   (mc takes keys alone: they end, and do not renew)");
        Ok(Recipe { pieces: vec![], snippet: Some(snippet), afterwards })
    }

    fn systemd(&self) -> Result<Recipe, Failure> {
        let dir = self.config_home()?.join("systemd/user");
        let socket = |mark: &str| {
            format!(
                "# wigeon {mark}\n[Unit]\nDescription=Wigeon's agent: sessions for S3 tools\n\n[Socket]\n\
                 ListenStream=%t/wigeon/agent.sock\nSocketMode=0600\nDirectoryMode=0700\n\n[Install]\nWantedBy=sockets.target\n"
            )
        };
        let service = |mark: &str| {
            format!(
                "# wigeon {mark}\n[Unit]\nDescription=Wigeon's agent: sessions for S3 tools\nRequires=wigeon-agent.socket\n\n\
                 [Service]\nExecStart={} agent run\nNoNewPrivileges=true\nLockPersonality=true\nRestrictSUIDSGID=true\n",
                self.process()
            )
        };
        Ok(Recipe {
            pieces: vec![
                whole(dir.join("wigeon-agent.socket"), socket),
                whole(dir.join("wigeon-agent.service"), service),
            ],
            snippet: None,
            afterwards: "systemctl --user daemon-reload && systemctl --user enable --now wigeon-agent.socket"
                .to_owned(),
        })
    }

    /// A handler for the scheme (freedesktop.org's Desktop Entry Specification), and the word that it is the default.
    fn desktop(&self) -> Result<Recipe, Failure> {
        let Some(scheme) = &self.scheme else {
            return Err(Failure::usage(format!(
                "the redirect of profile `{}` has no scheme of its own: the browser comes back without a handler",
                self.seen.profile
            )));
        };
        let application = Environment::handler_of(scheme);
        let entry = |mark: &str| {
            format!(
                "# wigeon {mark}\n[Desktop Entry]\nType=Application\nName=Wigeon\nComment=Takes sign-ins back to the terminal\n\
                 Exec={} redirect %u\nTerminal=false\nNoDisplay=true\nMimeType=x-scheme-handler/{scheme};\n",
                self.process()
            )
        };
        let opens = Opens {
            file: self.config_home()?.join("mimeapps.list"),
            kind: format!("x-scheme-handler/{scheme}"),
            application: application.clone(),
        };
        Ok(Recipe {
            pieces: vec![
                whole(self.environment.applications_dir()?.join(application), entry),
                Piece::Opens(opens),
            ],
            snippet: None,
            afterwards: format!("wigeon login {}", self.seen.profile),
        })
    }

    /// A snippet for a place that only the person knows, or a file that they name.
    fn placed(&self, comment: &'static str, text: String, afterwards: String) -> Result<Recipe, Failure> {
        let needs_profile = matches!(self.tool, Tool::Terraform | Tool::Polars | Tool::Obstore);
        let block = |file| {
            let block = Block { name: self.alias.to_owned(), comment, body: text.clone(), sections: vec![] };
            Piece::Block(file, block)
        };
        let piece = self.file.clone().map(block);
        let mut recipe = if needs_profile {
            self.with_aws(piece, afterwards)?
        } else {
            Recipe { pieces: piece.into_iter().collect(), snippet: None, afterwards }
        };
        if self.file.is_none() {
            recipe.snippet = Some(text);
        }
        Ok(recipe)
    }

    /// This program, as one word of a command line.
    fn process(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
        if self.program.chars().all(plain) {
            self.program.to_owned()
        } else {
            format!("\"{}\"", self.program)
        }
    }

    fn config_home(&self) -> Result<PathBuf, Failure> {
        let named = self.environment.variable("XDG_CONFIG_HOME").map(PathBuf::from);
        match named.filter(|path| path.is_absolute()) {
            Some(path) => Ok(path),
            None => Ok(self.environment.home_dir()?.join(".config")),
        }
    }
}

/// A file of ours, which carries the mark of its own text.
fn whole(file: PathBuf, text: impl Fn(&str) -> String) -> Piece {
    Piece::Whole(file, text(&mark(&text(""))))
}

/// Whether a file's text is one that we wrote, and nobody has changed since.
pub(super) fn is_ours(text: &str) -> bool {
    let marks = text.match_indices(|c: char| c.is_ascii_hexdigit()).map(|(at, _)| at);
    marks.into_iter().any(|at| {
        let Some(found) = text.get(at..at + 12) else { return false };
        found.bytes().all(|byte| byte.is_ascii_hexdigit())
            && mark(&format!(
                "{}{}",
                text.get(..at).unwrap_or_default(),
                text.get(at + 12..).unwrap_or_default()
            )) == found
    })
}
