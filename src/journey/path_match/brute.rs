//! Patterns against the definition: from every step, every end that a part can have.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::Pattern;

/// A part of a pattern over the steps `a`, `b`, `c`.
#[derive(Debug, Clone)]
enum Part {
    Name(char),
    Any,
    Not(char),
    Regex(char),
    Chain(Vec<Part>),
    Either(Vec<Part>),
    Repeat(Box<Part>, usize, Option<usize>),
}

impl Part {
    fn text(&self) -> String {
        let joined = |parts: &[Self], with| parts.iter().map(Self::text).collect::<Vec<_>>().join(with);
        match self {
            Self::Name(name) => name.to_string(),
            Self::Any => ".".to_owned(),
            Self::Not(name) => format!("[^{name}]"),
            Self::Regex(name) => format!("~\"[{name}c]\""),
            Self::Chain(parts) => format!("({})", joined(parts, " -> ")),
            Self::Either(parts) => format!("({})", joined(parts, " | ")),
            Self::Repeat(part, 0, None) => format!("({})*", part.text()),
            Self::Repeat(part, 1, None) => format!("({})+", part.text()),
            Self::Repeat(part, 0, Some(1)) => format!("({})?", part.text()),
            Self::Repeat(part, least, None) => format!("({}){{{least},}}", part.text()),
            Self::Repeat(part, least, Some(most)) => format!("({}){{{least}, {most}}}", part.text()),
        }
    }

    fn ends(&self, steps: &[char], from: usize) -> BTreeSet<usize> {
        let one = |holds: &dyn Fn(char) -> bool| {
            steps.get(from).filter(|step| holds(**step)).map(|_| from + 1).into_iter().collect()
        };
        match self {
            Self::Name(name) => one(&|step| step == *name),
            Self::Any => one(&|_| true),
            Self::Not(name) => one(&|step| step != *name),
            Self::Regex(name) => one(&|step| step == *name || step == 'c'),
            Self::Either(parts) => parts.iter().flat_map(|part| part.ends(steps, from)).collect(),
            Self::Chain(parts) => parts.iter().fold(BTreeSet::from([from]), |at, part| after(part, steps, &at)),
            Self::Repeat(part, least, most) => {
                let mut at = (0..*least).fold(BTreeSet::from([from]), |at, _| after(part, steps, &at));
                let mut all = at.clone();
                for _ in 0..most.map_or(steps.len() + 1, |most| most - least) {
                    at = after(part, steps, &at);
                    all.extend(&at);
                }
                all
            }
        }
    }
}

fn after(part: &Part, steps: &[char], from: &BTreeSet<usize>) -> BTreeSet<usize> {
    from.iter().flat_map(|&at| part.ends(steps, at)).collect()
}

