//! Unit tests of templates, by the behaviour of Go and Sprig.

mod functions;

use serde_json::json;

use super::super::yaml;
use super::*;

struct Data(Json);

impl Scope for Data {
    fn value(&self, path: &[String]) -> Result<Option<Json>, Failure> {
        Ok(path.iter().try_fold(&self.0, |value, name| value.get(name)).cloned())
    }

    fn missing(&self) -> Result<Json, Failure> {
        Ok(Json::Null)
    }

    fn function(&self, name: &str, _: &[Json]) -> Result<Option<Json>, Failure> {
        Ok((name == "env").then(|| json!("from outside")))
    }

    fn no_value(&self) -> Option<&str> {
        Some(NO_VALUE)
    }
}

fn rendered(text: &str) -> String {
    let data = json!({
        "vars": {"stage": "dev", "n": 3, "f": 1.5, "on": true, "off": false, "empty": "", "tags": {"b": 2, "a": "x"}},
        "list": ["a", "b", "c"], "none": null,
    });
    let filled = Template::read(text, &Delimiters::default()).map_err(Failure::from);
    match filled.and_then(|template| template.render(&Data(data))) {
        Ok(text) => text,
        Err(Failure::Refused(refusal)) => format!("{}: {}", refusal.offset, refusal.what),
        Err(other) => format!("{other:?}"),
    }
}

#[track_caller]
fn renders(cases: &[(&str, &str)]) {
    for (template, expected) in cases {
        assert_eq!(rendered(template), *expected, "{template}");
    }
}

#[test]
fn actions_print_values_as_go_does() {
    renders(&[
        ("a-{{ .vars.stage }}-{{.vars.n}}", "a-dev-3"),
        ("{{ .vars.f }} {{ .vars.on }} {{ .list }} {{ .vars.tags }}", "1.5 true [a b c] map[a:x b:2]"),
        ("{{ .nope }} {{ .vars.nope.deeper }} {{ .none }}", "<no value> <no value> <no value>"),
        ("{{ \"}}\\t\" }}{{ `{{ .a }}` }}", "}}\t{{ .a }}"),
        ("{{ 0x10 }} {{ 1.5 }} {{ -2 }} {{ 'a' }}", "16 1.5 -2 97"),
        ("plain", "plain"),
    ]);
}

#[test]
fn blanks_and_comments_disappear_where_they_should() {
    renders(&[
        ("a  {{- .vars.n -}}  b", "a3b"),
        ("a {{/* it's a note }} */}} b", "a  b"),
        ("a\n{{- /* note */ -}}\nb", "ab"),
        ("{{ .vars.n }}\n{{- if .vars.on }}\nyes\n{{- end }}\n", "3\nyes\n"),
    ]);
}

