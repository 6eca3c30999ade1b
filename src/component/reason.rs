//! Extracts the reason of a failure from a tool's output.

/// The maximum number of lines.
const MOST_LINES: usize = 20;

/// The number of last lines to take if no line is marked as an error.
const LAST_LINES: usize = 8;

/// The frame that Terraform and OpenTofu draw around an error.
const FRAME: [char; 3] = ['╷', '│', '╵'];

/// Picks Terraform's errors, from `Error:` on, else the last lines. Empty lines and frames are
/// removed.
pub(super) fn reason(tail: &[String]) -> Vec<String> {
    let lines: Vec<_> = tail.iter().filter_map(|line| unframed(line)).collect();
    let first = lines.iter().position(|line| line.starts_with("Error:"));
    let (from, most) = match first {
        Some(first) => (first, MOST_LINES),
        None => (lines.len().saturating_sub(LAST_LINES), LAST_LINES),
    };
    lines.into_iter().skip(from).take(most).map(str::to_owned).collect()
}

/// A line without the frame, unless it is empty.
fn unframed(line: &str) -> Option<&str> {
    let plain = line.strip_prefix(FRAME).map_or(line, |inner| inner.strip_prefix(' ').unwrap_or(inner));
    let plain = plain.trim_end();
    (!plain.trim_start().is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        reason(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn an_error_of_terraform_is_taken_whole_and_without_its_frame() {
        let said = of("terraform_data.lb: Creating...\n╷\n│ Error: Resource postcondition failed\n│ \n\
                       │   on main.tf line 6, in resource \"terraform_data\" \"lb\":\n\
                       │    6:       condition = self.output == 2\n│ \n\
                       │ a load balancer cannot be attached to multiple subnets\n╵\n");
        assert_eq!(
            said,
            [
                "Error: Resource postcondition failed",
                "  on main.tf line 6, in resource \"terraform_data\" \"lb\":",
                "   6:       condition = self.output == 2",
                "a load balancer cannot be attached to multiple subnets",
            ]
        );
        let plain = of("Planning\nError: first\nwhy\nError: second\n");
        assert_eq!(plain, ["Error: first", "why", "Error: second"]);
    }

    #[test]
    fn of_anything_else_the_last_lines_are_taken() {
        let many: Vec<_> = (1..=30).map(|number| format!("line {number}")).collect();
        assert_eq!(reason(&many), many[22..]);
        assert_eq!(of("why\n\n"), ["why"]);
        assert_eq!(of(""), [""; 0]);
        let errors: Vec<_> = (1..=30).map(|number| format!("Error: {number}")).collect();
        assert_eq!(reason(&errors), errors[..20]);
    }
}
