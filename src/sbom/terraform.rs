//! The dependencies of a terraform component: the modules that it calls, and the providers that its
//! lock file pins.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hcl_edit::structure::{Block, Body};

use super::files::{self, ReadError};
use super::package::{Hash, Package, distinct};
use super::purl;

/// The lock file of providers, in the root module's folder.
const LOCK_FILE: &str = ".terraform.lock.hcl";
/// The maximum number of the repository's own modules that are searched.
const MOST_MODULES: usize = 500;

/// The modules and providers of the root module in a folder. Modules of the repository itself
/// (`./`, `../`) are looked into and are not listed: they are the component.
#[must_use]
pub fn modules_and_providers(root: &Path, folder: &Path) -> (Vec<Package>, Vec<ReadError>) {
    let mut packages = Vec::new();
    let mut problems = Vec::new();
    let lock_file = folder.join(LOCK_FILE);
    if lock_file.exists() {
        match body(&lock_file).map(|body| providers(&body)) {
            Ok(providers) => packages.extend(providers),
            Err(problem) => problems.push(problem),
        }
    }
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let mut seen = BTreeSet::new();
    let mut open: Vec<PathBuf> = folder.canonicalize().into_iter().collect();
    while let Some(folder) = open.pop() {
        // A symbolic link can lead out of the checkout.
        if seen.len() == MOST_MODULES || !folder.starts_with(&root) || !seen.insert(folder.clone()) {
            continue;
        }
        for file in module_files(&folder) {
            match body(&file) {
                Ok(body) => {
                    for module in body.get_blocks("module") {
                        match source(module) {
                            Some(source) if source.starts_with("./") || source.starts_with("../") => {
                                open.extend(folder.join(source).canonicalize());
                            }
                            Some(source) => packages.push(called(&source, attribute(module, "version"))),
                            None => {}
                        }
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    (distinct(packages), problems)
}

fn module_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_module = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && (name.ends_with(".tf") || name.ends_with(".tofu"))
    };
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(is_module).collect();
    files.sort();
    files
}

fn body(file: &Path) -> Result<Body, ReadError> {
    let text = files::text(file)?;
    if files::is_too_deep(&text) {
        return Err(ReadError::malformed(file, "it is nested too deeply"));
    }
    text.parse().map_err(|error: hcl_edit::parser::Error| {
        let place = error.location();
        ReadError::malformed(file, format!("line {}: {}", place.line(), error.message()))
    })
}

fn providers(body: &Body) -> Vec<Package> {
    let blocks = body.get_blocks("provider");
    blocks
        .filter_map(|block| {
            let address = block.labels.first()?.as_str().to_owned();
            let version = attribute(block, "version");
            let mut hashes = Vec::new();
            let mut properties = Vec::new();
            for hash in texts(block, "hashes") {
                match hash.split_once(':') {
                    // Of the archive for one platform.
                    Some(("zh", digest)) => hashes.extend(Hash::hexadecimal("SHA-256", digest)),
                    // Of a list of files, not of one.
                    _ => properties.push(("terraform:hash".to_owned(), hash)),
                }
            }
            properties.extend(
                attribute(block, "constraints").map(|wanted| ("terraform:constraints".to_owned(), wanted)),
            );
            properties.push(("terraform:kind".to_owned(), "provider".to_owned()));
            Some(Package {
                purl: purl::package("terraform", &address, version.as_deref()),
                name: address,
                version,
                hashes,
                development: false,
                properties,
            })
        })
        .collect()
}

/// A module of a registry or of somewhere else.
fn called(source: &str, version: Option<String>) -> Package {
    // `git::https://…//folder?ref=v1.2`: the version is in the address.
    let (address, query) = source.split_once('?').unwrap_or((source, ""));
    let reference = query.split('&').find_map(|pair| pair.strip_prefix("ref="));
    let version = version.or_else(|| reference.map(str::to_owned));
    let is_registry = !address.contains("::") && !address.contains("://") && !address.starts_with("git@");
    let name = without_credentials(address);
    Package {
        purl: is_registry.then(|| purl::package("terraform", &name, version.as_deref())).flatten(),
        name,
        version,
        properties: vec![("terraform:kind".to_owned(), "module".to_owned())],
        ..Package::default()
    }
}

/// An address without the user and the password that can stand in it.
fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if path.is_empty() { format!("{scheme}://{host}") } else { format!("{scheme}://{host}/{path}") }
}

fn source(module: &Block) -> Option<String> {
    attribute(module, "source")
}

fn attribute(block: &Block, name: &str) -> Option<String> {
    block.body.get_attribute(name)?.value.as_str().map(str::to_owned)
}

fn texts(block: &Block, name: &str) -> Vec<String> {
    let values = block.body.get_attribute(name).and_then(|attribute| attribute.value.as_array());
    values.into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_followed_inside_the_checkout_and_providers_keep_their_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join("checkout").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "components/ecs/main.tf",
            "module \"local\" {\n  source = \"../../modules/x\"\n}\nmodule \"out\" {\n  source = \"../../../..\"\n}\n\
             module \"git\" {\n  source = \"git::https://me:secret@example.com/m.git//x?ref=v2\"\n}\n",
        );
        write(
            "modules/x/main.tf",
            "module \"ecs\" {\n  source = \"terraform-aws-modules/ecs/aws\"\n  version = \"5.2.0\"\n}\n",
        );
        let digest = "0".repeat(64);
        write(
            "components/ecs/.terraform.lock.hcl",
            &format!(
                "provider \"registry.terraform.io/hashicorp/aws\" {{\n  version = \"5.1.0\"\n  constraints = \">= 5\"\n  \
                 hashes = [\n    \"h1:abc=\",\n    \"zh:{digest}\",\n  ]\n}}\n"
            ),
        );
        let root = folder.path().join("checkout");
        let (packages, problems) = modules_and_providers(&root, &root.join("components/ecs"));
        assert!(problems.is_empty(), "{problems:?}");
        let named: Vec<_> =
            packages.iter().map(|p| (p.name.as_str(), p.version.as_deref().unwrap())).collect();
        assert_eq!(
            named,
            [
                ("git::https://example.com/m.git//x", "v2"),
                ("registry.terraform.io/hashicorp/aws", "5.1.0"),
                ("terraform-aws-modules/ecs/aws", "5.2.0"),
            ]
        );
        assert_eq!(packages[1].hashes[0].content, digest);
        assert!(packages[1].properties.contains(&("terraform:hash".to_owned(), "h1:abc=".to_owned())));
    }

    #[test]
    fn a_file_that_is_nested_without_end_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("main.tf"), format!("a = {}", "[".repeat(100_000))).unwrap();
        let (packages, problems) = modules_and_providers(folder.path(), folder.path());
        assert!(packages.is_empty());
        assert!(problems[0].to_string().contains("nested too deeply"), "{problems:?}");
    }
}
