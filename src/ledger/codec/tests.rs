//! Tests of the codec.

use proptest::prelude::*;

use super::*;
use crate::deployment::ComponentKind;
use crate::deployment::record::{Record, RecordDetails, RecordStatus};

fn decode(message: &str) -> Result<Record, CodecError> {
    let (deployment, target, component) =
        ("payment-service".parse().unwrap(), "prod".parse().unwrap(), "api".parse().unwrap());
    let found = Found {
        deployment: &deployment,
        target: &target,
        component: &component,
        timestamp: "2025-01-22T10:30:00Z".parse().unwrap(),
        commit: "a".repeat(40).parse().unwrap(),
    };
    decode_record(message.as_bytes(), found)
}

#[test]
fn every_example_of_the_specification_reads() {
    let git_tracking = "atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployment: payment-service\ntarget: prod\n\
        component: api\ndeployed_by: ci@example.com\nbuild_id: abc123\ngit_sha: abc123def456789\n\
        timestamp: 2025-01-22T10:30:00Z\nstatus: success\nmetadata:\n  pr: \"#482\"\n  jira: PROJ-123\n  \
        approver: user@example.com\nrollback_of: null\n";
    let record = decode(git_tracking).unwrap();
    assert_eq!(record.deployed_by.as_deref(), Some("ci@example.com"));
    assert_eq!(record.metadata["pr"], "#482");
    assert_eq!(record.rollback_of, None);
    assert_eq!(record.commit.as_str(), "a".repeat(40), "a short id gives way to the tag's target");

    let promoted = decode(
        "atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployment: payment-service\ntarget: prod\ncomponent: api\n\
        timestamp: 2025-01-22T12:00:00Z\nstatus: success\npromoted_from: staging  # Source target\n\
        promoted_at: 2025-01-22T12:00:00Z\nmetadata:\n  approval_timestamp: 2025-01-22T11:55:00Z\n",
    )
    .unwrap();
    assert_eq!(promoted.promoted_from.unwrap().as_str(), "staging");
    assert_eq!(promoted.metadata["approval_timestamp"], "2025-01-22T11:55:00Z");

    // The specification's own code writes the kind once more inside the YAML.
    let doubled =
        "atmos.tools/v1alpha1\nkind: Deployment\n---\nkind: Deployment\ndeployment: x\nstatus: failed\n";
    assert_eq!(decode(doubled).unwrap().status, RecordStatus::Failed);
}

#[test]
fn line_ends_blank_lines_and_signatures_do_not_matter() {
    let message = "\r\natmos.tools/v1alpha1\r\nkind: Deployment\r\n---\r\nstatus: success\r\nmetadata:\r\n  \
        why: |\r\n    one\r\n\r\n    two\r\n-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n";
    assert_eq!(decode(message).unwrap().metadata["why"], "one\n\ntwo\n");
}

#[test]
fn numbers_that_are_not_meant_as_numbers_stay_text() {
    let record =
        decode("atmos.tools/v1alpha1\nkind: Deployment\n---\nbuild_id: 12e4567\nrollback_of: 0123456\n");
    let record = record.unwrap();
    assert_eq!(record.build_id.as_deref(), Some("12e4567"));
    assert_eq!(record.rollback_of.as_deref(), Some("0123456"));
}

#[test]
fn a_rollback_of_what_is_no_object_id_is_no_rollback() {
    for (written, read) in [
        ("\"\"", None),
        ("null", None),
        ("012", None),
        ("v1.2.3", None),
        ("0123456 ", Some("0123456")),
        ("ABCDEF0", Some("abcdef0")),
    ] {
        let message = format!(
            "atmos.tools/v1alpha1\nkind: Deployment\n---\nrollback_of: {written}\npromoted_from: \"\"\n"
        );
        let record = decode(&message).unwrap();
        assert_eq!(record.rollback_of.as_deref(), read, "{written}");
        assert_eq!(record.promoted_from, None);
    }
}

#[test]
fn unknown_fields_are_kept() {
    let record =
        decode("atmos.tools/v1alpha1\nkind: Deployment\n---\nstatus: success\nregion: [eu, us]\n").unwrap();
    assert_eq!(record.unknown["region"], serde_json::json!(["eu", "us"]));
}

