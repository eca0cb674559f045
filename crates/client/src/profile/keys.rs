//! The keys of a connection profile and of a bookmark: their names in the property list and in TOML, and what
//! their values may be.

/// What a value may be. Scalars are read as text wherever text is usual: real files write a port as an integer
/// or a flag as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string, or a scalar that is shown as one.
    Text,
    /// `<true/>`, or a string that says so.
    Flag,
    /// A list of strings; a single string is a list of one.
    List,
    /// A dictionary, or a list of `k=v`.
    Properties,
    /// Anything: pictures and the like.
    Any,
}

/// A key that we understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) plist: &'static str,
    pub(super) toml: &'static str,
    pub(super) kind: Kind,
}

macro_rules! keys {
    ($all:ident: $($name:ident = $plist:literal, $toml:literal, $kind:ident;)*) => {
        $(pub(super) const $name: Key = Key { plist: $plist, toml: $toml, kind: Kind::$kind };)*
        pub(super) const $all: &[Key] = &[$($name),*];
    };
}

keys! { PROFILE:
    PROTOCOL = "Protocol", "protocol", Text;
    VENDOR = "Vendor", "vendor", Text;
    NAME = "Name", "name", Text;
    DESCRIPTION = "Description", "description", Text;
    DEFAULT_NICKNAME = "Default Nickname", "default_nickname", Text;
    DEFAULT_HOSTNAME = "Default Hostname", "default_hostname", Text;
    DEFAULT_PORT = "Default Port", "default_port", Text;
    DEFAULT_PATH = "Default Path", "default_path", Text;
    SCHEME = "Scheme", "scheme", Text;
    REGION = "Region", "region", Text;
    CONTEXT = "Context", "context", Text;
    AUTHORIZATION = "Authorization", "authorization", Text;
    OAUTH_AUTHORIZATION_URL = "OAuth Authorization Url", "oauth_authorization_url", Text;
    OAUTH_TOKEN_URL = "OAuth Token Url", "oauth_token_url", Text;
    OAUTH_CLIENT_ID = "OAuth Client ID", "oauth_client_id", Text;
    OAUTH_CLIENT_SECRET = "OAuth Client Secret", "oauth_client_secret", Text;
    OAUTH_REDIRECT_URL = "OAuth Redirect Url", "oauth_redirect_url", Text;
    OAUTH_PKCE = "OAuth PKCE", "oauth_pkce", Flag;
    SCOPES = "Scopes", "scopes", List;
    STS_ENDPOINT = "STS Endpoint", "sts_endpoint", Text;
    PROPERTIES = "Properties", "properties", Properties;
    REGIONS = "Regions", "regions", List;
    SCHEMES = "Schemes", "schemes", List;
    HOSTNAME_PLACEHOLDER = "Hostname Placeholder", "hostname_placeholder", Text;
    PATH_PLACEHOLDER = "Path Placeholder", "path_placeholder", Text;
    USERNAME_PLACEHOLDER = "Username Placeholder", "username_placeholder", Text;
    PASSWORD_PLACEHOLDER = "Password Placeholder", "password_placeholder", Text;
    TOKEN_PLACEHOLDER = "Token Placeholder", "token_placeholder", Text;
    HOSTNAME_CONFIGURABLE = "Hostname Configurable", "hostname_configurable", Flag;
    PORT_CONFIGURABLE = "Port Configurable", "port_configurable", Flag;
    PATH_CONFIGURABLE = "Path Configurable", "path_configurable", Flag;
    USERNAME_CONFIGURABLE = "Username Configurable", "username_configurable", Flag;
    PASSWORD_CONFIGURABLE = "Password Configurable", "password_configurable", Flag;
    ANONYMOUS_CONFIGURABLE = "Anonymous Configurable", "anonymous_configurable", Flag;
    TOKEN_CONFIGURABLE = "Token Configurable", "token_configurable", Flag;
    CERTIFICATE_CONFIGURABLE = "Certificate Configurable", "certificate_configurable", Flag;
    PRIVATE_KEY_CONFIGURABLE = "Private Key Configurable", "private_key_configurable", Flag;
    OAUTH_CONFIGURABLE = "OAuth Configurable", "oauth_configurable", Flag;
    ROLE_CONFIGURABLE = "Role Configurable", "role_configurable", Flag;
    MULTI_FACTOR_CONFIGURABLE = "Multi Factor Configurable", "multi_factor_configurable", Flag;
    BUNDLED = "Bundled", "bundled", Flag;
    DEPRECATED = "Deprecated", "deprecated", Flag;
    HELP = "Help", "help", Text;
    DISK = "Disk", "disk", Any;
    ICON = "Icon", "icon", Any;
}

keys! { BOOKMARK:
    BOOKMARK_PROTOCOL = "Protocol", "protocol", Text;
    PROVIDER = "Provider", "provider", Text;
    HOSTNAME = "Hostname", "hostname", Text;
    PORT = "Port", "port", Text;
    PATH = "Path", "path", Text;
    NICKNAME = "Nickname", "nickname", Text;
    UUID = "UUID", "uuid", Text;
    USERNAME = "Username", "username", Text;
    WEB_URL = "Web URL", "web_url", Text;
    COMMENT = "Comment", "comment", Text;
    LABELS = "Labels", "labels", List;
    CUSTOM = "Custom", "custom", Properties;
}

