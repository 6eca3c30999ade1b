use serde_json::json;

use super::*;

fn recording(component: Option<&str>, at: &str) -> Recording {
    Recording {
        component: component.map(|name| name.parse().unwrap()),
        recorded_at: at.parse().unwrap(),
        recorded_by: "ci@example.com".to_owned(),
    }
}

fn tests(xml: &str) -> Result<TestSummary, ResultsError> {
    test_results(xml.as_bytes(), &recording(None, "2025-01-22T10:00:00Z")).map(|entry| entry.summary)
}

fn scan(content: &Value) -> Result<ScanSummary, ResultsError> {
    let file = content.to_string();
    scan_results(file.as_bytes(), &recording(None, "2025-01-22T10:00:00Z")).map(|entry| entry.summary)
}

#[test]
fn every_dialect_of_junit_is_counted() {
    let pytest = r#"<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" errors="0" failures="1" tests="3" time="0.1">
        <testcase classname="test_a" name="test_ok" time="0.01" />
        <testcase classname="test_a" name="test_bad" time="0.02"><failure message="assert 1 == 2">long &lt;text&gt;</failure></testcase>
        <testcase classname="test_a" name="test_skip"><skipped message="later" type="pytest.skip"/></testcase>
        </testsuite></testsuites>"#;
    let summary = tests(pytest).unwrap();
    assert_eq!((summary.tests, summary.passed, summary.failed, summary.skipped), (3, 1, 1, 1));
    assert_eq!(summary.failures[0].message, "assert 1 == 2");
    // Maven: a suite without suites around it, and an error.
    let maven =
        r#"<testsuite name="T"><testcase name="a"><error type="E">trace</error></testcase></testsuite>"#;
    let summary = tests(maven).unwrap();
    assert_eq!((summary.errors, summary.succeeded()), (1, false));
    assert_eq!(summary.failures[0].message, "trace");
}

#[test]
fn malformed_reports_are_refused() {
    for bad in
        ["", "{}", "<html></html>", "<testsuites><testsuite>", "<testsuite><testcase name=/></testsuite>"]
    {
        assert!(matches!(tests(bad), Err(ResultsError::Junit(_))), "{bad}: {:?}", tests(bad));
    }
    let deep = "<testsuite name=\"x\">".repeat(100_000);
    assert!(tests(&deep).unwrap_err().to_string().contains("nested too deeply"));
    assert_eq!(tests(&" ".repeat(LARGEST + 1)), Err(ResultsError::TooLarge(LARGEST + 1)));
}

#[test]
fn an_entity_bomb_costs_nothing() {
    let mut bomb = String::from("<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\">");
    for level in 1..=9_u8 {
        let inner = if level == 1 { "&lol;".repeat(10) } else { format!("&lol{};", level - 1).repeat(10) };
        bomb.extend(["<!ENTITY lol", &level.to_string(), " \"", &inner, "\">"]);
    }
    bomb += "]><testsuite name=\"s\"><testcase name=\"t\"><failure message=\"m\">&lol9;</failure></testcase></testsuite>";
    // Refused or counted: no entity is expanded.
    if let Ok(summary) = tests(&bomb) {
        assert!(summary.failures.iter().all(|failure| failure.message.len() < 100), "{summary:?}");
    }
    let file = "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><testsuite name=\"&f;\"><testcase name=\"a\"/></testsuite>";
    if let Ok(summary) = tests(file) {
        assert!(!format!("{summary:?}").contains("root:"));
    }
}

#[test]
fn reports_are_written_as_one() {
    let one = r#"<testsuite name="a&amp;b"><testcase name="x" classname="c"><failure message="1 &lt; 2"/></testcase></testsuite>"#;
    let command = report_of_command("go test \"./...\"", std::time::Duration::from_secs(2), None);
    let report = write_report([("api", one), ("worker", command.as_str())]).unwrap();
    let summary = tests(&report).unwrap();
    assert_eq!((summary.tests, summary.failed), (2, 1));
    assert_eq!(summary.failures[0].message, "1 < 2");
    assert_eq!(summary.failures[0].suite, "api: a&b");
}

