//! The options of server-side encryption, the same for every command that reads or writes objects.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::ValueEnum;
use wigeon_client::s3::{Client, CustomerKey, Encryption, KmsKey, ObjectEncryption};

use crate::errors::{Failure, Kind};

/// How what is written is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sse {
    /// With the store's own keys (SSE-S3)
    Store,
    /// With a key of the key management service (SSE-KMS)
    Kms,
    /// With two layers of it (DSSE-KMS)
    KmsDual,
}

/// What the command line says of what is written.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Encryption")]
pub(crate) struct EncryptionArgs {
    /// Encrypt what is written
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) sse: Option<Sse>,

    /// The id, ARN or alias of the key
    #[arg(long, value_name = "KEY", requires = "sse")]
    sse_kms_key: Option<String>,

    /// The encryption context, as a JSON object of texts
    #[arg(long, value_name = "JSON", requires = "sse")]
    sse_kms_context: Option<String>,

    /// Let a key of the bucket stand between, for fewer calls to the key management service
    #[arg(long, requires = "sse")]
    sse_bucket_key: bool,

    /// Encrypt with a key of your own (SSE-C): a file of 32 bytes, or of their base64 or hexadecimal form
    #[arg(long, value_name = "FILE", conflicts_with = "sse")]
    sse_key_file: Option<PathBuf>,

    #[command(flatten)]
    source: SourceKeyArgs,
}

/// What the command line says of what is read.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Encryption")]
pub(crate) struct SourceKeyArgs {
    /// The key of your own that what is read was encrypted with (SSE-C)
    #[arg(long, value_name = "FILE")]
    source_key_file: Option<PathBuf>,
}

impl SourceKeyArgs {
    /// The client, with the key.
    pub(crate) fn on(&self, client: Client) -> Result<Client, Failure> {
        let Some(file) = &self.source_key_file else { return Ok(client) };
        let read = Some(customer_key(file)?);
        Ok(client.with_encryption(ObjectEncryption { written: None, read })?)
    }
}

impl EncryptionArgs {
    /// Whether anything is said of what is written.
    pub(crate) fn written(&self) -> Result<Option<Encryption>, Failure> {
        if let Some(file) = &self.sse_key_file {
            return Ok(Some(Encryption::Customer(customer_key(file)?)));
        }
        let Some(sse) = self.sse else { return Ok(None) };
        let is_kms_said = self.sse_kms_key.is_some() || self.sse_kms_context.is_some() || self.sse_bucket_key;
        if sse == Sse::Store && is_kms_said {
            return Err(Failure::usage("--sse store has keys of its own: name none"));
        }
        if let Some(context) = &self.sse_kms_context {
            let object: Result<std::collections::BTreeMap<String, String>, _> = serde_json::from_str(context);
            object.map_err(|error| Failure {
                causes: vec![error.to_string()],
                ..Failure::usage("--sse-kms-context is a JSON object of texts")
            })?;
        }
        Ok(Some(match sse {
            Sse::Store => Encryption::Store,
            Sse::Kms | Sse::KmsDual => Encryption::Kms(KmsKey {
                id: self.sse_kms_key.clone(),
                context: self.sse_kms_context.clone(),
                bucket_key: self.sse_bucket_key,
                is_dual: sse == Sse::KmsDual,
            }),
        }))
    }

    /// The key of what is read.
    pub(crate) fn read(&self) -> Result<Option<CustomerKey>, Failure> {
        self.source.source_key_file.as_deref().map(customer_key).transpose()
    }

    /// The client, with what is said here.
    pub(crate) fn on(&self, client: Client) -> Result<Client, Failure> {
        let encryption = ObjectEncryption { written: self.written()?, read: self.read()? };
        Self::with(client, encryption)
    }

    /// The client of a target that is compared before it is written: what is there has the key of what is written.
    pub(crate) fn on_target(&self, client: Client) -> Result<Client, Failure> {
        let written = self.written()?;
        let read = match &written {
            Some(Encryption::Customer(key)) => Some(key.clone()),
            _ => self.read()?,
        };
        Self::with(client, ObjectEncryption { written, read })
    }

    fn with(client: Client, encryption: ObjectEncryption) -> Result<Client, Failure> {
        if encryption == ObjectEncryption::default() {
            return Ok(client);
        }
        Ok(client.with_encryption(encryption)?)
    }
}

fn customer_key(file: &Path) -> Result<CustomerKey, Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure {
        causes: vec![error.to_string()],
        ..Failure::error(format!("cannot read the key `{}`", file.display()))
    })?;
    let decoded = if bytes.len() == 32 { None } else { decoded(&bytes) };
    CustomerKey::new(decoded.as_ref().unwrap_or(&bytes)).map_err(|error| {
        Failure::because(Kind::Usage, &error).hint("make one: head -c 32 /dev/urandom > key")
    })
}

/// 32 bytes written as base64 or in hexadecimal.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if text.len() != 64 {
        return BASE64_STANDARD.decode(text).ok();
    }
    let digits: Option<Vec<u8>> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    Some(digits?.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_all_their_forms() {
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str, bytes: &[u8]| {
            let file = folder.path().join(name);
            std::fs::write(&file, bytes).unwrap();
            customer_key(&file)
        };
        let bare = key("bare", &[7; 32]).unwrap();
        assert_eq!(key("hex", "07".repeat(32).as_bytes()).unwrap(), bare);
        assert_eq!(key("base64", format!("{}\n", BASE64_STANDARD.encode([7; 32])).as_bytes()).unwrap(), bare);
        for bad in [&b"short"[..], &[7; 33], b"", "0g".repeat(32).as_bytes()] {
            assert!(key("bad", bad).is_err());
        }
    }
}
