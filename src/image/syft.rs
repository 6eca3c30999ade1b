//! The packages that an installed `syft` finds in an image, or in the source folder where no image
//! was pushed.

use std::ffi::OsString;
use std::path::Path;

use super::Surroundings;
use crate::component::process::StdoutUse;
use crate::sbom::{Bom, Package, packages_of};

/// The packages that syft finds; `None` where it is not installed. An error says why it found none.
pub async fn syft_packages(
    around: Surroundings<'_>,
    image: Option<&str>,
    source: &Path,
) -> Option<Result<Vec<Package>, String>> {
    let program = around.environment.find_program("syft")?;
    let subject =
        image.map_or_else(|| format!("dir:{}", source.display()), |image| format!("registry:{image}"));
    let arguments: Vec<OsString> =
        ["scan", &subject, "--quiet", "--output", "cyclonedx-json"].map(OsString::from).into();
    let printed = around.run("syft", program, arguments, source, StdoutUse::Data, &[]).await;
    Some(match printed {
        Ok(printed) => Bom::parse(&printed).map(|bom| packages_of(&bom)).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    })
}
