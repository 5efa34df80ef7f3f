//! All cells as a table.

use std::{collections::BTreeMap, fmt};

use super::{cell::Outcome, fault::FAULTS};

#[derive(Debug, Default)]
pub(super) struct Matrix {
    cells: BTreeMap<(usize, usize), Outcome>,
}

impl Matrix {
    pub(super) fn failed(&self) -> usize {
        self.cells.values().filter(|outcome| **outcome != Outcome::Right).count()
    }
}

impl Extend<(usize, usize, Outcome)> for Matrix {
    fn extend<I: IntoIterator<Item = (usize, usize, Outcome)>>(&mut self, cells: I) {
        self.cells.extend(cells.into_iter().map(|(row, column, outcome)| ((row, column), outcome)));
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            ". right, V another verdict, 2 launched twice, L another log, S slot leaked, H hung, E error; \
             a fault with itself is the fault alone\n"
        )?;
        write!(f, "{:<19}", "")?;
        for column in 1..=FAULTS.len() {
            write!(f, "{column:>3}")?;
        }
        writeln!(f)?;
        for (row, fault) in FAULTS.iter().enumerate() {
            write!(f, "{:>2} {:<16}", row + 1, fault.name)?;
            for column in 0..FAULTS.len() {
                let outcome = self.cells.get(&(row.min(column), row.max(column)));
                write!(f, "{:>3}", outcome.map_or(' ', Outcome::letter))?;
            }
            writeln!(f)?;
        }
        for ((row, column), outcome) in &self.cells {
            if *outcome != Outcome::Right {
                writeln!(f, "{} with {}: {outcome:?}", FAULTS[*row].name, FAULTS[*column].name)?;
            }
        }
        write!(f, "{} of {} cells are right", self.cells.len() - self.failed(), self.cells.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_shows_in_both_rows_and_in_words() {
        let mut matrix = Matrix::default();
        matrix.extend([(0, 0, Outcome::Right), (0, 1, Outcome::WrongLog("run-0: 41 lines".to_owned()))]);
        let text = matrix.to_string();
        assert!(text.contains(" 1 latency           .  L"), "{text}");
        assert!(text.contains(" 2 429               L"), "{text}");
        assert!(text.contains("latency with 429: WrongLog(\"run-0: 41 lines\")"), "{text}");
        assert!(text.ends_with("1 of 2 cells are right") && matrix.failed() == 1, "{text}");
    }
}
