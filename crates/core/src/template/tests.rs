//! Templates against what Go prints for them.

use proptest::prelude::*;

use super::*;

fn data() -> Value {
    let image = |name: &str, old: &str, new: &str| {
        let labels = BTreeMap::from([("a.b".to_owned(), "x".to_owned())]);
        Value::record(
            [
                ("Image", Value::text(name)),
                ("OldTag", Value::text(old)),
                ("NewTag", Value::text(new)),
                ("Labels", Value::Map(Arc::new(labels))),
            ],
            [("Own", Value::text("ours"))],
        )
    };
    Value::record(
        [
            ("AppName", Value::text("shop")),
            ("Empty", Value::List(Arc::from([]))),
            ("Count", Value::Int(3)),
            ("Yes", Value::Bool(true)),
            ("Half", Value::Float(0.5)),
            (
                "AppChanges",
                Value::List(Arc::from([
                    image("a/b", "1.0", "1.1"),
                    image("c", "2", "3"),
                ])),
            ),
        ],
        [],
    )
}

fn render(text: &str) -> Result<String, TemplateProblem> {
    Template::parse(text)
        .and_then(|template| template.render(&data()))
        .map_err(|error| error.problem)
}

/// Template and output; `!` is an error.
const PRINTED: &[(&str, &str)] = &[
    ("a {{ .AppName }} b", "a shop b"),
    ("a {{- .AppName -}} b", "ashopb"),
    ("a\n{{- /* note */ -}}\nb", "ab"),
    ("a{{/* {{ */}}b", "ab"),
    ("{{ range .AppChanges }}{{ .Image }},{{ end }}", "a/b,c,"),
    (
        "{{ range $i, $e := .AppChanges }}{{ $i }}={{ $e.Image }}/{{ .NewTag }} {{ end }}",
        "0=a/b/1.1 1=c/3 ",
    ),
    (
        "{{ range $e := .AppChanges }}{{ $e.OldTag }}{{ $.AppName }}{{ end }}",
        "1.0shop2shop",
    ),
    ("{{ range .Empty }}x{{ else }}none{{ end }}", "none"),
    (
        "{{ range $k, $v := (index .AppChanges 0).Labels }}{{ $k }}:{{ $v }}{{ end }}",
        "a.b:x",
    ),
    ("{{ range 3 }}{{ . }}{{ end }}", "012"),
    (
        "{{ range .AppChanges }}{{ if eq .Image \"c\" }}{{ break }}{{ end }}{{ .Image }}{{ end }}",
        "a/b",
    ),
    (
        "{{ range .AppChanges }}{{ if eq .Image \"a/b\" }}{{ continue }}{{ end }}{{ .Image }}{{ end }}",
        "c",
    ),
    (
        "{{ if .Empty }}a{{ else if eq .Count 3 }}b{{ else }}c{{ end }}",
        "b",
    ),
    (
        "{{ with .Empty }}a{{ else with .AppName }}{{ . }}{{ else }}c{{ end }}",
        "shop",
    ),
    ("{{ with $x := .AppName }}{{ $x }}{{ end }}", "shop"),
    (
        "{{ $x := 1 }}{{ if .Yes }}{{ $x = 2 }}{{ end }}{{ $x }}",
        "2",
    ),
    (
        "{{ $x := 1 }}{{ if .Yes }}{{ $x := 2 }}{{ end }}{{ $x }}",
        "1",
    ),
    ("{{ len .AppChanges }} {{ len .AppName }}", "2 4"),
    ("{{ .AppName | printf \"%s-%d\" \"x\" | len }}", "18"),
    ("{{ index .AppChanges 1 | len }}", "!"),
    ("{{ (index .AppChanges 1).Image }}", "c"),
    (
        "{{ index (index .AppChanges 0).Labels \"a.b\" }}{{ index (index .AppChanges 0).Labels \"no\" }}|",
        "x|",
    ),
    ("{{ slice .AppName 1 3 }}", "ho"),
    (
        "{{ and .Yes .AppName }}{{ or .Empty .Count }}{{ not .Yes }}",
        "shop3false",
    ),
    ("{{ or .Yes (index .Empty 5) }}", "true"),
    (
        "{{ eq .Count 1 2 3 }}{{ ne 1 2 }}{{ lt 1 2 }}{{ ge \"b\" \"a\" }}",
        "truetruetruetrue",
    ),
    ("{{ print 1 2 \"x\" 3 .Yes }}", "1 2x3 true"),
    ("{{ println 1 \"x\" }}", "1 x\n"),
    ("{{ html \"<a b='c'>\" }}", "&lt;a b=&#39;c&#39;&gt;"),
    ("{{ js \"it's <b>\" }}", "it\\'s \\u003Cb\\u003E"),
    ("{{ urlquery \"a b/ü\" }}", "a+b%2F%C3%BC"),
    (
        "{{ .AppChanges }}",
        "[{a/b 1.0 1.1 map[a.b:x]} {c 2 3 map[a.b:x]}]",
    ),
    (
        "{{ 0x10 }} {{ 1.5 }} {{ 'a' }} {{ -3 }} {{ 1e30 }} {{ `r\"w` }}",
        "16 1.5 97 -3 1e+30 r\"w",
    ),
    ("{{ \"\\u00fc\\n\\x41\" }}", "ü\nA"),
];