/// Properties whose meaning we know, for the list of unknown ones.
pub(super) const PROPERTIES_KNOWN: &[&str] = &[
    ROLE_ARN,
    ASSUME_ROLE_ARN,
    ROLE_SESSION_NAME,
    ASSUME_ROLE_SESSION_NAME,
    DURATION_SECONDS,
    ASSUME_ROLE_DURATION_SECONDS,
    ASSUME_ROLE_POLICY,
    MFA_SERIAL,
    SSO_REGION,
    SSO_START_URL,
    SSO_ACCOUNT_ID,
    SSO_ROLE_NAME,
    SSO_SESSION,
    WEB_IDENTITY_TOKEN_FILE,
    CREDENTIAL_PROCESS,
    EXTERNAL_ID,
    VIRTUAL_HOST_DISABLE,
    USERNAME_CLAIMS,
    ISSUER,
    PROVIDER_CHOICE,
    CA_FILE,
    AUDIENCE,
    PROMPT,
    RESOURCE,
    TOKEN,
    CREDENTIALS,
    ROLE_CHAIN,
    PROVIDER_ID,
    EXCHANGE,
    SSO_CACHE,
];

pub(super) const ROLE_ARN: &str = "role_arn";
pub(super) const ASSUME_ROLE_ARN: &str = "s3.assumerole.rolearn";
pub(super) const ROLE_SESSION_NAME: &str = "role_session_name";
pub(super) const ASSUME_ROLE_SESSION_NAME: &str = "s3.assumerole.rolesessionname";
pub(super) const DURATION_SECONDS: &str = "duration_seconds";
pub(super) const ASSUME_ROLE_DURATION_SECONDS: &str = "s3.assumerole.durationseconds";
pub(super) const ASSUME_ROLE_POLICY: &str = "s3.assumerole.policy";
pub(super) const MFA_SERIAL: &str = "mfa_serial";
pub(super) const EXTERNAL_ID: &str = "external_id";
pub(super) const SSO_REGION: &str = "sso_region";
pub(super) const SSO_START_URL: &str = "sso_start_url";
pub(super) const SSO_ACCOUNT_ID: &str = "sso_account_id";
pub(super) const SSO_ROLE_NAME: &str = "sso_role_name";
pub(super) const SSO_SESSION: &str = "sso_session";
pub(super) const WEB_IDENTITY_TOKEN_FILE: &str = "web_identity_token_file";
pub(super) const CREDENTIAL_PROCESS: &str = "credential_process";
pub(super) const VIRTUAL_HOST_DISABLE: &str = "s3.bucket.virtualhost.disable";
pub(super) const USERNAME_CLAIMS: &str = "oauth.username.claims";

// Wigeon's own. Other programs pass over properties that they do not know.
/// The issuer, for discovery and for the check of the ID token.
pub(super) const ISSUER: &str = "wigeon.issuer";
/// The provider that was chosen, where the profile allows several.
pub(super) const PROVIDER_CHOICE: &str = "wigeon.provider";
/// A PEM file of certificates to trust for all of this profile's connections.
pub(super) const CA_FILE: &str = "wigeon.ca_file";
/// The `audience` parameter of the authorization request, which some providers want.
pub(super) const AUDIENCE: &str = "wigeon.audience";
/// The `prompt` parameter of the authorization request.
pub(super) const PROMPT: &str = "wigeon.prompt";

/// The `resource` that tokens are asked for (RFC 8707).
pub(super) const RESOURCE: &str = "wigeon.resource";
/// Where the token of a workload comes from.
pub(super) const TOKEN: &str = "wigeon.token";
/// Where access keys come from.
pub(super) const CREDENTIALS: &str = "wigeon.credentials";
/// Roles to assume one after the other, after the first.
pub(super) const ROLE_CHAIN: &str = "wigeon.role_chain";
/// `ProviderId` of the exchange: a provider of AWS's own whose access tokens it takes.
pub(super) const PROVIDER_ID: &str = "wigeon.provider_id";
/// Which token is exchanged: `id-token` or `access-token`.
pub(super) const EXCHANGE: &str = "wigeon.exchange";
/// Whether a sign-in at IAM Identity Center is shared with AWS's tools.
pub(super) const SSO_CACHE: &str = "wigeon.sso_cache";

/// Which way a person wants to sign in.
pub(super) const SIGN_IN: &str = "wigeon.sign_in";
/// The store's web console.
pub(super) const CONSOLE: &str = "wigeon.console";

/// Names at the top of a TOML profile that stand for one of Wigeon's own properties.
pub(super) const SHORT_NAMES: &[(&str, &str)] = &[
    ("issuer", ISSUER),
    ("ca_file", CA_FILE),
    ("audience", AUDIENCE),
    ("prompt", PROMPT),
    ("resource", RESOURCE),
    ("token", TOKEN),
    ("credentials", CREDENTIALS),
    ("role_chain", ROLE_CHAIN),
    ("provider_id", PROVIDER_ID),
    ("exchange", EXCHANGE),
    ("sign_in", SIGN_IN),
    ("console", CONSOLE),
];
