//! Every fault of the embedded cluster, alone and in pairs: each run ends with the right verdict, is launched once, has each
//! line of its log once, and gives its slot back.

mod cell;
mod fault;
mod matrix;

use clap::Args;
use futures::{StreamExt as _, stream};
use tokio::runtime::Runtime;

use self::{fault::FAULTS, matrix::Matrix};
use crate::Failure;

/// What to try.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only pairs with this fault, by its name in the table.
    #[arg(long)]
    only: Option<String>,
    /// How many clusters at the same time; most of the time is spent waiting.
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// Another one makes the faults hit otherwise.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Tries all cells and prints the matrix; fails if one of them is not as it should be.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if let Some(only) = &options.only
        && !FAULTS.iter().any(|fault| fault.name == only)
    {
        let known: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
        return Err(format!("there is no fault {only:?}; these there are: {}", known.join(", ")).into());
    }
    let cells: Vec<_> = cells().filter(|(row, column)| is_wanted(options, *row, *column)).collect();
    let matrix = Runtime::new()?.block_on(async {
        stream::iter(cells)
            .map(|(row, column)| async move {
                let outcome = cell::run(FAULTS[row], FAULTS[column], options.seed).await;
                (row, column, outcome)
            })
            .buffer_unordered(options.at_once.max(1))
            .collect::<Matrix>()
            .await
    });
    println!("{matrix}");
    match matrix.failed() {
        0 => Ok(()),
        failed => Err(format!("{failed} cells are not as they should be").into()),
    }
}

/// Each fault with itself, which stands for it alone, and with each that comes later.
fn cells() -> impl Iterator<Item = (usize, usize)> {
    (0..FAULTS.len()).flat_map(|row| (row..FAULTS.len()).map(move |column| (row, column))).filter(
        // Of two that decide how a run ends, either may be first.
        |(row, column)| row == column || !(FAULTS[*row].is_deciding() && FAULTS[*column].is_deciding()),
    )
}

fn is_wanted(options: &Options, row: usize, column: usize) -> bool {
    let is_meant = |index: usize| options.only.as_deref().is_none_or(|only| FAULTS[index].name == only);
    is_meant(row) || is_meant(column)
}

#[cfg(test)]
mod tests {
    use super::{cell::Outcome, fault::Fault, *};

    #[test]
    fn each_fault_is_tried_alone_and_with_each_other_that_leaves_the_end_open() {
        let passing = FAULTS.iter().filter(|fault| !fault.is_deciding()).count();
        let deciding = FAULTS.len() - passing;
        assert_eq!(cells().count(), FAULTS.len() + passing * (passing - 1) / 2 + passing * deciding);
    }

    #[test]
    fn each_is_a_fault_of_the_embedded_cluster() {
        for Fault { name, text, .. } in FAULTS {
            assert!(text.parse::<wm_local::Fault>().is_ok(), "{name}: {text}");
        }
        let known: Vec<_> = FAULTS.iter().map(|fault| fault.text).collect();
        for entry in wm_local::CATALOG {
            let is_tried = known.iter().any(|text| text.split(['=', ',']).next() == Some(entry.name));
            assert!(
                is_tried || fault::LEFT_OUT.iter().any(|(name, _)| *name == entry.name),
                "{}",
                entry.name
            );
        }
    }

    #[test]
    fn an_outcome_is_one_character_of_the_matrix() {
        assert_eq!(Outcome::Right.letter(), '.');
        assert_eq!(Outcome::Hung.letter(), 'H');
    }
}
