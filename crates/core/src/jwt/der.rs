//! The two DER structures that keys come in: an X.509 certificate (RFC 5280, section 4.1), to compare its
//! key with a JWK's, and PKCS #1's RSAPublicKey (RFC 8017, appendix A.1.1), to write a JWK.
//!
//! Enters: DER. Leaves: slices of it. Refused: anything whose outer structure is another. Nothing is
//! trusted by this: a JWK whose own key and whose certificate disagree is simply not used.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;

/// The SubjectPublicKeyInfo, tag and length included.
pub(super) fn subject_public_key_info(certificate: &[u8]) -> Option<&[u8]> {
    let mut outer = Reader(certificate);
    let mut certificate = Reader(outer.element(SEQUENCE)?.content);
    let mut tbs = Reader(certificate.element(SEQUENCE)?.content);
    if tbs.0.first() == Some(&VERSION) {
        tbs.element(VERSION)?;
    }
    tbs.element(INTEGER)?; // serial number
    tbs.element(SEQUENCE)?; // signature algorithm
    tbs.element(SEQUENCE)?; // issuer
    tbs.element(SEQUENCE)?; // validity
    tbs.element(SEQUENCE)?; // subject
    Some(tbs.element(SEQUENCE)?.whole)
}

/// Modulus and exponent of an RSAPublicKey, big-endian, without leading zeros.
pub(super) fn rsa_modulus_and_exponent(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut outer = Reader(key);
    let mut key = Reader(outer.element(SEQUENCE)?.content);
    let (n, e) = (key.element(INTEGER)?.content, key.element(INTEGER)?.content);
    Some((n.strip_prefix(&[0]).unwrap_or(n), e.strip_prefix(&[0]).unwrap_or(e)))
}

struct Reader<'a>(&'a [u8]);

struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

impl<'a> Reader<'a> {
    fn element(&mut self, tag: u8) -> Option<Element<'a>> {
        let bytes = self.0;
        let (&first, rest) = bytes.split_first()?;
        if first != tag {
            return None;
        }
        let (&length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let (whole, _) = bytes.split_at_checked(bytes.len() - after.len())?;
        self.0 = after;
        Some(Element { whole, content })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_and_long_lengths() {
        let mut reader = Reader(&[0x30, 0x02, 1, 2, 0x30, 0x81, 0x01, 9, 0x30, 0x85, 0, 0, 0, 0, 0]);
        assert_eq!(reader.element(SEQUENCE).unwrap().content, [1, 2]);
        assert_eq!(reader.element(SEQUENCE).unwrap().whole, [0x30, 0x81, 0x01, 9]);
        assert!(reader.element(SEQUENCE).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = subject_public_key_info(&bytes);
            let mut framed = vec![SEQUENCE, 0x81, bytes.len() as u8];
            framed.extend(bytes);
            let _ = subject_public_key_info(&framed);
            let _ = rsa_modulus_and_exponent(&framed);
        }
    }
}