#[test]
fn severities_are_counted_whoever_scanned() {
    let grype = json!({ "matches": [
        { "vulnerability": { "id": "CVE-1", "severity": "Critical" } },
        { "vulnerability": { "id": "CVE-2", "severity": "Negligible" } },
    ], "descriptor": { "name": "grype", "version": "0.74.0" } });
    assert_eq!(scan(&grype).unwrap(), ScanSummary { critical: 1, low: 1, ..ScanSummary::default() });
    let trivy = json!({ "SchemaVersion": 2, "Results": [
        { "Target": "x", "Vulnerabilities": [{ "Severity": "HIGH" }, { "Severity": "UNKNOWN" }] }, { "Target": "y" },
    ] });
    assert_eq!(scan(&trivy).unwrap(), ScanSummary { high: 1, unknown: 1, ..ScanSummary::default() });
    let sarif = json!({ "version": "2.1.0", "runs": [{
        "tool": { "driver": { "name": "s", "rules": [
            { "id": "a", "properties": { "security-severity": "9.8" } },
            { "id": "b", "defaultConfiguration": { "level": "note" } },
        ] } },
        "results": [
            { "ruleId": "a" }, { "ruleIndex": 1 }, { "ruleId": "c", "level": "error" }, { "ruleId": "c" },
            { "ruleId": "a", "suppressions": [{ "kind": "inSource" }] }, { "ruleId": "a", "kind": "pass" },
        ],
    }] });
    assert_eq!(scan(&sarif).unwrap(), ScanSummary { critical: 1, high: 1, medium: 1, low: 1, unknown: 0 });
}

#[test]
fn files_that_are_no_scans_are_refused() {
    assert_eq!(scan(&json!({ "bomFormat": "CycloneDX" })), Err(ResultsError::UnknownScan));
    assert!(matches!(scan(&json!({ "matches": [1] })), Err(ResultsError::Scan { tool: "Grype", .. })));
    assert!(matches!(scan(&json!({ "version": "2.1.0", "runs": [{}] })), Err(ResultsError::Scan { .. })));
    let deep = "[".repeat(1_000_000);
    let error = scan_results(deep.as_bytes(), &recording(None, "2025-01-22T10:00:00Z")).unwrap_err();
    assert!(matches!(error, ResultsError::NotJson(_)));
}

#[test]
fn the_newest_scan_of_each_component_counts() {
    let scanned = |component, at, severity: &str| {
        let file = json!({ "matches": [{ "vulnerability": { "severity": severity } }] }).to_string();
        scan_results(file.as_bytes(), &recording(component, at)).unwrap().to_line()
    };
    let note = [
        scanned(Some("api"), "2025-01-22T10:00:00Z", "High"),
        scanned(Some("api"), "2025-01-22T11:00:00Z", "Low"),
        scanned(Some("worker"), "2025-01-22T10:00:00Z", "Medium"),
        "prose of somebody".to_owned(),
    ]
    .join("\n");
    let found = |wanted: &str| {
        vulnerabilities(note.as_bytes(), |name| name.is_some_and(|name| name.as_str() == wanted))
    };
    let low = ScanSummary { low: 1, ..ScanSummary::default() };
    assert_eq!(found("api").map(|scanned| scanned.found), Some(low));
    assert_eq!(found("database"), None);
    let all = vulnerabilities(note.as_bytes(), |_| true).unwrap();
    assert_eq!((all.found.at_least(Severity::Unknown), all.whole), (2, false));
    assert_eq!(all.components.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["api", "worker"]);
    let whole = note + "\n" + &scanned(None, "2025-01-22T10:00:00Z", "Low");
    assert!(vulnerabilities(whole.as_bytes(), |_| true).unwrap().whole);
}

#[test]
fn a_number_that_cannot_be_read_costs_itself_alone() {
    let report = r#"<testsuites time="soon"><testsuite name="a &amp; b" tests="" failures="many">
        <testcase name="slow" time="1,234.5"/><testcase name="odd" time="fast"/><testcase name="inf" time="inf"/>
        <testcase name="decimal" time="0,123"/><testcase name="decimal" time="1,5"/>
        <testcase name="quick" time="0.5"><failure><![CDATA[time="1,2"]]></failure></testcase></testsuite></testsuites>"#;
    let summary = tests(report).unwrap();
    assert_eq!((summary.tests, summary.failed), (6, 1));
    assert!((summary.duration_seconds - 1235.0).abs() < 1e-9, "{}", summary.duration_seconds);
    assert_eq!(summary.failures[0].suite, "a & b");
    assert_eq!(summary.failures[0].message, "time=\"1,2\"");
    let entry = test_results(report.as_bytes(), &recording(None, "2025-01-22T10:00:00Z")).unwrap();
    assert_eq!(entry.content, report, "the report is kept as it is");
}

#[test]
fn files_in_other_encodings_are_read_and_kept_as_text() {
    let at = recording(None, "2025-01-22T10:00:00Z");
    let latin = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\
                  <testsuite><testcase name=\"\xfc\"><failure/></testcase></testsuite>";
    let entry = test_results(latin, &at).unwrap();
    assert_eq!(entry.summary.failures[0].name, "ü");
    // The file is kept as UTF-8, and its declaration names that.
    assert!(entry.content.as_str().unwrap().starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
    let marked = b"\xef\xbb\xbf{\"version\": \"2.1.0\", \"runs\": []}";
    assert_eq!(scan_results(marked, &at).unwrap().format, "sarif");
    assert_eq!(test_results(b"<testsuite>\xff</testsuite>", &at), Err(ResultsError::NotText));
}