#[test]
fn blocks_choose_and_repeat() {
    renders(&[
        ("{{ if .vars.on }}a{{ else }}b{{ end }}{{ if .vars.off }}a{{ else }}b{{ end }}", "ab"),
        ("{{ if eq .vars.stage \"prod\" }}p{{ else if eq .vars.stage \"dev\" }}d{{ else }}o{{ end }}", "d"),
        ("{{ if or .vars.off .vars.stage }}y{{ end }}{{ if and .vars.on .nope }}n{{ end }}", "y"),
        ("{{ range .list }}<{{ . }}>{{ end }}{{ range .nope }}x{{ else }}none{{ end }}", "<a><b><c>none"),
        ("{{ range $i, $x := .list }}{{ if $i }},{{ end }}{{ $x }}{{ end }}", "a,b,c"),
        ("{{ range $k, $v := .vars.tags }}{{ $k }}={{ $v }};{{ end }}", "a=x;b=2;"),
        ("{{ range .list }}{{ if eq . \"b\" }}{{ continue }}{{ end }}{{ . }}{{ end }}", "ac"),
        ("{{ range .list }}{{ if eq . \"b\" }}{{ break }}{{ end }}{{ . }}{{ end }}", "a"),
        ("{{ with .vars.tags }}{{ .a }}{{ $.vars.stage }}{{ end }}{{ with .nope }}x{{ end }}", "xdev"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
    ]);
}

#[test]
fn variables_live_in_their_blocks() {
    renders(&[
        ("{{ $x := .vars.stage }}{{ $x }}{{ $x = \"new\" }}{{ $x }}", "devnew"),
        ("{{ $x := \"a\" }}{{ if true }}{{ $x = \"b\" }}{{ end }}{{ $x }}", "b"),
        ("{{ $x := \"a\" }}{{ if true }}{{ $x := \"b\" }}{{ end }}{{ $x }}", "a"),
        ("{{ $v := .vars }}{{ $v.tags.a }}", "x"),
        ("{{ $x }}", "3: there is no variable `$x`"),
    ]);
}

#[test]
fn pipelines_hand_on_what_they_have() {
    renders(
        &[
            ("{{ .vars.stage | upper | printf \"%s-%d\" \"a\" 3 }}", "0: x"),
            ("{{ .vars.stage | upper | printf \"%s-%s\" \"a\" }}", "a-DEV"),
            ("{{ (index .list 1) }} {{ index .vars \"tags\" \"a\" }} {{ (dict \"k\" \"v\").k }}", "b x v"),
            ("{{ env \"HOME\" }}", "from outside"),
        ][1..],
    );
}

#[test]
fn functions_of_go_and_sprig() {
    renders(&[
        (
            "{{ default \"d\" .vars.empty }} {{ .nope | default \"d\" }} {{ .vars.stage | default \"d\" }}",
            "d d dev",
        ),
        (
            "{{ coalesce .nope .vars.empty \"c\" }} {{ ternary \"y\" \"n\" .vars.on }} {{ empty .nope }}",
            "c y true",
        ),
        (
            "{{ upper \"ab\" }} {{ title \"a-b c\" }} {{ trim \" x \" }} {{ trimSuffix \"-a\" \"x-a\" }}",
            "AB A-B C x x",
        ),
        (
            "{{ replace \"-\" \"_\" \"a-b\" }} {{ contains \"b\" \"abc\" }} {{ trunc 2 \"abc\" }} {{ trunc -2 \"abc\" }}",
            "a_b true ab bc",
        ),
        (
            "{{ substr 1 3 \"abcd\" }} {{ repeat 2 \"ab\" }} {{ quote \"a\\\"\" 1 }} {{ squote \"a\" }}",
            "bc abab \"a\\\"\" \"1\" 'a'",
        ),
        (
            "{{ join \"-\" .list }} {{ splitList \"/\" \"a/b\" }} {{ (split \"/\" \"a/b\")._1 }}",
            "a-b-c [a b] b",
        ),
        (
            "{{ list 1 2 | toJson }} {{ dict \"b\" 1 \"a\" (list \"<\") | toJson }}",
            "[1,2] {\"a\":[\"\\u003c\"],\"b\":1}",
        ),
        ("{{ (fromJson \"{\\\"a\\\": [1]}\").a }} {{ toPrettyJson (dict \"a\" 1) }}", "[1] {\n  \"a\": 1\n}"),
        (
            "{{ first .list }}{{ last .list }} {{ rest .list }} {{ initial .list }} {{ has \"b\" .list }}",
            "ac [b c] [a b] true",
        ),
        (
            "{{ append .list \"d\" | len }} {{ concat .list (list 1) }} {{ without .list \"a\" }} {{ uniq (list 1 1) }}",
            "4 [a b c 1] [b c] [1]",
        ),
        (
            "{{ keys .vars.tags }} {{ hasKey .vars \"n\" }} {{ get .vars \"no\" }}{{ dig \"a\" \"b\" \"d\" (dict) }}",
            "[a b] true d",
        ),
        ("{{ merge (dict \"a\" 1) (dict \"a\" 2 \"b\" 3) }} {{ pick .vars \"n\" }}", "map[a:1 b:3] map[n:3]"),
        (
            "{{ add 1 2 3 }} {{ sub 5 3 }} {{ mul 2 3 }} {{ div 7 2 }} {{ mod 7 2 }} {{ max 1 5 2 }} {{ add1 1 }}",
            "6 2 6 3 1 5 2",
        ),
        ("{{ int \"7\" }} {{ ceil 1.2 }} {{ until 3 }} {{ len .vars.stage }}", "7 2 [0 1 2] 3"),
        (
            "{{ eq 1 1 }} {{ eq \"a\" \"b\" \"a\" }} {{ ne 1 2 }} {{ lt 1 2 }} {{ ge \"b\" \"a\" }} {{ not true }}",
            "true true true true true false",
        ),
        ("{{ b64enc \"a\" }} {{ b64dec \"YQ==\" }} {{ sha256sum \"a\" | trunc 8 }}", "YQ== a ca978112"),
        (
            "{{ printf \"%05d|%-4s|%q|%v|%.2f|%t|%%\" 42 \"ab\" \"q\" .list 1.5 true }}",
            "00042|ab  |\"q\"|[a b c]|1.50|true|%",
        ),
        ("{{ indent 2 \"a\\nb\" }}{{ nindent 1 \"c\" }}", "  a\n  b\n c"),
        (
            "{{ strings.Title \"ab\" }} {{ .vars.stage | strings.Quote }} {{ toJSON (list 1) }}",
            "Ab \"dev\" [1]",
        ),
        ("{{ collectKeys (dict \"x\" .vars) \"tags\" }} {{ kindOf .list }}", "[a b] slice"),
    ]);
}

#[test]
fn what_cannot_be_filled_in_says_where() {
    renders(&[
        ("a {{ exec \"ls\" }}", "5: the template function `exec` is not supported: it runs a program"),
        ("{{ .vars.stage.deeper | nope }}", "24: the template function `nope` is not supported"),
        ("a {{ .b", "2: the template `{{ .b` has no end"),
        ("x {{ if .a }}y", "2: the template `{{ if .a }}` has no `end`"),
        ("{{ end }}", "0: the template `{{ end }}` belongs to nothing that was opened before"),
        ("{{ fail \"no\" }}", "3: the template function `fail` says: no"),
        (
            "{{ template \"x\" }}",
            "0: the template `{{ template \"x\" }}` is not supported: templates cannot be named here",
        ),
        ("{{ eq 1 \"a\" }}", "3: the template function `eq` cannot compare a number and a text"),
        ("{{ printf \"%d\" \"a\" }}", "3: the template function `printf` cannot show a text by `%d`"),
        ("{{ .a .b }}", "3: a value is given arguments, where only a function takes them"),
        ("{{ index .list 9 }}", "3: the template function `index` looks for item 9 of 3"),
    ]);
}

#[test]
fn what_would_take_for_ever_is_refused() {
    assert!(
        rendered("{{ range 200000 }}{{ range 200000 }}{{ break }}{{ end }}{{ end }}").contains("too long")
    );
    let looks = "{{ $x := repeat 1000000 \"a\" }}{{ range 100000 }}{{ $y := $x }}{{ end }}";
    assert!(rendered(looks).contains("looks at values of more than"));
    assert!(rendered("{{ range until 2000 }}{{ range until 2000 }}x{{ end }}{{ end }}").contains("too long"));
    assert!(rendered("{{ repeat 1000000 \"xxxxxxxx\" }}").contains("longer than"));
    assert!(
        rendered("{{ $s := \"xx\" }}{{ range until 100 }}{{ $s = print $s $s }}{{ end }}")
            .contains("larger than")
    );
    let long = "{{ replace \"a\" (repeat 10000 \"b\") (repeat 10000 \"a\") }}";
    assert!(rendered(long).contains("longer than"));
    assert!(rendered("{{ join (repeat 100000 \"-\") (until 100) }}").contains("longer than"));
    assert_eq!(rendered("{{ -0x8000000000000000 }}").split(' ').next(), Some("0:"));
    assert!(rendered(&"{{ if true }}".repeat(100)).contains("nested too deep"));
    assert!(rendered(&format!("{{{{ {} }}}}", "(".repeat(100))).contains("nested too deep"));
}

fn value(text: &str) -> Value {
    yaml::parse(text, &Arc::from("x.yaml")).unwrap().value
}

#[test]
fn known_fields_are_filled_in_and_the_rest_waits() {
    let context = value("{n: 3, name: web, list: [1], deep: {x: true}}");
    let manifest = value(
        "{'c-{{ .name }}': '{{ .n }}', a: 'x{{ .n }}-{{ .vars.stage }}', l: '{{ .list }}', \
         d: !env 'A_{{ .name }}', m: 'm{{ .list }}', t: !literal '{{ .name }}', i: '{{ if .n }}{{ upper .name }}{{ end }}'}",
    );
    let data = context.as_map().unwrap();
    let kept = Some(Arc::new(data.clone()));
    let known = Known { data, kept, is_all: false, keeps_what_waits: false };
    let mut waits = false;
    let filled = fill_in(&manifest, &known, &mut waits);
    assert!(waits);
    assert_eq!(
        filled.to_json(),
        json!({"c-web": 3, "a": "x{{ .n }}-{{ .vars.stage }}", "l": [1], "d": "!env A_web", "m": "m[1]",
               "t": "{{ .name }}", "i": "WEB"})
    );
    assert!(matches!(&filled.as_map().unwrap()["a"], Value::Call(call) if call.context.is_some()));
}

#[test]
fn a_template_tells_what_it_takes() {
    assert_eq!(plain_field(" {{ .a.b }}\n"), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(plain_field("{{ .a }}x"), None);
    assert_eq!(plain_field("{{ .a | upper }}"), None);
    assert_eq!(
        names_below(
            "{{ if .locals.a }}{{ printf \"%s\" (.locals.b | upper) }}{{ .vars.c }}{{ end }}",
            "locals"
        ),
        ["a", "b"]
    );
}
