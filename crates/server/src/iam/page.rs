//! Pages of a list: `MaxItems` and `Marker` in, `IsTruncated` and `Marker` out.
//!
//! A marker names the last item of the page before, so a list that changes in between loses nothing that stays
//! and repeats nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::fault::Fault;
use super::input::Input;
use super::xml::Xml;

/// Without `MaxItems`.
const DEFAULT_ITEMS: u32 = 100;

/// The items of one page.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    marker: Option<String>,
}

impl<T> Page<T> {
    /// The page that a request asks for, of items in the order of their keys, which differ.
    pub(super) fn of<'k>(
        input: &Input<'_>,
        items: impl IntoIterator<Item = (&'k str, T)>,
    ) -> Result<Self, Fault> {
        let most = input.number("MaxItems", 1, 1000)?.unwrap_or(DEFAULT_ITEMS) as usize;
        let after = match input.optional("Marker") {
            None => None,
            Some(marker) => Some(
                URL_SAFE_NO_PAD
                    .decode(marker)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .ok_or_else(|| Fault::validation("Invalid Marker."))?,
            ),
        };
        let mut rest = items
            .into_iter()
            .skip_while(|(key, _)| after.as_deref().is_some_and(|after| *key <= after))
            .peekable();
        let (mut page, mut last) = (Vec::new(), "");
        while page.len() < most {
            let Some((key, item)) = rest.next() else { break };
            page.push(item);
            last = key;
        }
        let marker = rest.peek().is_some().then(|| URL_SAFE_NO_PAD.encode(last));
        Ok(Self { items: page, marker })
    }

    /// `IsTruncated` and `Marker`.
    pub(super) fn write(&self, xml: &mut Xml) {
        xml.flag("IsTruncated", self.marker.is_some());
        xml.optional("Marker", self.marker.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use wigeon_core::sts::Parameters;

    use super::*;

    #[test]
    fn pages_join_to_the_whole() {
        let keys = ["a", "b", "c", "d", "e"];
        for size in 1..=6_usize {
            let (mut seen, mut marker) = (Vec::new(), None::<String>);
            loop {
                let marked = marker.iter().map(|marker| format!("&Marker={marker}")).collect::<String>();
                let parameters = Parameters::parse("", &format!("MaxItems={size}{marked}")).unwrap();
                let page = Page::of(&Input(&parameters), keys.map(|key| (key, key))).unwrap();
                assert!(page.items.len() <= size);
                seen.extend(page.items);
                marker = page.marker;
                if marker.is_none() {
                    break;
                }
            }
            assert_eq!(seen, keys, "{size}");
        }
        let parameters = Parameters::parse("", "Marker=%21").unwrap();
        assert!(Page::of(&Input(&parameters), [("a", 1)]).is_err());
    }
}
