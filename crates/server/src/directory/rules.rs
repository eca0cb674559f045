//! What names, paths, addresses, thumbprints and tags may be, the same for a file and for the API.
//!
//! Source: AWS IAM API Reference, the parameters of the actions; "IAM and STS quotas".

use url::Url;

/// Issuers whose claims would read as the keys of a service: `https://aws` would own `aws:…`.
pub(super) const RESERVED: [&str; 7] = ["aws", "ec2", "iam", "jwt", "s3", "saml", "sts"];

/// `[\w+=,.@-]+`, up to `max` characters.
#[must_use]
pub(super) fn is_name(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(is_name_byte)
}

/// A character of a name.
#[must_use]
pub fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

/// `/`, or `/…/` of graphic characters, up to 512 of them.
#[must_use]
pub fn is_path(text: &str) -> bool {
    let ends = text.starts_with('/') && text.ends_with('/') && text.len() <= 512;
    ends && text.bytes().all(|byte| byte.is_ascii_graphic()) && text != "//" && !text.contains("//")
}

/// 40 hexadecimal digits.
#[must_use]
pub(super) fn is_thumbprint(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`: a character of a tag's key or value.
#[must_use]
pub fn is_tag_char(char: char) -> bool {
    char.is_alphanumeric() || (char.is_whitespace() && !char.is_control()) || "_.:/=+-@".contains(char)
}

/// An issuer or a JWKS address: `https`, or `http` to this machine, without credentials, query or fragment.
pub(super) fn check_address(text: &str, allow_http: bool) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not an address: {error}"))?;
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(format!("`{text}` has no host")),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback || allow_http => {}
        "http" => {
            return Err(format!("`{text}` would be read unprotected; use https, or set `allow_http = true`"));
        }
        scheme => return Err(format!("`{scheme}` is not http or https")),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(format!("`{text}` may have no user name, password or fragment"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for path in ["/", "/a/", "/team/x!/"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", "a", "/a", "a/", "//", "/a//b/", "/ä/", "/a b/", &format!("/{}/", "x".repeat(511))]
        {
            assert!(!is_path(path), "{path}");
        }
    }

    #[test]
    fn tag_characters() {
        assert!("Größe 1_.:/=+-@".chars().all(is_tag_char));
        assert!(!"a\n#&<".chars().skip(1).any(is_tag_char));
    }
}