fn part() -> impl Strategy<Value = Part> {
    let name = prop::sample::select(vec!['a', 'b', 'c']);
    let leaf = prop_oneof![
        4 => name.clone().prop_map(Part::Name),
        1 => Just(Part::Any),
        1 => name.clone().prop_map(Part::Not),
        1 => name.prop_map(Part::Regex),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let times =
            prop::sample::select(vec![(0, None), (1, None), (0, Some(1)), (2, None), (1, Some(2)), (2, Some(2))]);
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(Part::Chain),
            1 => prop::collection::vec(inner.clone(), 2..4).prop_map(Part::Either),
            1 => (inner, times).prop_map(|(part, (least, most))| Part::Repeat(Box::new(part), least, most)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

    #[test]
    fn every_pattern_equals_the_definition(
        part in part(),
        from_start: bool,
        to_end: bool,
        steps in prop::collection::vec(prop::sample::select(vec!['a', 'b', 'c']), 0..9),
    ) {
        let text = format!("{}({}){}", if from_start { "^ -> " } else { "" }, part.text(), if to_end { " -> $" } else { "" });
        // Repetitions of repetitions have too many positions now and then.
        let Ok(pattern) = Pattern::parse(&text) else {
            prop_assert!(Pattern::parse(&text).unwrap_err().contains("at most 64"), "{}", text);
            return Ok(());
        };
        let masks: Vec<u64> = steps.iter().map(|step| pattern.mask(Some(&step.to_string()))).collect();
        let starts = if from_start { 0..=0 } else { 0..=steps.len() };
        let all: Vec<(usize, usize)> = starts
            .flat_map(|start| part.ends(&steps, start).into_iter().map(move |end| (start, end)))
            .filter(|(_, end)| !to_end || *end == steps.len())
            .collect();
        prop_assert_eq!(pattern.is_met(masks.iter().copied()), !all.is_empty(), "{} {:?}", &text, &steps);
        let (mut expected, mut from) = (Vec::new(), 0);
        while let Some(&(start, end)) = all.iter().filter(|(start, end)| from <= *start && start < end).min() {
            expected.push(start..end);
            from = end;
        }
        let mut found = Vec::new();
        pattern.each(&masks, usize::MAX, |it| found.push(it));
        prop_assert_eq!(found, expected, "{} {:?}", &text, &steps);
    }
}

fn met(pattern: &str, steps: &[&str]) -> bool {
    let pattern = Pattern::parse(pattern).unwrap();
    pattern.is_met(steps.iter().map(|step| pattern.mask(Some(step))))
}

#[test]
fn names_are_met_as_they_are_written() {
    assert!(met("/product/<id>-> /cart", &["/", "/product/<id>", "/cart"]));
    assert!(met("/index.html? -> /a-b", &["/a-b"]));
    assert!(met("$pageview", &["$pageview"]));
    assert!(met("\"add to \"\"cart\"\"\" -> 'it''s'", &["add to \"cart\"", "it's"]));
    assert!(met("^home -> .* -> purchase$", &["home", "x", "purchase"]));
    assert!(!met("^home -> purchase$", &["home", "purchase", "x"]));
    assert!(met("home -> .* -> [^error]* -> purchase", &["home", "error", "a", "purchase"]));
    assert!(!met("home -> [^error, ~\"^/5\"]* -> purchase", &["home", "/500", "purchase"]));
    let pattern = Pattern::parse("[^a]").unwrap();
    assert!(pattern.is_met([pattern.mask(None)]));
}

#[test]
fn what_is_no_pattern_says_why() {
    for (text, why) in [
        ("", "'' names no step"),
        ("^ -> $", "names no step"),
        ("a b", "'b' – write -> between steps"),
        ("a -> ", "'' is no step"),
        ("-> a", "'-> a' is no step"),
        ("(a", "a group is not closed"),
        ("a)", "')' is no step"),
        ("[a", "] is missing"),
        ("a -> []", "[] names no step"),
        ("[^ ]", "[^] leaves out no step"),
        ("it's", "''s' is no step"),
        ("a**", "one repetition"),
        ("a{0}", "at least 1"),
        ("a{3,2}", "write {2}"),
        ("a{65}", "at most 64 steps"),
        ("~x", "needs a regular expression in quotes"),
        ("~\"(\"", "unclosed group"),
        ("\"a", "the quote is not closed"),
        ("a -> ^b", "'^b' is no step"),
        ("a$ -> b", "$ at its end"),
        ("^a | b", "parentheses"),
    ] {
        let error = Pattern::parse(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    assert!(Pattern::parse(&"(".repeat(100_000)).unwrap_err().contains("inside each other"));
}

#[test]
fn a_million_steps_are_no_trap() {
    let pattern = Pattern::parse("(a* -> a*)* -> (a | .)* -> a{20} -> b").unwrap();
    let masks = vec![pattern.mask(Some("a")); 1_000_000];
    assert!(!pattern.is_met(masks.iter().copied()));
    pattern.each(&masks, usize::MAX, |_| panic!());
    let all = Pattern::parse("a -> a*").unwrap();
    let mut found = 0;
    all.each(&masks, usize::MAX, |_| found += 1);
    assert_eq!(found, masks.len());
}
