//! Whether a binary property list is as small as it looks.
//!
//! Enters: the bytes. Leaves: yes or no. In the binary form objects name each other by number, so a file of a few
//! hundred bytes can stand for more objects than any memory holds, or for lists in lists without end; a reader that
//! builds values expands them all. This walk counts first, and keeps nothing. The format is that of Apple's
//! `CFBinaryPList.c`.

/// The most bytes of content, each object counted as [`OBJECT`] bytes more.
const BUDGET: usize = 8 << 20;

/// What an object costs beside its content.
const OBJECT: usize = 256;

/// The length of the part at the end that says where everything is.
const TRAILER: usize = 32;

/// Whether the whole of it, each reference followed, stays within limits; `false` also for what is damaged.
pub(super) fn is_modest(bytes: &[u8], max_depth: usize) -> bool {
    walk(bytes, max_depth).is_some()
}

fn walk(bytes: &[u8], max_depth: usize) -> Option<()> {
    let trailer = bytes.get(bytes.len().checked_sub(TRAILER)?..)?;
    let offset_size = usize::from(*trailer.get(6)?);
    let reference_size = usize::from(*trailer.get(7)?);
    let top = number(trailer.get(16..24)?)?;
    let table = number(trailer.get(24..32)?)?;
    let mut budget = BUDGET;
    let mut pending = vec![(top, 0)];
    while let Some((object, depth)) = pending.pop() {
        let entry = table.checked_add(object.checked_mul(offset_size)?)?;
        let at = number(bytes.get(entry..entry.checked_add(offset_size)?)?)?;
        let Object { content, references, unit } = Object::read(bytes, at)?;
        budget = budget.checked_sub(references.checked_mul(unit)?.checked_add(OBJECT)?)?;
        if unit > 0 {
            continue;
        }
        if depth >= max_depth {
            return None;
        }
        budget = budget.checked_sub(references.checked_mul(OBJECT)?)?;
        for index in 0..references {
            let from = content.checked_add(index.checked_mul(reference_size)?)?;
            let child = number(bytes.get(from..from.checked_add(reference_size)?)?)?;
            pending.push((child, depth + 1));
        }
    }
    Some(())
}

struct Object {
    /// Where its content begins.
    content: usize,
    /// How many units or references.
    references: usize,
    /// The bytes of a unit; 0 for references to other objects.
    unit: usize,
}

impl Object {
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let marker = *bytes.get(at)?;
        let (kind, low) = (marker >> 4, usize::from(marker & 15));
        let mut content = at.checked_add(1)?;
        let mut count = low;
        if low == 15 && kind >= 4 {
            // A longer count is an integer object of its own.
            let length = 1_usize << (bytes.get(content)? & 15).min(4);
            let from = content.checked_add(1)?;
            content = from.checked_add(length)?;
            count = number(bytes.get(from..content)?)?;
        }
        Some(match kind {
            0xa | 0xc => Self { content, references: count, unit: 0 },
            0xd => Self { content, references: count.checked_mul(2)?, unit: 0 },
            0x6 => Self { content, references: count, unit: 2 },
            0x4 | 0x5 | 0x7 => Self { content, references: count, unit: 1 },
            // Numbers, dates, booleans.
            _ => Self { content, references: 16, unit: 1 },
        })
    }
}

/// Big-endian.
fn number(bytes: &[u8]) -> Option<usize> {
    bytes.iter().try_fold(0_usize, |number, byte| number.checked_mul(256)?.checked_add(usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A list of these objects, of which the last is the outermost; references have two bytes.
    fn file(objects: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"bplist00".to_vec();
        let mut offsets = Vec::new();
        for object in objects {
            offsets.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            bytes.extend(object);
        }
        let table = bytes.len() as u64;
        bytes.extend(offsets);
        bytes.extend([0, 0, 0, 0, 0, 0, 4, 2]);
        for number in [objects.len() as u64, objects.len() as u64 - 1, table] {
            bytes.extend(number.to_be_bytes());
        }
        bytes
    }

    fn list(children: &[u16]) -> Vec<u8> {
        let mut object = vec![0xa0 | u8::try_from(children.len()).unwrap()];
        object.extend(children.iter().flat_map(|child| child.to_be_bytes()));
        object
    }

    #[test]
    fn what_a_tool_writes_is_read() {
        let mut dictionary = plist::Dictionary::new();
        dictionary.insert("Disk".into(), plist::Value::Data(vec![7; 200_000]));
        dictionary.insert("Scopes".into(), plist::Value::Array(vec!["openid".into(), "ü".into(), 7.into()]));
        let mut bytes = Vec::new();
        plist::Value::Dictionary(dictionary).to_writer_binary(&mut bytes).unwrap();
        assert!(is_modest(&bytes, 32));
    }

    #[test]
    fn bombs_are_seen() {
        let mut laughs = vec![b"\x51a".to_vec()];
        laughs.extend((0..30_u16).map(|below| list(&[below; 10])));
        assert!(!is_modest(&file(&laughs), 32));
        let mut deep = vec![b"\x51a".to_vec()];
        deep.extend((0..60_000_u16).map(|below| list(&[below])));
        assert!(!is_modest(&file(&deep), 32));
        let mut wide = vec![[&[0x4f, 0x12, 0, 0x10, 0, 0][..], &vec![7; 1 << 20]].concat()];
        wide.extend([list(&[0; 14])]);
        assert!(!is_modest(&file(&wide), 32));
        assert!(!is_modest(&file(&[list(&[0])]), 32), "a list in itself");
        assert!(is_modest(&file(&[b"\x51a".to_vec(), list(&[0, 0])]), 32));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = is_modest(&bytes, 32);
        }
    }
}
