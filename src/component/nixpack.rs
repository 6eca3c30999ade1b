//! `nixpack` components: images.
//!
//! Missing images were built before. The component passes the recorded digest to the components
//! that use the image, and to its own record.

use super::{ComponentResult, ComponentRun, Notice};

pub(super) fn run(run: ComponentRun<'_>) -> ComponentResult {
    let name = run.component.name.as_str();
    let mut result = ComponentResult::default();
    match run.artifacts.get(name) {
        Some(image) => {
            result.artifacts.insert(name.to_owned(), image.clone());
        }
        None => result.notices.push(Notice::NoBuildRecord { commit: run.commit.clone() }),
    }
    result
}

#[cfg(test)]
mod tests {
    use crate::component::testing::Fixture;
    use crate::component::{Mode, Notice};
    use crate::deployment::ComponentKind;

    #[tokio::test]
    async fn the_image_of_the_commit_is_carried() {
        let mut fixture = Fixture::new(ComponentKind::Nixpack, "api");
        let image = "registry.example.com/api@sha256:aa";
        fixture.artifacts.insert("api".to_owned(), image.to_owned());
        fixture.artifacts.insert("worker".to_owned(), "registry.example.com/worker@sha256:bb".to_owned());
        let result = fixture.run(Mode::Apply).await.unwrap();
        assert_eq!(result.artifacts, [("api".to_owned(), image.to_owned())].into());
        assert_eq!(result.notices, []);
    }

    #[tokio::test]
    async fn a_commit_without_a_build_is_told_of() {
        let fixture = Fixture::new(ComponentKind::Nixpack, "api");
        let result = fixture.run(Mode::Apply).await.unwrap();
        assert_eq!(result.notices, [Notice::NoBuildRecord { commit: fixture.commit.clone() }]);
        assert_eq!(result.notices[0].to_string(), "no build record for commit 1111111");
    }
}
