//! Tests of the format, by vectors and by properties.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// `tests/vectors/digest-v1.json`.
#[derive(Deserialize)]
struct Vectors {
    components: Vec<ComponentVector>,
    plans: Vec<PlanVector>,
}

#[derive(Deserialize)]
struct ComponentVector {
    what: String,
    input: VectorInput,
    canonical: String,
    digest: Digest,
}

#[derive(Deserialize)]
struct PlanVector {
    what: String,
    components: BTreeMap<ComponentName, Digest>,
    canonical: String,
    digest: Digest,
}

/// An input as written in the vectors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VectorInput {
    version: u32,
    deployment: DeploymentName,
    target: TargetName,
    name: ComponentName,
    r#type: ComponentKind,
    action: String,
    promoted_from: Option<TargetName>,
    commit: CommitId,
    artifacts: BTreeMap<String, String>,
    sources: BTreeMap<String, String>,
    context_overrides: BTreeMap<String, String>,
    configuration: Value,
    promotion: String,
}

impl From<VectorInput> for DigestInput {
    fn from(input: VectorInput) -> Self {
        assert_eq!(input.version, VERSION);
        Self {
            deployment: input.deployment,
            target: input.target,
            name: input.name,
            kind: input.r#type,
            action: match (input.action.as_str(), input.promoted_from) {
                ("commit", None) => DigestAction::Commit,
                ("promote", Some(from)) => DigestAction::Promote { from },
                other => panic!("{other:?}"),
            },
            commit: input.commit,
            artifacts: input.artifacts,
            sources: input.sources,
            context_overrides: input.context_overrides,
            configuration: input.configuration,
            promotion: input.promotion,
        }
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/vectors/digest-v1.json")).unwrap()
}

#[test]
fn the_published_vectors_hold() {
    let Vectors { components, plans } = vectors();
    assert!(components.len() >= 5 && plans.len() >= 3);
    for ComponentVector { what, input, canonical, digest } in components {
        let input = input.into();
        assert_eq!(canonical_text(&input), canonical, "{what}");
        assert_eq!(component_digest(&input), digest, "{what}");
    }
    for PlanVector { what, components, canonical, digest } in plans {
        assert_eq!(Digest::of(&canonical), digest, "{what}");
        assert_eq!(plan_digest(&components), digest, "{what}");
    }
}

#[test]
fn the_document_shows_a_vector() {
    let document = include_str!("../../../docs/digest.md");
    let vectors = vectors();
    let shown = |canonical: &str, digest: &Digest| {
        document.contains(canonical.trim_end()) && document.contains(digest.as_str())
    };
    assert!(vectors.components.iter().any(|vector| shown(&vector.canonical, &vector.digest)));
    assert!(vectors.plans.iter().any(|vector| shown(&vector.canonical, &vector.digest)));
}

fn example() -> DigestInput {
    DigestInput {
        deployment: "payment-service".parse().unwrap(),
        target: "staging".parse().unwrap(),
        name: "api".parse().unwrap(),
        kind: ComponentKind::Command,
        action: DigestAction::Promote { from: "dev".parse().unwrap() },
        commit: "1".repeat(40).parse().unwrap(),
        artifacts: BTreeMap::new(),
        sources: BTreeMap::new(),
        context_overrides: BTreeMap::new(),
        configuration: json!({"vars": {"port": 8080}}),
        promotion: "sha256:aa".to_owned(),
    }
}

#[test]
fn a_digest_is_for_one_target_of_one_deployment() {
    let digest = component_digest(&example());
    let target = "prod".parse().unwrap();
    assert_ne!(component_digest(&DigestInput { target, ..example() }), digest);
    let deployment = "order-service".parse().unwrap();
    assert_ne!(component_digest(&DigestInput { deployment, ..example() }), digest);
}

#[test]
fn numbers_that_no_double_holds_stay_apart() {
    let of = |text: &str| {
        let configuration = serde_json::from_str(text).unwrap();
        component_digest(&DigestInput { configuration, ..example() })
    };
    assert_ne!(of("9007199254740992"), of("9007199254740993"));
    assert_ne!(of("18446744073709551615"), of("18446744073709551614"));
    assert_ne!(of("-9223372036854775808"), of("-9223372036854775807"));
    assert_ne!(of("9007199254740993"), of("-9007199254740993"));
    assert_ne!(of("9007199254740993"), of(r#""9007199254740993""#));
    assert_ne!(of("9007199254740993"), of(r#"{"$number": "9007199254740993"}"#));
    assert_ne!(of(r#"{"$number": "1"}"#), of(r#"{"$$number": "1"}"#));
    assert_ne!(of("1"), of(r#""1""#));
    assert_eq!(of("1"), of("1.0"));
    assert_eq!(of(r#"{"a": 1, "b": [2, 3]}"#), of(r#"{"b": [2, 3], "a": 1}"#));
    assert_ne!(of("[2, 3]"), of("[3, 2]"));
}

#[test]
fn a_digest_that_is_none_says_why() {
    let digest = component_digest(&example());
    assert_eq!(digest.as_str().parse::<Digest>().unwrap(), digest);
    assert_eq!(serde_json::to_value(&digest).unwrap(), json!(digest.as_str()));
    let refused = |text: &str| text.parse::<Digest>().unwrap_err();
    for empty in ["", " ", "\n"] {
        assert_eq!(refused(empty), DigestError::Empty);
    }
    let digits = "a".repeat(64);
    for other in [format!("sha256:{digits}"), format!("v2:sha256:{digits}"), "v10:x".to_owned()] {
        assert_eq!(refused(&other), DigestError::OtherVersion, "{other}");
    }
    let upper = digits.to_uppercase();
    for wrong in [
        digits.clone(),
        "sha256:abc".to_owned(),
        format!("v1:sha256:{upper}"),
        format!("v1:sha256:{digits}0"),
        format!("v1:sha512:{digits}"),
        format!(" v1:sha256:{digits}"),
        "none".to_owned(),
        "v1".to_owned(),
    ] {
        assert_eq!(refused(&wrong), DigestError::NotADigest, "{wrong}");
    }
    assert!(refused("v2:x").to_string().contains("plan again"));
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,12}"
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("\\PC{0,8}", "\\PC{0,8}", 0..4)
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[$a-c]{0,3}|\\PC{1,4}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn input()(
        (deployment, target, component, from) in (name(), name(), name(), prop::option::of(name())),
        kind in prop::sample::select(ComponentKind::ALL.to_vec()),
        commit in "[0-9a-f]{40}",
        (artifacts, sources, context_overrides) in (texts(), texts(), texts()),
        configuration in json_value(),
        promotion in "\\PC{0,12}",
    ) -> DigestInput {
        DigestInput {
            deployment: deployment.parse().unwrap(),
            target: target.parse().unwrap(),
            name: component.parse().unwrap(),
            kind,
            action: match from {
                Some(from) => DigestAction::Promote { from: from.parse().unwrap() },
                None => DigestAction::Commit,
            },
            commit: commit.parse().unwrap(),
            artifacts,
            sources,
            context_overrides,
            configuration,
            promotion,
        }
    }
}

/// The input with one field of the other.
fn with_field_of(input: &DigestInput, other: &DigestInput, field: usize) -> DigestInput {
    let (mut changed, other) = (input.clone(), other.clone());
    match field {
        0 => changed.deployment = other.deployment,
        1 => changed.target = other.target,
        2 => changed.name = other.name,
        3 => changed.kind = other.kind,
        4 => changed.action = other.action,
        5 => changed.commit = other.commit,
        6 => changed.artifacts = other.artifacts,
        7 => changed.sources = other.sources,
        8 => changed.context_overrides = other.context_overrides,
        9 => changed.configuration = other.configuration,
        _ => changed.promotion = other.promotion,
    }
    changed
}

/// The value with the keys of every map in the opposite order.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(reversed).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().rev().map(|(key, value)| (key.clone(), reversed(value))).collect())
        }
        other => other.clone(),
    }
}

/// Normalises the values that JSON does not distinguish: `1` and `1.0`.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "the numbers here are small")]
            Some(float) if number.is_f64() && float.fract() == 0.0 => Value::from(float as i64),
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn any_change_of_a_field_changes_the_digest(one in input(), other in input(), field in 0..11_usize) {
        let changed = with_field_of(&one, &other, field);
        let same = DigestInput { configuration: Value::Null, ..one.clone() }
            == DigestInput { configuration: Value::Null, ..changed.clone() }
            && plain(&one.configuration) == plain(&changed.configuration);
        prop_assert_eq!(component_digest(&one) == component_digest(&changed), same);
    }

    #[test]
    fn the_order_of_maps_and_equal_inputs_never_do(one in input()) {
        let other = DigestInput { configuration: reversed(&one.configuration), ..one.clone() };
        prop_assert_eq!(component_digest(&one), component_digest(&one.clone()));
        prop_assert_eq!(component_digest(&one), component_digest(&other));
    }

    #[test]
    fn what_is_written_is_read_back(one in input()) {
        let digest = component_digest(&one);
        prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
    }

    #[test]
    fn a_plan_is_its_components(
        names in prop::collection::btree_map("[a-c /]{1,3}", "[0-9a-f]{64}", 1..5),
        digest in "[0-9a-f]{64}",
    ) {
        let components: BTreeMap<ComponentName, Digest> = names
            .iter()
            .filter_map(|(name, digits)| Some((name.parse().ok()?, Digest(format!("{PREFIX}{digits}")))))
            .collect();
        for name in components.keys() {
            let mut changed = components.clone();
            changed.remove(name);
            prop_assert_ne!(plan_digest(&components), plan_digest(&changed));
            let digest = Digest(format!("{PREFIX}{digest}"));
            let same = changed.insert(name.clone(), digest.clone()).is_none() && components[name] == digest;
            prop_assert_eq!(plan_digest(&components) == plan_digest(&changed), same);
        }
    }
}
