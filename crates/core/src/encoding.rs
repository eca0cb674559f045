//! Percent encoding as Signature Version 4 defines it ("UriEncode"), and its one decoding; base64url as tokens have it.

use std::borrow::Cow;

use std::sync::LazyLock;

use base64::Engine as _;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use base64::engine::GeneralPurpose;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use base64::engine::Simd;
use base64::engine::general_purpose::NO_PAD;

/// With the processor's instructions for many bytes at once, where it has them: tokens are long.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static BASE64_URL: LazyLock<Simd> = LazyLock::new(|| Simd::url_safe(NO_PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static BASE64_URL: LazyLock<GeneralPurpose> =
    LazyLock::new(|| GeneralPurpose::new(&base64::alphabet::URL_SAFE, NO_PAD));

/// base64url without padding (RFC 7515, section 2).
#[must_use]
pub fn base64_url(bytes: &[u8]) -> String {
    BASE64_URL.encode(bytes)
}

/// Reads base64url. `None` for padding, other characters, and bits beyond the last byte: each sequence of bytes has one
/// text.
#[must_use]
pub fn base64_url_decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL.decode(text).ok()
}

/// Decodes `%XX` once; `+` stays. `None` for a malformed escape or for bytes that are not UTF-8.
#[must_use]
pub fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.as_bytes().contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    String::from_utf8(percent_decode_bytes(text)?).ok().map(Cow::Owned)
}

fn percent_decode_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    Some(decoded)
}

/// Percent-encodes everything but `A–Z a–z 0–9 - . _ ~`, and `/` where `keep_slash` (the "UriEncode" of
/// Signature Version 4).
#[must_use]
pub fn percent_encode(text: &str, keep_slash: bool) -> String {
    let mut encoded = String::with_capacity(text.len() + text.len() / 4);
    encode_into(&mut encoded, text.as_bytes(), keep_slash);
    encoded
}

pub(crate) fn encode_into(to: &mut String, bytes: &[u8], keep_slash: bool) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let stays = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || (keep_slash && *byte == b'/')
    };
    // Most of a text stays as it is, and is copied as a whole.
    for run in bytes.split_inclusive(|byte| !stays(byte)) {
        let (plain, encoded) = match run.split_last() {
            Some((last, plain)) if !stays(last) => (plain, Some(last)),
            _ => (run, None),
        };
        to.push_str(std::str::from_utf8(plain).unwrap_or_default());
        if let Some(byte) = encoded {
            to.push('%');
            to.extend(HEX.get(usize::from(byte >> 4)));
            to.extend(HEX.get(usize::from(byte & 15)));
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn base64_url_is_that_of_the_plain_engine(bytes in vec(any::<u8>(), 0..300), text in "[A-Za-z0-9_=+/-]{0,200}") {
            let written = base64_url(&bytes);
            prop_assert_eq!(&written, &URL_SAFE_NO_PAD.encode(&bytes));
            prop_assert_eq!(base64_url_decode(&written), Some(bytes));
            prop_assert_eq!(base64_url_decode(&text), URL_SAFE_NO_PAD.decode(&text).ok());
        }
    }

    #[test]
    fn base64_url_has_one_text_for_each_sequence_of_bytes() {
        let long = "A".repeat(130);
        assert_eq!(base64_url_decode(&format!("{long}QQ")).map(|bytes| bytes.len()), Some(99));
        for broken in ["QR", "QQ==", "Q", "Q+", "Q Q", "QQ\n"] {
            assert_eq!(base64_url_decode(broken), None, "{broken}");
            assert_eq!(base64_url_decode(&format!("{long}AA{broken}")), None, "{broken}");
        }
    }

    #[test]
    fn encoding_round_trips() {
        let text = "a b/ü?&=+%\u{7f}~-._";
        assert_eq!(percent_encode(text, true), "a%20b/%C3%BC%3F%26%3D%2B%25%7F~-._");
        assert_eq!(percent_decode(&percent_encode(text, false)).as_deref(), Some(text));
    }
}
