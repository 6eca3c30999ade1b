use std::collections::BTreeMap;

use super::super::content::{Entry, Kind};
use super::*;

fn content(text: &str) -> Content {
    let entry = Entry { kind: Kind::File, content: text.as_bytes().to_vec() };
    Content::new(BTreeMap::from([("main.tf".to_owned(), entry)]), "place").unwrap()
}

fn now(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const DAY: &str = "2025-01-22T12:00:00Z";

#[test]
fn content_is_stored_once_and_verified_when_it_is_used() {
    let place = tempfile::tempdir().unwrap();
    let cache = Cache::new(place.path().join("cache"));
    let one = cache.store(&content("one"), now(DAY)).unwrap();
    let again = cache.store(&content("one"), now("2025-01-23T12:00:00Z")).unwrap();
    assert_eq!(one.folder, again.folder);
    assert_eq!(one.folder.file_name().unwrap().to_str(), one.digest.strip_prefix("sha256:"));
    assert_eq!(cache.index().unwrap().objects[&one.digest].created_at, now(DAY));
    assert_eq!(cache.get(&one.digest).unwrap().unwrap().content, content("one"));
    assert!(cache.get(&format!("sha256:{}", "0".repeat(64))).unwrap().is_none());
    for wrong in ["sha256:../x", "md5:0", ""] {
        assert!(cache.get(wrong).unwrap().is_none(), "{wrong}");
    }
    let file = one.folder.join("main.tf");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "onE").unwrap();
    let error = cache.get(&one.digest).unwrap_err();
    assert!(matches!(error, VendorError::Altered { .. }), "{error}");
    fs::write(&file, "one").unwrap();
    fs::write(one.folder.join("more.tf"), "").unwrap();
    assert!(cache.get(&one.digest).is_err(), "a file was added");
}

#[test]
fn many_at_once_store_the_same() {
    let place = tempfile::tempdir().unwrap();
    let cache = Cache::new(place.path().join("cache"));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| cache.store(&content("one"), now(DAY)).unwrap());
        }
    });
    assert_eq!(cache.index().unwrap().objects.len(), 1);
    assert_eq!(fs::read_dir(cache.root().join(STAGING)).unwrap().count(), 0);
}

#[test]
fn a_cleaning_removes_what_is_old_damaged_or_left_behind() {
    let place = tempfile::tempdir().unwrap();
    let cache = Cache::new(place.path().join("cache"));
    let [old, new, damaged] = ["old", "new", "damaged"].map(|text| {
        let at = if text == "old" { "2024-12-01T12:00:00Z" } else { DAY };
        cache.store(&content(text), now(at)).unwrap()
    });
    let file = damaged.folder.join("main.tf");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "DAMAGED").unwrap();
    // A staging folder without a process, as a killed one leaves it, and one in use.
    fs::create_dir_all(cache.root().join(STAGING).join("killed/content")).unwrap();
    let in_use = cache.staging().unwrap();
    let clean = |days: Option<u64>, is_dry_run| {
        let limit = days.map(|days| Duration::from_hours(24 * days));
        cache.clean(limit, now(DAY), is_dry_run).unwrap()
    };
    let expected = Cleaned { digests: vec![damaged.digest.clone()], bytes: 7, left_behind: 1 };
    assert_eq!(clean(None, true), expected);
    assert_eq!(clean(None, false), expected);
    assert!(!damaged.folder.exists() && old.folder.exists() && in_use.folder.exists());
    assert_eq!(clean(Some(30), false).digests, std::slice::from_ref(&old.digest));
    assert!(new.folder.exists() && !old.folder.exists());
    assert_eq!(cache.index().unwrap().objects.keys().collect::<Vec<_>>(), [&new.digest]);
    assert_eq!(clean(Some(30), false), Cleaned::default());
}
