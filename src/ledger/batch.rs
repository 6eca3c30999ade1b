//! Batches: records that wait together for a push, stored as one object under one ref. A ref for
//! each record would take longer to write and remove than the push takes.
//!
//! A batch of one record is its tag. Any other is a blob of whole tag objects, each after its
//! length in bytes on a line of its own and before a line end. Until they are published, no ref
//! leads to the tags themselves and `git gc` may prune them; they are restored from the batch.

use crate::deployment::ObjectId;
use crate::git::ObjectStore;
use crate::git::objects::ObjectError;

/// Writes the batch of these records' tags, and returns its id.
pub(super) fn write(objects: &ObjectStore, tags: &[&ObjectId]) -> Result<ObjectId, ObjectError> {
    if let [only] = tags {
        return Ok((*only).clone());
    }
    let mut content = Vec::new();
    for tag in tags {
        let tag = objects.tag_bytes(tag)?;
        content.extend_from_slice(format!("{}\n", tag.len()).as_bytes());
        content.extend_from_slice(&tag);
        content.push(b'\n');
    }
    objects.write_blob(&content)
}

/// The records' tags, restored where they were pruned, and whether the batch is whole: a truncated
/// one ends early.
pub(super) fn read(objects: &ObjectStore, batch: &ObjectId) -> Result<(Vec<ObjectId>, bool), ObjectError> {
    if objects.is_tag(batch) {
        return Ok((vec![batch.clone()], true));
    }
    let content = objects.read_blob(batch)?;
    let (tags, rest) = tags(&content);
    let restored = tags.into_iter().map(|tag| objects.restore_tag(tag)).collect::<Result<_, _>>()?;
    Ok((restored, rest.is_empty()))
}

/// The tags of a batch, and the rest that is no tag.
fn tags(mut content: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut tags = Vec::new();
    while let Some((tag, rest)) = first_tag(content) {
        tags.push(tag);
        content = rest;
    }
    (tags, content)
}

fn first_tag(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = content.iter().position(|byte| *byte == b'\n')?;
    let length: usize = std::str::from_utf8(&content[..end]).ok()?.parse().ok()?;
    let (tag, rest) = content.get(end + 1..)?.split_at_checked(length)?;
    Some((tag, rest.strip_prefix(b"\n")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_splits_into_its_tags() {
        assert_eq!(tags(b"3\na\nb\n0\n\n1\n7\n"), (vec![&b"a\nb"[..], b"", b"7"], &b""[..]));
    }

    #[test]
    fn what_is_cut_off_is_noticed() {
        for cut in [&b"3"[..], b"3\nab", b"3\nabcd\n", b"x\nabc\n", b"18446744073709551615\na\n"] {
            assert_eq!(tags(cut), (vec![], cut), "{cut:?}");
        }
        assert_eq!(tags(b"1\n7\n3\nab"), (vec![&b"7"[..]], &b"3\nab"[..]));
    }
}
