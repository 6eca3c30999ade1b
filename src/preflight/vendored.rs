//! Vendoring that cannot be acted on: a rollout would deploy the commit's own folder instead.

use super::{Facts, Finding};
use crate::config::{Remark, Severity};
use crate::render::document::validate::Check;

impl Facts<'_> {
    /// The refusal of a `vendor` section.
    pub(super) fn unvendored(&self) -> Option<Finding> {
        let section = self.deployment.vendor.as_ref()?.as_object()?;
        let first = section.keys().next()?;
        let keys = ["deployment", "vendor", first].map(str::to_owned).into();
        let message =
            "a rollout does not act on `vendor`: the folders of the commit would be deployed in its place";
        let hint = "vendor the components, commit them, and leave `vendor` out".to_owned();
        let remark =
            Remark { severity: Severity::Error, keys, message: message.to_owned(), hint: Some(hint) };
        Some(Finding { check: Check::Settings, remark })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Shop;
    use super::*;

    #[test]
    fn a_vendor_section_is_refused_by_name() {
        let vendored = |section: &str| {
            let vendor = format!("  name: shop\n  vendor: {section}\n");
            Shop::with("  name: shop\n", &vendor).told(&[Check::Settings])
        };
        let told = vendored("{ components: [{ source: x }] }");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("error at vendor.components: a rollout does not act on `vendor`"));
        assert_eq!(vendored("{}"), [""; 0]);
    }
}
