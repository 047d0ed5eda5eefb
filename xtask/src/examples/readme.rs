//! What the README.md of an example says that it prints.

/// The heading of the section; its first code block is the output.
const HEADING: &str = "## What it prints\n";
const OPENING: &str = "```console\n";
const CLOSING: &str = "```\n";

pub(super) struct Readme<'a> {
    before: &'a str,
    output: &'a str,
    after: &'a str,
}

impl<'a> Readme<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        let missing = || {
            format!(
                "there is no {OPENING:?} block below {:?}",
                HEADING.trim_end()
            )
        };
        let section = text.find(HEADING).ok_or_else(missing)? + HEADING.len();
        let opening = text[section..].find(OPENING).ok_or_else(missing)?;
        let start = section + opening + OPENING.len();
        let end = match text[start..].starts_with(CLOSING) {
            true => start,
            false => {
                let end = text[start..].find(&format!("\n{CLOSING}"));
                start + end.ok_or("the output does not end")? + 1
            }
        };
        Ok(Self {
            before: &text[..start],
            output: &text[start..end],
            after: &text[end..],
        })
    }

    /// Whether this was printed; if not, where they part.
    pub(super) fn compare(&self, printed: &str) -> Result<(), String> {
        let (mut said, mut printed) = (self.output.trim().lines(), printed.trim().lines());
        let mut number = 0;
        loop {
            number += 1;
            match (said.next(), printed.next()) {
                (None, None) => return Ok(()),
                (said, printed) if said == printed => {}
                (said, printed) => {
                    let told = |line: Option<&str>| {
                        line.map_or("nothing".to_owned(), |l| format!("{l:?}"))
                    };
                    return Err(format!(
                        "line {number} of the output is {} there, and the script prints {}",
                        told(said),
                        told(printed)
                    ));
                }
            }
        }
    }

    /// The whole text with another output.
    pub(super) fn with_output(&self, printed: &str) -> String {
        format!("{}{}\n{}", self.before, printed.trim(), self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "```console\n$ run.sh\n```\n\n## What it prints\n\n```console\n$ a\nb\n```\nend\n";

    #[test]
    fn the_output_is_that_of_its_section() {
        let readme = Readme::parse(TEXT).unwrap();
        assert_eq!(readme.output, "$ a\nb\n");
        assert_eq!(readme.compare("\n$ a\nb\n"), Ok(()));
        assert_eq!(readme.with_output("\n$ a\nb\n"), TEXT);
        let new = readme.with_output("c\n");
        assert!(new.ends_with("```console\nc\n```\nend\n"), "{new}");
    }

    #[test]
    fn the_first_difference_is_told() {
        let readme = Readme::parse(TEXT).unwrap();
        let why = readme.compare("$ a\nc\nd\n").unwrap_err();
        assert_eq!(
            why,
            "line 2 of the output is \"b\" there, and the script prints \"c\""
        );
        assert!(readme.compare("$ a\n").unwrap_err().ends_with("nothing"));
    }

    #[test]
    fn an_empty_block_can_be_filled_and_a_missing_one_is_told() {
        let empty = "## What it prints\n\n```console\n```\n";
        let readme = Readme::parse(empty).unwrap();
        assert_eq!(
            readme.with_output("a"),
            "## What it prints\n\n```console\na\n```\n"
        );
        for text in [
            "",
            "```console\na\n```\n",
            "## What it prints\n```console\na",
        ] {
            assert!(Readme::parse(text).is_err(), "{text}");
        }
    }
}
