//! Reading Rust by lines, as far as the checks need it: what is test code, and what is not a comment.

/// The words that begin a file's unit tests.
const TESTS: &str = "#[cfg(test)]";

/// Whether a whole file is test code.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The lines before a file's unit tests.
pub(crate) fn production(text: &str) -> impl Iterator<Item = (usize, &str)> {
    numbered(text).take_while(|(_, line)| line.trim_start() != TESTS)
}

/// The lines of test code: of a test file all, of others those from the unit tests on.
pub(crate) fn tests<'a>(path: &str, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let all = is_test_file(path);
    numbered(text).skip_while(move |(_, line)| !all && line.trim_start() != TESTS)
}

/// All lines with their numbers, without comments.
pub(crate) fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    numbered(text).filter(|(_, line)| !is_comment(line))
}

/// Whether a line is nothing but a comment.
pub(crate) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// All lines, counted from one.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn a() {}\n// sleep\n#[cfg(test)]\nmod tests {}";

    #[test]
    fn unit_tests_begin_at_their_attribute() {
        assert_eq!(production(TEXT).count(), 2);
        assert_eq!(
            super::tests("src/a.rs", TEXT)
                .map(|(line, _)| line)
                .collect::<Vec<_>>(),
            [3, 4]
        );
    }

    #[test]
    fn a_file_under_tests_is_test_code_from_its_first_line() {
        assert_eq!(super::tests("crates/a/tests/b.rs", TEXT).count(), 4);
    }

    #[test]
    fn comments_are_not_code() {
        assert_eq!(code(TEXT).map(|(line, _)| line).collect::<Vec<_>>(), [1, 3, 4]);
    }
}
