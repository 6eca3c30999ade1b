//! Collapsible sections of a job's log.

use jiff::Timestamp;

use super::annotations::{data, inert};

/// A platform's syntax for collapsible log sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogGroups {
    /// `::group::`.
    GitHub,
    /// <https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections>.
    GitLab,
    /// No collapsible sections; the titles are printed.
    Plain,
}

impl LogGroups {
    /// The line that opens a section. `id` tells sections of one log apart, on platforms that need
    /// it.
    #[must_use]
    pub fn open(self, id: &str, title: &str, now: Timestamp) -> String {
        // One line, and without the escape sequences by which GitLab knows its markers.
        let title: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match self {
            Self::GitHub => format!("::group::{}\n", data(&title)),
            Self::GitLab => format!(
                "\u{1b}[0Ksection_start:{}:{}[collapsed=true]\r\u{1b}[0K{title}\n",
                now.as_second(),
                section_name(id)
            ),
            Self::Plain => format!("{}\n", inert(&title)),
        }
    }

    /// The line that closes the section that was opened with this `id`.
    #[must_use]
    pub fn close(self, id: &str, now: Timestamp) -> String {
        match self {
            Self::GitHub => "::endgroup::\n".to_owned(),
            Self::GitLab => {
                format!("\u{1b}[0Ksection_end:{}:{}\r\u{1b}[0K\n", now.as_second(), section_name(id))
            }
            Self::Plain => String::new(),
        }
    }
}

/// GitLab's names of sections are letters, digits, `_`, `.` and `-`.
fn section_name(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
    id.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_open_and_close_in_the_platform_s_own_way() {
        let now: Timestamp = "2025-01-23T15:30:00Z".parse().unwrap();
        let (id, title) = ("ecs/api", "ecs/api\n::error::x%0A");
        assert_eq!(LogGroups::GitHub.open(id, title, now), "::group::ecs/api ::error::x%250A\n");
        assert_eq!(
            LogGroups::GitLab.open(id, title, now),
            "\u{1b}[0Ksection_start:1737646200:ecs_api[collapsed=true]\r\u{1b}[0Kecs/api ::error::x%0A\n"
        );
        assert_eq!(LogGroups::GitLab.close(id, now), "\u{1b}[0Ksection_end:1737646200:ecs_api\r\u{1b}[0K\n");
        assert_eq!(LogGroups::Plain.open(id, "::stop", now), ":\u{200b}:stop\n");
    }
}
