//! Which instruction of a Dockerfile a build's log speaks of.

use std::fmt;

/// One instruction, with the number of its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) line: usize,
    pub(super) text: String,
}

/// A message is one line, and a list of requirements may be long.
const LONGEST: usize = 160;

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the Dockerfile, `", self.line)?;
        match self.text.char_indices().nth(LONGEST) {
            Some((end, _)) => write!(f, "{}…`", &self.text[..end]),
            None => write!(f, "{}`", self.text),
        }
    }
}

/// The instruction that was carried out last, as far as the log shows.
pub(super) fn failing(dockerfile: &str, log: &[String]) -> Option<Instruction> {
    let instructions = instructions(dockerfile);
    let by_number = |number: usize| instructions.iter().rev().find(|one| one.line <= number);
    for line in log.iter().rev() {
        // kaniko prepares for an instruction long before it is its turn.
        if line.contains("Unpacking rootfs") {
            continue;
        }
        let number = ["parse error on line ", "parse error line ", "Dockerfile:"]
            .iter()
            .find_map(|words| number_after(line, words));
        if let Some(found) = number.and_then(by_number) {
            return Some(found.clone());
        }
        let plain = unescaped(line);
        let named = |one: &&Instruction| {
            let command = one.text.split_once(' ').map_or(one.text.as_str(), |(_, rest)| rest.trim());
            plain.contains(&one.text)
                || (command.len() > 3 && plain.contains(&format!("\"/bin/sh -c {command}\"")))
        };
        if let Some(found) = instructions.iter().rev().find(named) {
            return Some(found.clone());
        }
    }
    by_tool(&instructions, log)
}

/// The instruction that names the base image which a line of the log is about.
pub(super) fn base(dockerfile: &str, line: &str) -> Option<Instruction> {
    let is_from = |one: &&Instruction| {
        one.text.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("from"))
    };
    let all = instructions(dockerfile);
    let repository = |one: &Instruction| {
        let image = one.text.split_whitespace().skip(1).find(|word| !word.starts_with("--"))?.to_owned();
        let image: wm_core::ImageReference = image.parse().ok()?;
        Some(image.repository().to_owned())
    };
    let named = |one: &&Instruction| is_from(one) && repository(one).is_some_and(|name| line.contains(&name));
    all.iter().find(named).or_else(|| all.iter().rev().find(is_from)).cloned()
}

/// When the log is cut behind the beginning of an instruction, its output still shows which program spoke.
fn by_tool(instructions: &[Instruction], log: &[String]) -> Option<Instruction> {
    let tools: [(&str, &[&str]); 2] = [
        (
            "pip install",
            &["No matching distribution", "No solution found", "Could not find a version", "Collecting "],
        ),
        (
            "apt-get install",
            &["E: Unable to locate", "E: Unable to fetch", "E: Failed to fetch", "E: Package "],
        ),
    ];
    let said = |words: &&str| log.iter().any(|line| line.contains(words));
    let (command, _) = tools.iter().find(|(_, words)| words.iter().any(said))?;
    instructions.iter().rev().find(|one| one.text.contains(command)).cloned()
}

/// Instructions with their continued lines joined; comments and blank lines are none.
fn instructions(dockerfile: &str) -> Vec<Instruction> {
    let mut all: Vec<Instruction> = Vec::new();
    let mut continues = false;
    for (index, line) in dockerfile.lines().enumerate() {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let body = text.strip_suffix('\\').unwrap_or(text);
        match all.last_mut().filter(|_| continues) {
            Some(last) => last.text.extend([" ", body.trim()]),
            None => all.push(Instruction { line: index + 1, text: body.trim().to_owned() }),
        }
        continues = text.ends_with('\\');
    }
    all
}

fn number_after(line: &str, words: &str) -> Option<usize> {
    let (_, rest) = line.split_once(words)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

/// A line in which quotes were escaped, as they are within the fields of kaniko's log.
fn unescaped(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        plain.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERFILE: &str = "# first\nFROM a\n\nRUN one \\\n  two\nRUN [\"sh\",\"-c\",\"echo \\\"x\\\"\"]\n";

    fn line(log: &[&str]) -> Option<usize> {
        let log: Vec<_> = log.iter().map(|line| (*line).to_owned()).collect();
        failing(DOCKERFILE, &log).map(|one| one.line)
    }

    #[test]
    fn instructions_keep_their_first_line() {
        let all = instructions(DOCKERFILE);
        let shown: Vec<_> = all.iter().map(|one| (one.line, one.text.as_str())).collect();
        assert_eq!(shown[..2], [(2, "FROM a"), (4, "RUN one two")]);
        assert_eq!(all[2].line, 6);
    }

    #[test]
    fn the_last_instruction_that_the_log_names_is_it() {
        let run = r#"time="x" level=info msg="RUN [\"sh\",\"-c\",\"echo \\\"x\\\"\"]""#;
        assert_eq!(line(&[run, "x"]), Some(6));
        assert_eq!(line(&["#5 [2/3] RUN one two", "#6 ERROR"]), Some(4));
        assert_eq!(line(&["Unpacking rootfs as cmd RUN one two requires it."]), None);
        assert_eq!(line(&["Dockerfile:5", "--------------------"]), Some(4));
        assert_eq!(line(&["dockerfile parse error on line 6: unknown instruction"]), Some(6));
        assert_eq!(
            line(&[r#"process "/bin/sh -c one two" did not complete successfully: exit code: 1"#]),
            Some(4)
        );
        assert_eq!(line(&["STEP 2/3: RUN one two"]), Some(4));
        assert_eq!(line(&[]), None);
    }

    #[test]
    fn the_base_image_that_a_line_is_about_is_found() {
        let dockerfile = "FROM --platform=linux/amd64 r.io/tools:1 AS tools\nRUN x\nfrom r.io/app:2\n";
        let line = |text: &str| base(dockerfile, text).map(|one| one.line);
        assert_eq!(line("GET https://r.io/v2/tools/manifests/1: MANIFEST_UNKNOWN"), Some(1));
        assert_eq!(line("GET https://r.io/v2/app/manifests/2: MANIFEST_UNKNOWN"), Some(3));
        assert_eq!(line("something else"), Some(3));
    }

    #[test]
    fn a_long_instruction_is_shortened_and_nothing_else() {
        let long = Instruction { line: 3, text: "RUN ".to_owned() + &"é".repeat(400) };
        assert!(long.to_string().chars().count() < LONGEST + 40);
        let short = Instruction { line: 3, text: "RUN x".to_owned() };
        assert_eq!(short.to_string(), "line 3 of the Dockerfile, `RUN x`");
    }
}
