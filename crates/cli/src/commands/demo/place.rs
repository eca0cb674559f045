//! The files of the demonstration: a directory with one provider and one role, and a connection profile.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

/// The demonstration's account.
const ACCOUNT: &str = "000000000000";

/// The client's id at the provider.
pub(super) const CLIENT_ID: &str = "wigeon-demo";

/// The profile's vendor and name.
pub(super) const PROFILE: &str = "demo";

/// A folder of its own for everything that the demonstration keeps.
pub(super) struct Place {
    pub(super) folder: PathBuf,
}

impl Place {
    pub(super) fn new(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(Self { folder })
    }

    /// Writes the directory file: who may assume the role, and what the role may do.
    pub(super) fn write_directory(&self, issuer: &str) -> io::Result<PathBuf> {
        let name = issuer.split_once("://").map_or(issuer, |(_, name)| name);
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/{name}") },
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": { "StringEquals": { format!("{name}:aud"): CLIENT_ID } }
            }]
        });
        let permissions = json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "SeeTheBuckets",
                    "Effect": "Allow",
                    "Action": "s3:ListAllMyBuckets",
                    "Resource": "*"
                },
                {
                    "Sid": "ReadWhatIsShared",
                    "Effect": "Allow",
                    "Action": ["s3:ListBucket", "s3:GetObject"],
                    "Resource": ["arn:aws:s3:::shared", "arn:aws:s3:::shared/*"]
                },
                {
                    "Sid": "ListOnesOwnFolder",
                    "Effect": "Allow",
                    "Action": "s3:ListBucket",
                    "Resource": "arn:aws:s3:::home",
                    "Condition": { "StringLike": { "s3:prefix": format!("${{{name}:preferred_username}}/*") } }
                },
                {
                    "Sid": "WorkInOnesOwnFolder",
                    "Effect": "Allow",
                    "Action": [
                        "s3:GetObject", "s3:PutObject", "s3:DeleteObject",
                        "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"
                    ],
                    "Resource": format!("arn:aws:s3:::home/${{{name}:preferred_username}}/*")
                }
            ]
        });
        let text = format!(
            "# Written anew by each `wigeon demo`; while that runs, a change here acts on the next request.\n\
             account = \"{ACCOUNT}\"\n\n\
             [[provider]]\n\
             url = \"{issuer}\"\n\
             client_ids = [\"{CLIENT_ID}\"]\n\n\
             [[role]]\n\
             name = \"analyst\"\n\
             trust = '''\n{trust:#}\n'''\n\n\
             [[role.policy]]\n\
             name = \"shared-and-home\"\n\
             document = '''\n{permissions:#}\n'''\n"
        );
        let path = self.folder.join("directory.toml");
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Writes a connection profile, as anyone would hand out: a property list.
    pub(super) fn write_profile(&self, issuer: &str, server: SocketAddr) -> io::Result<PathBuf> {
        let text = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>Protocol</key><string>s3</string>
    <key>Vendor</key><string>{PROFILE}</string>
    <key>Description</key><string>Wigeon on this machine</string>
    <key>Scheme</key><string>http</string>
    <key>Default Hostname</key><string>{host}</string>
    <key>Default Port</key><string>{port}</string>
    <key>Authorization</key><string>AuthorizationCode</string>
    <key>OAuth Authorization Url</key><string>{issuer}/authorize</string>
    <key>OAuth Token Url</key><string>{issuer}/token</string>
    <key>OAuth Client ID</key><string>{CLIENT_ID}</string>
    <key>OAuth Client Secret</key><string/>
    <key>OAuth Redirect Url</key><string>http://127.0.0.1/callback</string>
    <key>Scopes</key>
    <array><string>openid</string><string>profile</string><string>email</string><string>offline_access</string></array>
    <key>STS Endpoint</key><string>http://{server}</string>
    <key>Properties</key>
    <dict>
        <key>role_arn</key><string>arn:aws:iam::{ACCOUNT}:role/analyst</string>
        <key>s3.bucket.virtualhost.disable</key><true/>
        <key>wigeon.issuer</key><string>{issuer}</string>
    </dict>
</dict>
</plist>
"#,
            host = server.ip(),
            port = server.port(),
        );
        let path = self.folder.join("demo.cyberduckprofile");
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Writes a configuration for AWS's tools with one profile, beside the user's own and not in it.
    pub(super) fn write_aws_config(&self, wigeon: &Path, server: SocketAddr) -> io::Result<PathBuf> {
        let program = wigeon.display().to_string();
        let program = if program.contains(' ') { format!("\"{program}\"") } else { program };
        let text = format!(
            "[profile wigeon-{PROFILE}]\n\
             region = us-east-1\n\
             endpoint_url = http://{server}\n\
             credential_process = {program} credentials {PROFILE} --format process\n\
             s3 =\n  addressing_style = path\n"
        );
        let path = self.folder.join("aws-config");
        fs::write(&path, text)?;
        Ok(path)
    }
}
