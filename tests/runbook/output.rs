//! Whether what was printed is what the runbook shows: `<word>` stands for some characters of one line, `...` alone
//! on a line for any lines, none among them.

pub(crate) fn matches(shown: &[String], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "..." => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        (Some((first, rest)), Some((line, others))) => {
            line_matches(first, line) && matches(rest, others)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let Some((before, rest)) = shown.split_once('<') else { return shown == printed };
    let Some((_, after)) = rest.split_once('>') else { return shown == printed };
    let Some(printed) = printed.strip_prefix(before) else { return false };
    let ends = printed.char_indices().map(|(at, character)| at + character.len_utf8());
    ends.into_iter().any(|end| line_matches(after, printed.get(end..).unwrap_or_default()))
}

#[test]
fn placeholders_stand_for_something_and_dots_for_anything() {
    let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (expected, printed, same) in [
        ("from <time> on", "from 12:00 on", true),
        ("from <time> on", "from  on", false),
        ("a\n...\nd", "a\nb\nc\nd", true),
        ("a\n...\nd", "a\nd", true),
        ("a\n...", "b", false),
        ("a", "a\nb", false),
        ("a\nb", "a", false),
    ] {
        let printed: Vec<&str> = printed.lines().collect();
        assert_eq!(matches(&shown(expected), &printed), same, "{expected:?} {printed:?}");
    }
}