#[test]
fn templates_print_what_go_prints() {
    for (text, expected) in PRINTED.iter().copied() {
        match render(text) {
            Ok(got) => assert_eq!(got, expected, "{text}"),
            Err(problem) => assert_eq!(expected, "!", "{text}: {problem}"),
        }
    }
}

#[test]
fn printf_knows_the_common_verbs() {
    for (arguments, expected) in [
        (
            r#""%s|%5s|%-5s|%.2s" "abc" "abc" "abc" "abc""#,
            "abc|  abc|abc  |ab",
        ),
        (r#""%q %+q" "a\"b\tü" "ü""#, r#""a\"b\tü" "\u00fc""#),
        (
            r#""%d %5d %-5d| %05d %+d %x %X %c %U %b %o" 1 2 3 -4 5 255 255 65 65 5 8"#,
            "1     2 3    | -0004 +5 ff FF A U+0041 101 10",
        ),
        (
            r#""%v %t %f %.2f %e" true false 1.5 1.555 1500.0"#,
            "true false 1.500000 1.55 1.500000e+03",
        ),
        (r#""%x" "hi""#, "6869"),
        (r#""%d" "hi""#, "%!d(string=hi)"),
        (r#""%s" 5"#, "%!s(int=5)"),
        (r#""%d %d" 1"#, "1 %!d(MISSING)"),
        (r#""%d" 1 "x""#, "1%!(EXTRA string=x)"),
        (r#""100%%""#, "100%"),
        (r#""%""#, "%!(NOVERB)"),
        (r#""%*d" 4 1"#, "   1"),
        (r#""%T %T" "a" 1"#, "string int"),
        (r#""%s" .Empty"#, "[]"),
    ] {
        assert_eq!(
            render(&format!("{{{{ printf {arguments} }}}}")).as_deref(),
            Ok(expected),
            "{arguments}"
        );
    }
}

#[test]
fn broken_templates_are_refused_before_they_run() {
    for text in [
        "{{",
        "{{ .A",
        "{{ }}",
        "{{ end }}",
        "{{ if .A }}",
        "{{ else }}",
        "{{ nosuch }}",
        "{{ $x }}",
        "{{ range .A }}{{ else }}{{ else }}{{ end }}",
        "{{ \"a }}",
        "{{ `a }}",
        "{{ 'ab' }}",
        "{{ .A | .B }}",
        "{{ .A .B }}",
        "{{ (.A }}",
        "{{ .A) }}",
        "{{ break }}",
        "{{ 1x }}",
        "{{ template \"x\" }}",
        "{{ call .A }}",
        "{{ /* x }}",
        "{{ \"\\q\" }}",
        "{{ nil }}",
        "{{ if .A }}{{ $y := 1 }}{{ end }}{{ $y }}",
        "{{ range $a, $b, $c := .A }}{{ end }}",
        "{{ # }}",
        "{{ $x = 1 }}",
        "{{ | print }}",
        "{{ print | }}",
        "{{ .AppName.. }}",
    ] {
        assert!(Template::parse(text).is_err(), "{text}");
    }
}

#[test]
fn data_that_does_not_fit_is_an_error_with_its_line() {
    for text in [
        "{{ .Foo }}",
        "{{ .AppName.Foo }}",
        "{{ index .AppChanges 9 }}",
        "{{ index .AppChanges -1 }}",
        "{{ range .AppName }}{{ end }}",
        "{{ eq 1 \"1\" }}",
        "{{ lt true false }}",
        "{{ len 3 }}",
        "{{ slice .AppName 3 1 }}",
        "{{ slice \"ü\" 1 }}",
        "{{ not }}",
        "{{ printf 1 }}",
    ] {
        assert!(
            Template::parse(text).unwrap().render(&data()).is_err(),
            "{text}"
        );
    }
    let error = Template::parse("a\n\n{{ .Foo }}")
        .unwrap()
        .render(&data())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "template line 3: there is no field `Foo`"
    );
}

#[test]
fn work_depth_and_output_are_bounded() {
    let loops = "{{range 99999}}".repeat(5) + &"{{end}}".repeat(5);
    assert_eq!(render(&loops), Err(TemplateProblem::Limit("work")));
    let long = "{{range 99999}}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{end}}";
    assert_eq!(render(long), Err(TemplateProblem::Limit("output")));
    let doubling = "{{$x := \"xxxxxxxx\"}}{{range 64}}{{$x = print $x $x}}{{end}}";
    assert_eq!(render(doubling), Err(TemplateProblem::Limit("output")));
    assert_eq!(
        render("{{ printf \"%999999999d\" 1 }}"),
        Err(TemplateProblem::Limit("output"))
    );
    let deep = "{{if .Yes}}".repeat(1_000) + &"{{end}}".repeat(1_000);
    assert_eq!(render(&deep), Err(TemplateProblem::Limit("nesting")));
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(1_000), ")".repeat(1_000));
    assert_eq!(render(&deep), Err(TemplateProblem::Limit("nesting")));
}

proptest! {
    #[test]
    fn no_template_panics(text in "(\\{\\{|\\}\\}| |-|if|end|else|range|with|\\.|\\$x|:=|=|\\||\\(|\\)|\"|%|[a-z0-9.]|print|printf|ü|\n){0,40}") {
        if let Ok(template) = Template::parse(&text) {
            let _ = template.render(&data());
        }
    }

    #[test]
    fn no_format_panics(layout in "(%|[-+# 0-9.*]|[svqdxXtTcUbofeg]|ü){0,12}") {
        let values = [Value::text("ü\0x"), Value::Int(i64::MIN), Value::Float(-1e300), Value::Nil];
        for value in values {
            let _ = format::sprintf(&mut format::Bounded::default(), &layout, &[value]);
        }
    }
}

#[test]
fn large_texts_on_the_way_cost_as_much_as_many_small_ones() {
    let text = "{{ range 400 }}{{ if urlquery (printf \"%0262144d\" 1) }}{{ end }}{{ end }}";
    assert_eq!(render(text), Err(TemplateProblem::Limit("work")));
    let lists = "{{ range 100000 }}{{ if printf \"%.0s\" $.AppChanges }}{{ end }}{{ end }}";
    assert_eq!(render(lists), Err(TemplateProblem::Limit("work")));
    // Asking a list for its length is no work.
    let lengths = "{{ range 100000 }}{{ if eq (len $.AppChanges) 1 }}{{ end }}{{ end }}";
    assert_eq!(render(lengths), Ok(String::new()));
}