#[test]
fn what_is_no_record_of_ours_is_told_apart() {
    assert_eq!(decode("v1.2.3\n"), Err(CodecError::NotARecord));
    assert_eq!(
        decode("atmos.tools/v9\nkind: Deployment\n---\n"),
        Err(CodecError::UnknownVersion("atmos.tools/v9".to_owned()))
    );
    assert!(matches!(
        decode("atmos.tools/v1alpha1\nkind: Release\n---\n"),
        Err(CodecError::WrongKind { .. })
    ));
    assert!(matches!(
        decode("atmos.tools/v1alpha1\nkind: Deployment\n---\na: &a [x]\nb: [*a, *a]\n"),
        Err(CodecError::Yaml(_))
    ));
    assert!(matches!(
        decode("atmos.tools/v1alpha1\nkind: Deployment\n---\nstatus: exploded\n"),
        Err(CodecError::Field { field: "status", .. })
    ));
}

/// A record with every field, each with a value of its own.
fn full() -> Record {
    let mut record = decode("atmos.tools/v1alpha1\nkind: Deployment\n---\nstatus: failed\n").unwrap();
    let text = |text: &str| Some(text.to_owned());
    let map = |entries: &[(&str, &str)]| {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    record.component_type = ComponentKind::parse("terraform");
    record.deployed_by = text("ada@example.com");
    record.build_id = text("b-1");
    record.promoted_from = "staging".parse().ok();
    record.promoted_at = Some(record.timestamp);
    record.rollback_of = Some("b".repeat(40));
    record.previous = "c".repeat(40).parse().ok();
    record.run_id = text("github:123456789/1");
    record.artifacts = map(&[("api", "registry.example.com/api@sha256:01")]);
    record.sources = map(&[("vendor/vpc", "sha256:02")]);
    record.context_overrides = map(&[("cpu", "2"), ("tags.team", "payments")]);
    record.metadata = map(&[("pr", "#482")]);
    record.details = RecordDetails {
        number: Some(12),
        error: text("Error: cannot apply"),
        duration_seconds: Some(75),
        run_url: text("https://ci.example.com/runs/1"),
        digest: text("v1:sha256:03"),
        rules: text("stale 04"),
        approvals: vec!["sha256:05".to_owned(), "sha256:06".to_owned()],
        approvals_of: text("seen"),
        gate_override: text("incident 42: soak"),
        reason: text("a hotfix"),
        workspace: text("prod-eu"),
        stack: text("07"),
        late_of: Some("d".repeat(40)),
        published_by: text("grace@example.com"),
        original: text("object 08\ntype commit\n\natmos.tools/v1alpha1\n-----BEGIN SSH SIGNATURE-----\n"),
        retired: text("true"),
        renamed_from: text("worker"),
        imported_from: text("spinnaker"),
        repository: text("https://example.com/payments.git"),
    };
    record
}

#[test]
fn a_full_record_is_written_so() {
    insta::assert_snapshot!("full_record", encode_record(&full()));
    assert_eq!(decode(&encode_record(&full())), Ok(full()));
}

#[test]
fn a_record_of_our_form_needs_no_parser() {
    let text = encode_record(&full());
    let body = Message::split(&text).unwrap().body;
    let quick = canonical::read(&body).and_then(record::RecordFields::from_canonical);
    assert_eq!(quick, Some(parse(&body).unwrap()));
}

#[test]
fn a_wrong_type_costs_only_the_field() {
    let fields = |fields: &str| {
        decode(&format!("atmos.tools/v1alpha1\nkind: Deployment\n---\ndeployed_by: 0123\n{fields}\n"))
            .unwrap()
    };
    for number in ["number: x", "number: -1", "number: 1.5", "number: [1]", "number: \"1\"", "number: null"] {
        assert_eq!(fields(number).details, RecordDetails::default(), "{number}");
        assert_eq!(fields(number).deployed_by.as_deref(), Some("0123"), "{number}");
    }
    for nothing in
        ["error: [a]", "digest: {a: b}", "approvals: {a: b}", "approvals:", "sources: x", "original:"]
    {
        let record = fields(nothing);
        assert_eq!(record.details, RecordDetails::default(), "{nothing}");
        assert!(record.sources.is_empty() && record.unknown.is_empty(), "{nothing}");
    }
    assert_eq!(fields("approvals: sha256:01").details.approvals, ["sha256:01"]);
    assert_eq!(fields("approvals: [sha256:01, 2, null]").details.approvals, ["sha256:01", "2"]);
    assert_eq!(fields("context_overrides:\n  cpu: 2").context_overrides["cpu"], "2");
    let mixed = fields("error: [a]\nnumber: 3\nreason: why\nregion: eu\nmetadata:\n  pr: 4");
    assert_eq!((mixed.details.number, mixed.details.reason.as_deref()), (Some(3), Some("why")));
    assert_eq!((mixed.metadata["pr"].as_str(), &mixed.unknown["region"]), ("4", &"eu".into()));
    // Fields of the first version stay strict.
    for field in ["deployed_by: [a]", "artifacts: x", "metadata: x"] {
        let message = format!("atmos.tools/v1alpha1\nkind: Deployment\n---\nerror: [a]\n{field}\n");
        assert!(matches!(decode(&message), Err(CodecError::Yaml(_))), "{field}");
    }
}

#[test]
fn reserved_fields_are_kept_as_text_whatever_their_type() {
    let message = "atmos.tools/v1alpha1\nkind: Deployment\n---\nretired: true\nrenamed_from: 0123\n\
        repository: 1.0\nimported_from: 2025-01-22\noriginal: |\n  a\n\n  b\n";
    let record = decode(message).unwrap();
    let details = &record.details;
    assert_eq!(details.retired.as_deref(), Some("true"));
    assert_eq!(details.renamed_from.as_deref(), Some("0123"));
    assert_eq!(details.repository.as_deref(), Some("1.0"));
    assert_eq!(details.imported_from.as_deref(), Some("2025-01-22"));
    assert_eq!(details.original.as_deref(), Some("a\n\nb\n"));
    assert_eq!(decode(&encode_record(&record)), Ok(record));
}

#[test]
fn a_signature_marker_inside_a_line_does_not_cut_the_record() {
    let note = "x -----BEGIN PGP SIGNATURE-----";
    let mut record = full();
    record.metadata.insert("note".to_owned(), note.to_owned());
    let signed = format!("{}-----BEGIN PGP SIGNATURE-----\nx\n", encode_record(&record));
    assert_eq!(decode(&signed), Ok(record));
    let plain = decode(&format!("atmos.tools/v1alpha1\nkind: Deployment\n---\nmetadata:\n  note: {note}\n"));
    assert_eq!(plain.unwrap().metadata["note"], note);
}

#[test]
fn the_time_is_what_the_record_says_and_else_that_of_its_name() {
    let time = |fields: &str| {
        let message = format!("atmos.tools/v1alpha1\nkind: Deployment\n---\nstatus: success\n{fields}");
        decode(&message).unwrap().timestamp.to_string()
    };
    assert_eq!(time("timestamp: 2025-01-23T08:00:00Z\n"), "2025-01-23T08:00:00Z");
    assert_eq!(time(""), "2025-01-22T10:30:00Z");
}

/// A record with any values in any of its fields.
fn any_record() -> impl Strategy<Value = Record> {
    let status =
        prop::sample::select(vec![RecordStatus::Success, RecordStatus::Failed, RecordStatus::Cancelled]);
    let texts = prop::collection::vec(prop::option::of("(?s).*"), 20);
    let maps = prop::collection::vec(prop::collection::btree_map("[a-z_.%#\": ]{1,12}", "(?s).*", 0..4), 4);
    let numbers = prop::collection::vec(prop::option::of(any::<u64>()), 2);
    let left = prop::option::of("[0-9a-f]{4,40}");
    (status, texts, maps, numbers, prop::collection::vec(".*", 0..4), any::<bool>(), left).prop_map(
        |(status, texts, maps, numbers, approvals, promoted, left)| {
            let mut record = full();
            let mut texts = texts.into_iter();
            let mut text = || texts.next().flatten();
            record.status = status;
            record.deployed_by = text();
            record.build_id = text();
            record.rollback_of = left;
            record.run_id = text();
            record.details = RecordDetails {
                number: numbers[0],
                error: text(),
                duration_seconds: numbers[1],
                run_url: text(),
                digest: text(),
                rules: text(),
                approvals,
                approvals_of: text(),
                gate_override: text(),
                reason: text(),
                workspace: text(),
                stack: text(),
                late_of: text(),
                published_by: text(),
                original: text(),
                retired: text(),
                renamed_from: text(),
                imported_from: text(),
                repository: text(),
            };
            if !promoted {
                record.promoted_from = None;
                record.promoted_at = None;
                record.previous = None;
            }
            let mut maps = maps.into_iter();
            let mut map = || maps.next().unwrap_or_default();
            record.artifacts = map();
            record.sources = map();
            record.context_overrides = map();
            record.metadata = map();
            record
        },
    )
}

proptest! {
    #[test]
    fn a_record_reads_back_as_it_was_written(record in any_record()) {
        prop_assert_eq!(decode(&encode_record(&record)), Ok(record));
    }

    #[test]
    fn no_message_whatsoever_is_a_panic(message in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_lock(&message);
        let _ = decode_build(&message);
    }
}
