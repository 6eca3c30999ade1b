use super::*;
use crate::config::DirectorySource;

struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn entries(&self) -> Result<Vec<VendorEntry>, String> {
        let source = DirectorySource::new(self.0.path());
        entries(&source, "vendor.yaml").map(Option::unwrap).map_err(|error| error.to_string())
    }
}

#[test]
fn atmos_s_own_manifest_is_read_with_its_imports() {
    let files = Files::new(&[
        (
            "vendor.yaml",
            "apiVersion: atmos/v1\nkind: AtmosVendorConfig\nspec:\n  imports: [vendor/more]\n  sources:\n    - \
             component: vpc\n      source: github.com/o/r//{{ .Component }}?ref={{.Version}}\n      version: 1.2.3\n      \
             targets: ['components/terraform/{{ .Component }}']\n      included_paths: ['**/*.tf']\n      tags: \
             [net]\n",
        ),
        (
            "vendor/more.yaml",
            "spec: { components: [{ source: ./x, targets: [ecs], labels: { environment: [dev] } }] }",
        ),
    ]);
    let entries = files.entries().unwrap();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.source.as_str(), entry.components.join(" "), entry.at.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "github.com/o/r//vpc?ref=1.2.3",
                "components/terraform/vpc".to_owned(),
                "vendor.yaml: sources[0]"
            ),
            ("./x", "ecs vendor/ecs".to_owned(), "vendor/more.yaml: components[0]"),
        ]
    );
    assert_eq!(entries[0].included_paths, ["**/*.tf"]);
    assert_eq!(entries[1].labels["environment"], ["dev"]);
}

#[test]
fn what_a_manifest_says_in_vain_is_refused() {
    for (spec, told) in [
        ("sources: [{ component: x }]", "vendor.yaml: sources[0]: there is no `source`"),
        ("sources: [{ source: x, retries: 1 }]", "vendor.yaml: sources[0]: `retries` is not acted on"),
        ("sources: [{ source: x, version: 1.10 }]", "vendor.yaml: sources[0]: the version 1.1 is not text"),
        ("sources: [{ source: 'x?ref={{.Version}}' }]", "vendor.yaml: sources[0]: there is no version for"),
        (
            "sources: [{ source: '{{ env \"X\" }}' }]",
            "vendor.yaml: sources[0]: the template {{ env \"X\" }} is",
        ),
        ("imports: [nowhere]", "nowhere.yaml: there is no such file"),
        ("imports: ['../x']", "vendor.yaml: the import ../x leads out of the repository"),
        ("imports: ['git::https://h/r']", "vendor.yaml: the import git::https://h/r is not followed"),
        ("bases: []", "vendor.yaml: `spec.bases` is not acted on"),
        ("mixins: [{}]", "vendor.yaml: `source` and `mixins` belong into"),
    ] {
        let error = Files::new(&[("vendor.yaml", &format!("spec: {{ {spec} }}"))]).entries().unwrap_err();
        assert!(error.starts_with(told), "{spec}: {error}");
    }
}

#[test]
fn a_component_s_own_manifest_has_one_source() {
    let of = |text: &str| {
        let files = Files::new(&[("c/vpc/component.yaml", text)]);
        let source = DirectorySource::new(files.0.path());
        of_component(&source, "c/vpc").map_err(|error| error.to_string())
    };
    let entry = of("spec: { source: { uri: 'github.com/o/r//vpc?ref={{.Version}}', version: v1 } }")
        .unwrap()
        .unwrap();
    assert_eq!(entry.source, "github.com/o/r//vpc?ref=v1");
    assert!(of("kind: x").unwrap().is_none());
    let error = of("spec: { source: { uri: x }, mixins: [{ uri: y }] }").unwrap_err();
    assert!(error.starts_with("c/vpc/component.yaml: `mixins` are not acted on"), "{error}");
}
