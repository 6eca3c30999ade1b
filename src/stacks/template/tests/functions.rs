//! The functions of Sprig and Gomplate, by the examples of their documentation and by Go's
//! behaviour.

use super::renders;

#[test]
fn regular_expressions_are_go_s() {
    renders(&[
        (r#"{{ regexMatch "^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\.[A-Za-z]{2,}$" "test@acme.com" }}"#, "true"),
        (
            r#"{{ regexFindAll "[2,4,6,8]" "123456789" -1 }} {{ regexFindAll "a." "abacad" 2 }}"#,
            "[2 4 6 8] [ab ac]",
        ),
        (r#"{{ regexFind "[a-zA-Z][1-9]" "abcd1234" }}|{{ regexFind "x" "abc" }}"#, "d1|"),
        (r#"{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }}"#, "-W-xxW-"),
        (r#"{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "$1W" }}"#, "---"),
        (r#"{{ regexReplaceAllLiteral "a(x*)b" "-ab-axxb-" "${1}" }}"#, "-${1}-${1}-"),
        (
            r#"{{ regexSplit "z+" "pizza" -1 }} {{ regexSplit "a" "banana" 2 }} {{ regexSplit "a" "banana" -1 | len }}"#,
            "[pi a] [b nana] 4",
        ),
        (
            r#"{{ regexSplit "a" "banana" 0 }} {{ regexSplit "a" "" -1 | len }} {{ regexSplit "" "abc" -1 }}"#,
            "[] 1 [a b c]",
        ),
        (r#"{{ regexQuoteMeta "1.2.3+" }} {{ mustRegexFind "b" "abc" }}"#, r"1\.2\.3\+ b"),
        (
            r#"{{ regexp.Replace "(foo)bar" "$1" "foobar"}} {{ regexp.Replace "(?P<first>[a-zA-Z]+) (?P<last>[a-zA-Z]+)" "${last}, ${first}" "Alan Turing" }}"#,
            "foo Turing, Alan",
        ),
        (
            r#"{{ regexp.ReplaceLiteral "(foo)bar" "$1" "foobar" }} {{ regexp.Match "^foo" "foobar" }}"#,
            "$1 true",
        ),
        (r#"{{ "ecs/cluster" | regexp.ReplaceLiteral "[^a-z0-9]" "-" }}"#, "ecs-cluster"),
        (
            r#"{{ regexp.Find "[a-z]{3}" "foobar"}} {{ regexp.FindAll "[a-z]{3}" 1 "foobar"}} {{ regexp.FindAll "a." "abac" }}"#,
            "foo [foo] [ab ac]",
        ),
        (
            r#"{{ regexp.Split "[\\s,.]" 2 "foo bar,baz.qux" }} {{ regexp.Split "[\\s,.]" "a b,c" }}"#,
            "[foo bar,baz.qux] [a b c]",
        ),
        (r#"{{ regexp.QuoteMeta "a[b]" }}"#, r"a\[b\]"),
        // Classes are ASCII, a class holds no other one, and `\Q` quotes.
        (
            r#"{{ regexMatch "^\\d$" "٣" }} {{ regexMatch "^\\w$" "é" }} {{ regexMatch "^.$" "é" }}"#,
            "false false true",
        ),
        (r#"{{ regexReplaceAll "[[&~]" "a[b&&c~" "" }} {{ regexFind "\\Qa.b\\E+" "aab a.bb" }}"#, "abc a.bb"),
        (
            r#"{{ regexFindAll "[]a-]" "a]-b" -1 }} {{ regexFindAll "[[:digit:]x]" "1x" -1 }}"#,
            "[a ] -] [1 x]",
        ),
        (
            r#"{{ regexMatch "(" "a" }}"#,
            "3: the template function `regexMatch` cannot read the regular expression `(`",
        ),
        (
            r#"{{ regexReplaceAll "" (repeat 100000 "a") (repeat 1000 "b") }}"#,
            "3: the template function `regexReplaceAll` makes a text longer than 1048576 bytes",
        ),
    ]);
}

#[test]
fn versions_compare_as_masterminds_compares_them() {
    renders(&[
        (
            r#"{{ $v := semver "1.2.3-alpha.1+123" }}{{ $v.Major }}{{ $v.Minor }}{{ $v.Patch }}{{ $v.Prerelease }}"#,
            "123alpha.1",
        ),
        (
            r#"{{ semver "v1.2" }} {{ (semver "v1.2+b").Original }} {{ toJson (semver "1.2.3+b") }}"#,
            r#"1.2.0 v1.2+b "1.2.3+b""#,
        ),
        (r#"{{ semver "one" }}"#, "3: the template function `semver` reads no version in `one`"),
        (
            r#"{{ semverCompare "one" "1.0.0" }}"#,
            "3: the template function `semverCompare` reads no constraint in `one`",
        ),
    ]);
    for (constraint, holds, not) in [
        ("1.2.3", "1.2.3 v1.2.3 1.2.3+b", "1.2.4 1.3.0"),
        ("=1.2", "1.2.0 1.2.9", "1.3.0 2.0.0"),
        ("^1.2.0", "1.2.1 1.9.0", "1.1.9 2.0.0 1.3.0-beta"),
        ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0 1.0.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0", "0.9.0", "1.0.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0"),
        ("~1", "1.9.0", "2.0.0"),
        ("1.2.x", "1.2.0 1.2.9", "1.3.0"),
        (">= 1.2.x", "1.2.0 2.0.0", "1.1.0"),
        ("> 1.2", "1.3.0", "1.2.9"),
        ("<= 2.x", "2.9.9", "3.0.0"),
        ("*", "0.0.1 9.9.9", "1.0.0-rc1"),
        ("1.2 - 1.4.5", "1.2.0 1.4.5", "1.1.9 1.4.6"),
        ("2.3.4 - 4.5", "4.5.9", "2.3.3"),
        (">=1.0.0, <2.0.0 || 3.x", "1.5.0 3.1.0", "2.0.0 4.0.0"),
        (">= 1.0 != 1.2.3", "1.2.4", "1.2.3"),
        ("!=1.2", "1.3.0", "1.2.9"),
        (">=1.0.0-0", "1.0.0-rc.1 1.1.0-beta", "0.9.0"),
        ("=>1.0.0", "1.0.0", "0.9.9"),
    ] {
        for (versions, expected) in [(holds, "true"), (not, "false")] {
            for version in versions.split(' ') {
                renders(&[(&format!(r#"{{{{ semverCompare "{constraint}" "{version}" }}}}"#), expected)]);
            }
        }
    }
    renders(&[(
        r#"{{ semver.CheckConstraint "> 1.0, < 2.0" "1.5.0" }} {{ (semver.Semver "1.2.3").Minor }}"#,
        "true 2",
    )]);
}

#[test]
fn words_change_their_case() {
    for (text, snake, camel) in [
        ("FirstName", "first_name", "FirstName"),
        ("HTTPServer", "http_server", "HTTPServer"),
        ("NoHTTPS", "no_https", "NoHTTPS"),
        ("GO_PATH", "go_path", "GOPATH"),
        ("GO PATH", "go_path", "GOPATH"),
        ("http2xx", "http_2xx", "Http2xx"),
        ("HTTP20xOK", "http_20x_ok", "HTTP20xOK"),
        ("Duration2m3s", "duration_2m3s", "Duration2m3s"),
        ("Bld4Floor3rd", "bld4_floor_3rd", "Bld4Floor3rd"),
        ("http_server", "http_server", "HttpServer"),
        ("_complex__case_", "_complex__case_", "_Complex_Case_"),
        ("some words", "some_words", "SomeWords"),
    ] {
        renders(&[
            (&format!("{{{{ snakecase {text:?} }}}}"), snake),
            (&format!("{{{{ kebabcase {text:?} }}}}"), &snake.replace('_', "-")),
            (&format!("{{{{ camelcase {text:?} }}}}"), camel),
        ]);
    }
    renders(&[
        (
            r#"{{ swapcase "Ab" }} {{ initials "First Try" }} {{ plural "one" "many" 2 }} {{ plural "one" "many" 1 }}"#,
            "aB FT many one",
        ),
        (
            r#"{{ abbrev 5 "hello world" }} {{ abbrevboth 5 10 "1234 5678 9123" }} {{ abbrev 3 "hello" }}"#,
            "he... ...5678... hello",
        ),
        (
            r#"{{ wrap 5 "ab cd ef" }}|{{ wrapWith 5 "\t" "Hello World" }}|{{ wrap 3 "abcdef g" }}"#,
            "ab cd\nef|Hello\tWorld|abcdef\ng",
        ),
        (
            r#"{{ strings.SnakeCase "Hello, World!" }} {{ strings.KebabCase "hello-there world" }} {{ strings.CamelCase "hello jello" }}"#,
            "Hello_world hello-there-world helloJello",
        ),
        (
            r#"{{ strings.Slug "Hello, world!" }} {{ "Rock & Roll @ Cafe" | strings.Slug }}"#,
            "hello-world rock-and-roll-at-cafe",
        ),
        (
            r#"{{ strings.Abbrev 9 "foobarbazquxquux" }} {{ strings.Abbrev 6 9 "foobarbazquxquux" }}"#,
            "foobar... ...baz...",
        ),
        (
            r#"{{ strings.WordWrap 5 "Hello World" }} {{ strings.SkipLines 1 "a\nb\nc" }} {{ strings.RuneCount "foo" "bär" }}"#,
            "Hello\nWorld b\nc 6",
        ),
        (
            r#"{{ splitn "$" 2 "foo$bar$baz" }} {{ strings.SplitN "," 2 "a,b,c" }} {{ strings.Split "," "a,b" }}"#,
            "map[_0:foo _1:bar$baz] [a b,c] [a b]",
        ),
        (
            r#"{{ strings.TrimLeft "_" "__a_" }} {{ strings.TrimRight "_" "_a__" }} {{ strings.Trim "_-" "_-a" }}"#,
            "a_ _a a",
        ),
        (
            r#"{{ strings.Squote "it's" }} {{ shellQuote "it's" }} {{ strings.ShellQuote (list "a" "b c") }}"#,
            r#"'it''s' 'it'"'"'s' 'a' 'b c'"#,
        ),
        (
            r#"{{ strings.Indent 2 "-" "a\n\nb" }} {{ strings.Trunc 2 "abc" }}{{ strings.Trunc -1 "abc" }}"#,
            "--a\n\n--b ababc",
        ),
        (
            r#"{{ strings.ToUpper "a" }} {{ strings.ReplaceAll "." "-" 1.5 }} {{ strings.Repeat 2 7 }} {{ toLower "A" }}"#,
            "A 1-5 77 a",
        ),
        (
            r#"{{ html "<a&'>" }} {{ urlquery "a b&c" }} {{ js "it's" }}"#,
            r"&lt;a&amp;&#39;&gt; a+b%26c it\'s",
        ),
    ]);
}

#[test]
fn numbers_count_and_round() {
    renders(&[
        (
            "{{ seq 5 }}|{{ seq -3 }}|{{ seq 0 2 }}|{{ seq 2 -2 }}|{{ seq 0 2 10 }}|{{ seq 0 -2 -5 }}",
            "1 2 3 4 5|1 0 -1 -2 -3|0 1 2|2 1 0 -1 -2|0 2 4 6 8 10|0 -2 -4",
        ),
        (
            "{{ round 123.555555 3 }} {{ round 123.5555 2 }} {{ round 10.5 0 }} {{ round 1.26 1 0.7 }}",
            "123.556 123.56 11 1.2",
        ),
        (
            "{{ addf 1.5 2 2 }} {{ add1f 1.5 }} {{ subf 7.5 2 3 }} {{ divf 10 2 4 }} {{ mulf 1.5 2 2 }} {{ addf 0.1 0.2 }}",
            "5.5 2.5 2.5 1.25 6 0.3",
        ),
        ("{{ maxf 1 2.5 3 }} {{ minf 1.5 2 3 }} {{ toDecimal \"0777\" }}", "3 1.5 511"),
        (
            "{{ math.Abs -3.5 }} {{ math.Abs -42 }} {{ math.Add 1 2 3 4 }} {{ math.Add 1.5 2 3 }} {{ math.Add \"0x2\" \"02\" \"2e0\" }}",
            "3.5 42 10 6.5 6",
        ),
        (
            "{{ math.Div 8 2 }} {{ math.Div 3 2 }} {{ math.Mul 8 8 2 }} {{ math.Sub 5 8 }} {{ math.Rem 5 3 }} {{ rem -5 3 }}",
            "4 1.5 128 -3 2 -2",
        ),
        (
            "{{ math.Pow 10 2 }} {{ pow 1.5 2 }} {{ math.Max 0 8.0 4.5 }} {{ math.Min 0 8 4.5 \"-1.5e-11\" }}",
            "100 2.25 8 -1.5e-11",
        ),
        (
            "{{ math.Ceil 5.1 }} {{ math.Floor \"3.14\" }} {{ math.Round -6.5 }} {{ math.Seq 10 20 3 }} {{ math.Seq 3 }} {{ math.Seq 3 1 }}",
            "6 3 -7 [10 13 16 19] [1 2 3] [3 2 1]",
        ),
        (
            "{{ math.IsInt \"0xFF\" }} {{ math.IsFloat 1.5 }} {{ math.IsNum \"foo\" }} {{ math.IsFloat \"42\" }}",
            "true true false false",
        ),
        ("{{ math.Div 1 0 }}", "3: the template function `math.Div` divides by 0"),
        (
            "{{ conv.ToInt64 \"0x42\" }} {{ conv.ToInt true }} {{ conv.ToInts true 0x42 \"123,456.99\" \"1.2345e+3\" }}",
            "66 1 [1 66 123456 1234]",
        ),
        (
            "{{ conv.ToFloat64 \"9,000.09\" }} {{ conv.ToBool \"yes\" }} {{ conv.ToBool \"0x01\" }} {{ conv.ToBools false \"blah\" 0 }}",
            "9000.09 true true [false false false]",
        ),
        (
            "{{ conv.ToStrings nil 42 true (coll.Slice 1 2 3) }} {{ conv.Join (list 1 2 3) \"-\" }}",
            "[nil 42 true [1 2 3]] 1-2-3",
        ),
        (
            "{{ conv.ParseInt \"7C0\" 16 32 }} {{ conv.ParseUint \"FFFFFFFFFFFFFFFF\" 16 64 }} {{ conv.Atoi \"21\" }}",
            "1984 18446744073709551615 21",
        ),
        (
            "{{ conv.ParseInt \"80\" 16 8 }}",
            "3: the template function `conv.ParseInt` reads no number that fits",
        ),
        ("{{ conv.ToInt \"one\" }}", "3: the template function `conv.ToInt` takes a whole number, not one"),
    ]);
}

#[test]
fn lists_and_maps_are_taken_apart_and_put_together() {
    renders(&[
        (
            "{{ chunk 3 (list 1 2 3 4 5 6 7 8) }} {{ pluck \"a\" (dict \"a\" 1) (dict \"b\" 2) (dict \"a\" 3) }}",
            "[[1 2 3] [4 5 6] [7 8]] [1 3]",
        ),
        (
            "{{ deepCopy (dict \"a\" 1) }} {{ mustFirst (list 1 2) }} {{ mustHas 1 (list 1) }} {{ mustMerge (dict \"a\" 1) (dict \"b\" 2) }}",
            "map[a:1] 1 true map[a:1 b:2]",
        ),
        (
            "{{ coll.Slice 1 1 | coll.Append 5 }} {{ list 2 | coll.Prepend 5 }} {{ coll.Index \"foo\" \"bar\" (dict \"foo\" (dict \"bar\" \"baz\")) }}",
            "[1 1 5] [5 2] baz",
        ),
        ("{{ coll.Index \"no\" (dict) }}", "3: the template function `coll.Index` finds nothing at \"no\""),
        (
            "{{ coll.Sort (list 10 9 1) }} {{ sort (list \"b\" \"a\") }} {{ coll.Sort \"b\" (list (dict \"b\" 2) (dict \"b\" 1)) }} {{ sort (list 2 \"a\" 1) }}",
            "[1 9 10] [a b] [map[b:1] map[b:2]] [2 a 1]",
        ),
        (
            "{{ \"[[1,2],[],[[3,4],[[[5],6],7]]]\" | jsonArray | flatten }} {{ coll.Flatten 2 (jsonArray \"[[1,[2,[3,[4]]]]]\") }}",
            "[1 2 3 4 5 6 7] [1 2 [3 [4]]]",
        ),
        (
            "{{ coll.Pick \"foo\" \"baz\" (dict \"foo\" 1 \"bar\" 2 \"baz\" 3) }} {{ coll.Omit (list \"foo\") (dict \"foo\" 1 \"bar\" 2) }} {{ list \"a\" \"b\" | coll.Omit \"b\" }}",
            "map[baz:3 foo:1] map[bar:2] [a]",
        ),
        (
            "{{ coll.Merge (dict \"foo\" 1 \"bar\" 0) (dict \"foo\" 8 \"bar\" 4 \"baz\" 4) }} {{ coll.Values (dict \"b\" 1 \"a\" 2) (dict \"c\" 3) }}",
            "map[bar:0 baz:4 foo:1] [2 1 3]",
        ),
        (
            "{{ dict \"foo\" 1 | coll.Set \"bar\" 2 }} {{ coll.Unset \"bar\" (dict \"foo\" 1 \"bar\" 2) }} {{ coll.Has (dict \"a\" 1) \"a\" }}",
            "map[bar:2 foo:1] map[foo:1] true",
        ),
        (
            "{{ jq \".a.b[1]\" (dict \"a\" (dict \"b\" (list 1 2))) }} {{ jq \"keys\" (dict \"b\" 1 \"a\" 2) }} {{ coll.GoSlice \"hello world\" 3 8 }}",
            "2 [a b] lo wo",
        ),
        (
            "{{ typeOf (list) }} {{ typeIs \"string\" \"a\" }} {{ typeIsLike \"*int\" 1 }} {{ deepEqual (list 1) (list 1) }} {{ kind 1 }} {{ isKind \"number\" 1.5 }}",
            "[]interface {} true true true int true",
        ),
        ("{{ test.Ternary 1 2 \"yes\" }} {{ required \"a message\" \"x\" }} {{ assert true }}", "1 x "),
        (
            "{{ required \"the name is needed\" .none }}",
            "3: the template function `required` says: the name is needed",
        ),
        (
            "{{ assert \"no dev\" (ne .vars.stage \"dev\") }}",
            "3: the template function `assert` says: no dev",
        ),
    ]);
}

#[test]
fn a_map_in_a_variable_can_be_changed() {
    renders(&[
        ("{{ $d := dict \"a\" 1 }}{{ $_ := set $d \"b\" 2 }}{{ $_ = unset $d \"a\" }}{{ $d }}", "map[b:2]"),
        ("{{ $d := dict }}{{ range .list }}{{ $_ := set $d . true }}{{ end }}{{ keys $d }}", "[a b c]"),
        ("{{ $d := dict \"in\" (dict) }}{{ $_ := set $d.in \"x\" 1 }}{{ $d }}", "map[in:map[x:1]]"),
        (
            "{{ $d := dict \"a\" 1 }}{{ $_ := merge $d (dict \"a\" 2 \"b\" 2) }}{{ $_ = coll.Set \"c\" 3 $d }}{{ $d }}",
            "map[a:1 b:2 c:3]",
        ),
        ("{{ set (dict \"a\" 1) \"a\" 2 }}", "map[a:2]"),
        (
            "{{ $d := deepCopy .vars.tags }}{{ $_ := set $d \"c\" 3 }}{{ $d }} {{ .vars.tags }}",
            "map[a:x b:2 c:3] map[a:x b:2]",
        ),
        // In Go every reference to the map sees the change.
        (
            "{{ set .vars \"a\" 1 }}",
            "3: the template function `set` would change a value that is not the template's own; `deepCopy` gives one that is",
        ),
        (
            "{{ $v := .vars.tags }}{{ set $v \"a\" 1 }}",
            "25: the template function `set` would change a value that is not the template's own; `deepCopy` gives one that is",
        ),
        (
            "{{ $d := dict }}{{ $l := list $d }}{{ set $d \"a\" 1 }}",
            "38: the template function `set` would change a value that is not the template's own; `deepCopy` gives one that is",
        ),
    ]);
}

#[test]
fn paths_are_go_s() {
    renders(&[
        (
            r#"{{ base "foo/bar/baz" }} {{ base "" }} {{ base "//" }} {{ dir "foo/bar/baz" }} {{ dir "a" }} {{ dir "/a" }}"#,
            "baz . / foo/bar . /",
        ),
        (
            r#"{{ clean "foo/bar/../baz" }} {{ clean "../../a/." }} {{ clean "/../a//b" }} {{ ext "foo.tar.gz" }} {{ isAbs "/a" }}"#,
            "foo/baz ../../a /a/b .gz true",
        ),
        (
            r#"{{ osBase "a/b" }} {{ osDir "a/b" }} {{ osExt "a.b" }} {{ osClean "a/./b" }} {{ osIsAbs "a" }}"#,
            "b a .b a/b false",
        ),
        (
            r#"{{ path.Base "a/b" }} {{ path.Join "a" "" "/b/../c" }} {{ path.Split "/tmp/foo" }} {{ filepath.Ext "a.b" }}"#,
            "b a/c [/tmp/ foo] .b",
        ),
        (
            r#"{{ path.Match "*.csv" "foo.csv" }} {{ path.Match "*" "a/b" }} {{ path.Match "a[^b-c]?" "adx" }} {{ path.Match "*a*b" "xxaab" }}"#,
            "true false true true",
        ),
        (
            r#"{{ filepath.Rel "/a" "/a/b/c" }} {{ filepath.Rel "/a" "/b/c" }} {{ filepath.Rel "a/b" "a/b" }}"#,
            "b/c ../b/c .",
        ),
    ]);
}

#[test]
fn addresses_and_networks_are_taken_apart() {
    renders(&[
        (
            r#"{{ urlParse "http://admin:secret@server.com:8080/api?list=false#anchor" }}"#,
            "map[fragment:anchor host:server.com:8080 hostname:server.com opaque: path:/api query:list=false scheme:http userinfo:admin:secret]",
        ),
        (
            r#"{{ (urlParse "mailto:a@b").opaque }} {{ (urlParse "/a%20b").path }} {{ (urlParse "https://[::1]:80").hostname }}"#,
            "a@b /a b ::1",
        ),
        (
            r#"{{ urlJoin (dict "fragment" "fragment" "host" "host:80" "path" "/path" "query" "query" "scheme" "http") }}"#,
            "http://host:80/path?query#fragment",
        ),
        (
            r#"{{ urlJoin (dict "scheme" "http" "host" "a") }} {{ urlJoin (dict "scheme" "https" "userinfo" "u:p" "host" "h" "path" "a b") }}"#,
            "http://a https://u:p@h/a%20b",
        ),
        (
            r#"{{ $u := conv.URL "https://example.com:443/foo/bar" }}{{ $u.Scheme }} {{ $u.Host }} {{ $u.Path }} {{ $u }}"#,
            "https example.com:443 /foo/bar https://example.com:443/foo/bar",
        ),
        (
            r#"{{ net.CIDRHost 268 "10.12.127.0/20" }} {{ "10.12.112.0/20" | net.CIDRHost -1 }} {{ net.CIDRHost 34 "fd00:fd12:3456:7890::/56" }}"#,
            "10.12.113.12 10.12.127.255 fd00:fd12:3456:7800::22",
        ),
        (
            r#"{{ net.CIDRNetmask "10.12.112.0/20" }} {{ "::/0" | net.CIDRNetmask }} {{ net.CIDRNetmask "fd00::/32" }}"#,
            "255.255.240.0 :: ffff:ffff::",
        ),
        (
            r#"{{ index ("10.0.0.0/16" | net.CIDRSubnets 8) 2 }} {{ "10.0.0.0/24" | net.CIDRSubnets 1 }}"#,
            "10.0.2.0/24 [10.0.0.0/25 10.0.0.128/25]",
        ),
        (
            r#"{{ "10.0.0.0/16" | net.CIDRSubnetSizes 4 4 8 4 }}"#,
            "[10.0.0.0/20 10.0.16.0/20 10.0.32.0/24 10.0.48.0/20]",
        ),
        (
            r#"{{ net.CIDRHost 256 "10.0.0.0/24" }}"#,
            "3: the template function `net.CIDRHost` finds no host 256 in 10.0.0.0/24",
        ),
        (
            r#"{{ net.CIDRSubnets 20 "10.0.0.0/24" }}"#,
            "3: the template function `net.CIDRSubnets` gives more than 2^14 networks",
        ),
        (
            r#"{{ net.CIDRSubnetSizes 1 1 1 "10.0.0.0/24" }}"#,
            "3: the template function `net.CIDRSubnetSizes` has no room for 1 more bits behind the other networks of 10.0.0.0/24",
        ),
    ]);
}

#[test]
fn documents_are_read_and_written() {
    renders(&[
        (
            r#"{{ (data.YAML "a: {b: [1, two]}").a.b }} {{ yamlArray "[1, 2]" }} {{ (fromYaml "a: 1").a }}"#,
            "[1 two] [1 2] 1",
        ),
        (
            r#"{{ toYAML (dict "b" (list 1 (dict "x" 1 "y" "z")) "a" (dict) "s" "true" "t" "it's" "c" "a: b") }}"#,
            "a: {}\nb:\n  - 1\n  - x: 1\n    \"y\": z\nc: 'a: b'\ns: \"true\"\nt: it's\n",
        ),
        (
            r#"{{ toYaml (dict "a" "x\ny\n") }}|{{ toYaml (list (list 1 2) "") }}"#,
            "a: |\n  x\n  y|- - 1\n  - 2\n- \"\"",
        ),
        (
            r#"{{ (toml "a = 1\n[b]\nc = \"x\"").b.c }} {{ data.ToJSONPretty "\t" (dict "a" 1) }}"#,
            "x {\n\t\"a\": 1\n}",
        ),
        (
            r#"{{ index (csv "C,32\nGo,25") 1 }} {{ csvByRow "lang,keywords\nGo,25" }}"#,
            "[Go 25] [map[keywords:25 lang:Go]]",
        ),
        (
            r#"{{ csvByColumn ";" "lang,keywords" "C;32\nGo;25" }} {{ csvByRow "" "a,b" }}"#,
            "map[keywords:[32 25] lang:[C Go]] [map[A:a B:b]]",
        ),
        (r#"{{ toCSV (list (list "a" "b,c") (list 1 2)) }}"#, "a,\"b,c\"\r\n1,2\r\n"),
        (
            r#"{{ b32enc "x" }} {{ b32dec "PA======" }} {{ base64.Encode "hello" }} {{ base64.Decode "aGVsbG8=" }}"#,
            "PA====== x aGVsbG8= hello",
        ),
        (
            r#"{{ sha1sum "Hello world!" }} {{ adler32sum "Hello world!" }}"#,
            "d3486ae9136e7856bc42212385ea797094475802 487130206",
        ),
        (
            r#"{{ sha512sum "a" | trunc 16 }} {{ crypto.SHA1 "foo" }} {{ crypto.SHA256 "a" | trunc 8 }} {{ crypto.SHA512_256 "bar" | trunc 8 }}"#,
            "1f40fc92da241694 0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33 ca978112 725eb523",
        ),
        (
            r#"{{ uuid.Nil }} {{ uuid.IsValid "totally invalid" }}"#,
            "00000000-0000-0000-0000-000000000000 false",
        ),
    ]);
}

#[test]
fn moments_are_given_as_seconds() {
    renders(&[
        (
            r#"{{ dateInZone "2006-01-02T15:04:05Z07:00" 1700000000 "UTC" }} {{ htmlDateInZone 0 "" }}"#,
            "2023-11-14T22:13:20Z 1970-01-01",
        ),
        (
            r#"{{ dateInZone "Mon, 2 Jan 2006 3:04PM -0700" 1700000000 "Europe/Berlin" }}"#,
            "Tue, 14 Nov 2023 11:13PM +0100",
        ),
        (
            r#"{{ duration "95" }} {{ duration 3661 }} {{ durationRound "2h10m5s" }} {{ durationRound "2400h10m5s" }}"#,
            "1m35s 1h1m1s 2h 3mo",
        ),
        (
            r#"{{ dateInZone "2006" "2020" "UTC" }}"#,
            "3: the template function `dateInZone` takes seconds since 1970, not a text, which would mean the present time",
        ),
    ]);
}

#[test]
fn what_is_not_pure_is_refused_with_the_reason() {
    for (call, why) in [
        ("now", "it depends on the clock"),
        ("ago 1", "it depends on the clock"),
        ("date \"2006\" 1", "it depends on the time zone of the machine"),
        ("uuidv4", "it gives something else each time"),
        ("randAlphaNum 5", "it gives something else each time"),
        ("bcrypt \"x\"", "it gives something else each time"),
        ("random.ASCII 3", "it gives something else each time"),
        ("derivePassword 1 \"long\" \"p\" \"u\" \"s\"", "keys and passwords do not belong in stacks"),
        ("getHostByName \"localhost\"", "it depends on the network"),
        ("net.LookupIP \"a\"", "it depends on the network"),
        ("file.Read \"a\"", "it reads files or the network; `!include` reads files of the repository"),
        ("datasource \"a\"", "it reads files or the network; `!include` reads files of the repository"),
        ("aws.Account", "it depends on the network"),
        ("tpl \"x\" .", "templates do not fill in templates here"),
        ("jsonpath \".a\" (dict)", "JSONPath is not read; `jq` reads paths"),
        ("toTOML (dict)", "TOML is read, but not written"),
    ] {
        let name = call.split(' ').next().unwrap_or_default();
        renders(&[(
            &format!("{{{{ {call} }}}}"),
            &format!("3: the template function `{name}` is not supported: {why}"),
        )]);
    }
}
